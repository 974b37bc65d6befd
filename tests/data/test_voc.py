from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from detector.data import voc
from detector.data.voc import Annotation, Box
from detector.errors import AnnotationError, OutputError

# Byte for byte what LabelImg 1.8.6 writes for such a picture.
LABELIMG = """\
<annotation verified="yes">
\t<folder>images</folder>
\t<filename>café &amp; bar.jpg</filename>
\t<path>/home/ann/images/café &amp; bar.jpg</path>
\t<source>
\t\t<database>Unknown</database>
\t</source>
\t<size>
\t\t<width>640</width>
\t\t<height>480</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>with_mask</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>0</xmin>
\t\t\t<ymin>20</ymin>
\t\t\t<xmax>100</xmax>
\t\t\t<ymax>120</ymax>
\t\t</bndbox>
\t</object>
\t<object>
\t\t<name>without_mask</name>
\t\t<pose>Left</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>1</difficult>
\t\t<bndbox>
\t\t\t<xmin>200</xmin>
\t\t\t<ymin>210</ymin>
\t\t\t<xmax>250.5</xmax>
\t\t\t<ymax>260</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"""
ANNOTATION = Annotation(
    filename="café & bar.jpg",
    folder="images",
    size=(640, 480),
    boxes=(
        Box("with_mask", 0, 20, 100, 120, truncated=True),
        Box("without_mask", 200, 210, 250.5, 260, difficult=True, pose="Left"),
    ),
    path="/home/ann/images/café & bar.jpg",
    verified=True,
)

CORNERS = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>"
SIZE = "<size><width>64</width><height>48</height><depth>3</depth></size>"


def document(
    corners: str = CORNERS, name: str = "<name>face</name>", size: str = SIZE, prologue: str = "", extra: str = ""
) -> str:
    return (
        f"{prologue}<annotation><folder>f</folder><filename>a.jpg</filename>{size}"
        f"<object>{name}<bndbox>{corners}</bndbox></object>{extra}</annotation>"
    )


def corners(xmax: str) -> str:
    return f"<xmin>1</xmin><ymin>2</ymin><xmax>{xmax}</xmax><ymax>40</ymax>"


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
BOMB = f'<!DOCTYPE annotation [<!ENTITY l0 "ha">{LAUGHS}]>'
QUADRATIC = f'<!DOCTYPE annotation [<!ENTITY a "{"x" * 50_000}">]>'

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "entity bomb": (document(name="<name>&l11;</name>", prologue=BOMB), "XML|DOCTYPE"),
    "entity bomb in an attribute": (f'{BOMB}<annotation verified="&l11;"/>', "XML|DOCTYPE"),
    "quadratic bomb": (document(name=f"<name>{'&a;' * 20_000}</name>", prologue=QUADRATIC), "XML|DOCTYPE"),
    "external entity": (
        document(name="<name>&x;</name>", prologue='<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "DOCTYPE",
    ),
    "parameter entity": (
        document(prologue='<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>'),
        "DOCTYPE|XML",
    ),
    "bare DOCTYPE": (document(prologue="<!DOCTYPE annotation>"), "DOCTYPE"),
    "DOCTYPE in UTF-16": (document(prologue='<!DOCTYPE a [<!ENTITY x "y">]>').encode("utf-16"), "DOCTYPE"),
    "entity that nothing defines": (document(name="<name>&nbsp;</name>"), "XML"),
    "unknown encoding": (document(prologue='<?xml version="1.0" encoding="klingon"?>'), "XML"),
    "wrong encoding": (document(name="<name>é</name>", prologue='<?xml version="1.0" encoding="ascii"?>'), "XML"),
    "cut UTF-16": (document().encode("utf-16")[:-31], "XML"),
    "latin-1 bytes in UTF-8": (document(name="<name>visière</name>").encode("latin-1"), "UTF-8"),
    "empty": (b"", "empty"),
    "only whitespace": (b" \r\n\t ", "empty"),
    "binary junk": (bytes(range(256)) * 8, "XML"),
    "a JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(64), "XML"),
    "zero bytes": (bytes(512), "XML"),
    "truncated": (document()[:-30], "XML"),
    "two documents": (document() * 2, "XML"),
    "wrong root": ("<annotations/>", "annotations"),
    "HTML": ("<html><body>404</body></html>", "html"),
    "namespace": ('<annotation xmlns="http://example.org/voc"/>', "root element"),
    "YOLO text": ("0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n", "XML"),
    "missing bndbox": ("<annotation><object><name>face</name></object></annotation>", "object 1 has no bndbox"),
    "missing xmax": (document("<xmin>1</xmin><ymin>2</ymin><ymax>4</ymax>"), "object 1 has no xmax"),
    "empty xmax": (document(corners("")), "no xmax"),
    "missing name": (document(name=""), "object 1 has no name"),
    "empty name": (document(name="<name>  </name>"), "object 1 has no name"),
    "not a number": (document(corners("NaN")), "NaN"),
    "infinite": (document(corners("inf")), "inf"),
    "text as a number": (document(corners("wide")), "wide"),
    "huge exponent": (document(corners("1e300")), "1e300"),
    "overflowing exponent": (document(corners("1e999")), "1e999"),
    "comma decimals": (document(corners("30,5")), "30,5"),
    "digit separators": (document(corners("3_0")), "3_0"),
    "digits of another script": (document(corners("３０")), "３０"),
    "a number of a million digits": (document(corners("9" * 1_000_000)), "999"),
    "two xmax": (document(corners("30") + "<xmax>31</xmax>"), "two <xmax>"),
    "two names": (document(name="<name>face</name><name>mask</name>"), "two <name>"),
    "two bndbox": (document(f"{CORNERS}</bndbox><bndbox>{CORNERS}"), "two <bndbox>"),
    "long tags that do not match": (f"<annotation><{'x' * 40_000}></{'y' * 40_000}></annotation>", "XML"),
    "a long root": (f"<{'x' * 40_000}/>", "root element"),
    "deeply nested": (f"<annotation>{'<a>' * 100_000}{'</a>' * 100_000}</annotation>", "XML"),
    "huge attribute": (f'<annotation a="{"x" * 9_000_000}"/>', "8 MiB"),
    "many boxes": (f"<annotation>{'<object/>' * 1_000_000}</annotation>", "8 MiB"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_file_is_refused_in_one_line(content: str | bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(AnnotationError, match=reason) as caught:
        voc.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 300


BOX = Box("face", 1, 2, 30, 40)
OUTLINED = "object 1 is outlined without a box: the box around its outline is used"
NOTES = (
    "has width 'None', which is not a number: it is not needed",
    "has height '?', which is not a number: it is not needed",
    "has depth 'Unspecified', which is not a number: it is not needed",
    "object 1 has difficult 'maybe', which is not a number: it is not needed",
    "object 1 has truncated 'True', which is not a number: it is not needed",
)


def outlined(points: str) -> str:
    return f"<name>face</name><polygon>{points}</polygon>"


ACCEPTED: dict[str, tuple[str | bytes, Annotation]] = {
    "UTF-16 with byte-order mark": (document().encode("utf-16"), Annotation("a.jpg", "f", (64, 48), (BOX,))),
    "UTF-8 with byte-order mark": (document().encode("utf-8-sig"), Annotation("a.jpg", "f", (64, 48), (BOX,))),
    "latin-1 that says so": (
        document(name="<name>visière</name>", prologue='<?xml version="1.0" encoding="ISO-8859-1"?>').encode("latin-1"),
        Annotation("a.jpg", "f", (64, 48), (Box("visière", 1, 2, 30, 40),)),
    ),
    "comments and processing instructions": (
        document(
            name="<!-- who? --><name>fa<?x y?>ce</name>", corners=corners("<!-- about -->30"), prologue="<?php 1?>"
        ),
        Annotation("a.jpg", "f", (64, 48), (BOX,)),
    ),
    "line breaks around values": (
        document(name="<name>\n  face\n</name>", corners=corners("\n 30 \n")),
        Annotation("a.jpg", "f", (64, 48), (BOX,)),
    ),
    "missing size": (document(size=""), Annotation("a.jpg", "f", None, (BOX,))),
    "half a size": (document(size="<size><width>64</width></size>"), Annotation("a.jpg", "f", None, (BOX,))),
    "size of zero, as LabelImg sometimes writes": (
        document(size="<size><width>0</width><height>0</height><depth>3</depth></size>"),
        Annotation("a.jpg", "f", (0, 0), (BOX,)),
    ),
    "fractions": (document(corners("30.25")), Annotation("a.jpg", "f", (64, 48), (Box("face", 1, 2, 30.25, 40),))),
    "swapped and negative corners, as stated": (
        document(corners("-3")),
        Annotation("a.jpg", "f", (64, 48), (Box("face", 1, 2, -3, 40),)),
    ),
    "parts of an object, as in the VOC sets": (
        document(name=f"<part><name>eye</name><bndbox>{CORNERS}</bndbox></part><name>face</name>"),
        Annotation("a.jpg", "f", (64, 48), (BOX,)),
    ),
    "words where nothing depends on a number": (
        document(
            size="<size><width>None</width><height>?</height><depth>Unspecified</depth></size>",
            name="<name>face</name><difficult>maybe</difficult><truncated>True</truncated>",
        ),
        Annotation("a.jpg", "f", None, (Box("face", 1, 2, 30, 40, truncated=True),), notes=NOTES),
    ),
    "two sizes": (
        document(size=SIZE * 2),
        Annotation("a.jpg", "f", (64, 48), (BOX,), notes=("has two <size>: the first is used",)),
    ),
    "a polygon of Roboflow": (
        document("", name=outlined("<x1>3</x1><y1>5</y1><x2>9</x2><y2>4</y2><x3>6</x3><y3>8</y3>")),
        Annotation("a.jpg", "f", (64, 48), (Box("face", 3, 4, 9, 8),), notes=(OUTLINED,)),
    ),
    "a polygon of LabelMe": (
        document("", name=outlined("".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((3, 5), (9, 4), (6, 8))))),
        Annotation("a.jpg", "f", (64, 48), (Box("face", 3, 4, 9, 8),), notes=(OUTLINED,)),
    ),
    "a turned box of roLabelImg": (
        "<annotation><object><name>face</name><robndbox><cx>20</cx><cy>10</cy><w>12</w><h>8</h><angle>0</angle></robndbox>"
        "</object></annotation>",
        Annotation("", "", None, (Box("face", 14, 6, 26, 14),), notes=(OUTLINED,)),
    ),
    "nothing at all": ("<annotation/>", Annotation("", "", None, ())),
}


@pytest.mark.parametrize(("content", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_odd_but_clear_file_is_read(content: str | bytes, expected: Annotation, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert voc.read(path) == expected


def test_nothing_is_subtracted_from_the_coordinates(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(document(), encoding="utf-8")
    assert voc.read(tmp_path / "a.xml").boxes[0].xyxy == (1, 2, 30, 40)


class _Recorder(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A web server on this machine that remembers what it was asked for."""
    with HTTPServer(("127.0.0.1", 0), _Recorder) as httpd:
        httpd.requests = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


NETWORK = {
    "document type": '<!DOCTYPE annotation SYSTEM "URL"><annotation/>',
    "public document type": '<!DOCTYPE annotation PUBLIC "-//VOC//" "URL"><annotation/>',
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "URL">]><annotation><filename>&x;</filename></annotation>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % p SYSTEM "URL"> %p;]><annotation/>',
    "inclusion": '<annotation xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="URL"/></annotation>',
    "style sheet": '<?xml-stylesheet type="text/xsl" href="URL"?><annotation/>',
    "schema": ('<annotation xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:noNamespaceSchemaLocation="URL"/>'),
}


@pytest.mark.parametrize("content", NETWORK.values(), ids=NETWORK)
def test_nothing_is_fetched_from_the_network(content: str, server: HTTPServer, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content.replace("URL", f"http://127.0.0.1:{server.server_port}/x"), encoding="utf-8")
    if "DOCTYPE" in content:
        with pytest.raises(AnnotationError, match="DOCTYPE"):
            voc.read(path)
    else:
        assert voc.read(path) == Annotation("", "", None, ())
    assert server.requests == []  # type: ignore[attr-defined]


def test_a_folder_with_the_suffix_xml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").mkdir()
    with pytest.raises(AnnotationError, match="not a regular file"):
        voc.read(tmp_path / "a.xml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"a\.xml: cannot be read"):
        voc.read(tmp_path / "a.xml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes exist on POSIX only")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xml")
    with pytest.raises(AnnotationError, match="not a regular file"):
        voc.read(tmp_path / "a.xml")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root and Windows may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(document(), encoding="utf-8")
    path.chmod(0)
    with pytest.raises(AnnotationError, match="permission"):
        voc.read(path)


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").symlink_to(tmp_path / "gone.xml")
    with pytest.raises(AnnotationError, match="cannot be read"):
        voc.read(tmp_path / "a.xml")


def test_a_file_is_written_byte_for_byte_as_labelimg_does(tmp_path: Path) -> None:
    voc.write(tmp_path / "a.xml", ANNOTATION)
    assert (tmp_path / "a.xml").read_bytes() == LABELIMG.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.xml"]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    voc.write(tmp_path / "a.xml", ANNOTATION)
    assert voc.read(tmp_path / "a.xml") == ANNOTATION


def test_a_path_that_is_not_known_is_left_out(tmp_path: Path) -> None:
    voc.write(tmp_path / "a.xml", Annotation("a.jpg", "images", (64, 48), ()))
    assert "<path>" not in (tmp_path / "a.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.0, "12"), (12.5, "12.5"), (12.99996, "13"), (-0.0001, "0"), (1 / 3, "0.333"), (100.0, "100")],
)
def test_coordinates_are_whole_numbers_where_they_can_be(value: float, text: str) -> None:
    assert voc.format_number(value) == text


def test_a_name_that_xml_cannot_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="control characters"):
        voc.write(tmp_path / "a.xml", Annotation("a\0.jpg", "", (64, 48), ()))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_old_one_alone(tmp_path: Path) -> None:
    (tmp_path / "a.xml").mkdir()
    with pytest.raises(OutputError, match=r"a\.xml"):
        voc.write(tmp_path / "a.xml", ANNOTATION)
    assert [path.name for path in tmp_path.iterdir()] == ["a.xml"]
