from __future__ import annotations

import pytest

from detector.errors import SourceError
from detector.media.addresses import without_password
from detector.media.sources import open_source
from tests.media.makers import Camera, serving


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:p@ss@camera:554/live?x=1", "rtsp://camera:554/live?x=1"),
        ("rtsp://admin:secret@[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://admin:12/secret@camera/live", "rtsp://camera/live"),
        ("srt://relay:9?passphrase=secret&latency=2", "srt://relay:9?passphrase=***&latency=2"),
        ("http://camera/video.cgi?user=admin&pwd=secret", "http://camera/video.cgi?user=***&pwd=***"),
        ("https://site.example/@someone/clip.mp4", "https://site.example/@someone/clip.mp4"),
        ("photos/a@2x.jpg", "photos/a@2x.jpg"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        *(f"rtsp://admin:sec{letter}ret@127.0.0.1:9/live" for letter in "#/?[]@:% "),
        *(f"rtsp://127.0.0.1:1{letter}secret@127.0.0.1:9/live" for letter in "#/?"),
        "rtsp:/admin:secret@127.0.0.1:9/live",
        "rtsp//admin:secret@127.0.0.1:9/live",
        "rtsp:admin:secret@127.0.0.1:9/live",
        "rtsp;//admin:secret@127.0.0.1:9/live",
        "rtsp;//admin:secret?*@127.0.0.1:9/live",
        "rtsp:///admin:secret@127.0.0.1:9/live",
        "rtps://admin:secret@127.0.0.1:9/live",
        "http:\\\\admin:secret@127.0.0.1:9\\live",
        "admin:secret@127.0.0.1:9/live",
        "rtsp://admin:secret@127.0.0.1:99999/live",
        "rtsp://admin:secret@127.0.0.1:9x/live",
        "rtsp://admin:secret@",
        "rtsp://admin:secret%40127.0.0.1/live",
        "rtsp://[admin:secret@127.0.0.1:9/live",
        " rtsp://admin:secret@127.0.0.1:9/live",
        "RTSP://admin:secret@127.0.0.1:9/live",
    ],
)
def test_a_password_is_never_shown_however_the_address_is_mistyped(address: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(address, timeout_s=2)
    assert "sec" not in str(caught.value)
    assert "ret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("letter", "#/?")
@pytest.mark.parametrize("password", ["a{}b", "12{}b"])
def test_the_message_says_how_to_write_what_ends_an_address_early(letter: str, password: str) -> None:
    with pytest.raises(SourceError, match="in a user name or password write # as %23, / as %2F"):
        open_source(f"rtsp://127.0.0.1:{password.format(letter)}@127.0.0.1:9/live", timeout_s=2)


def test_a_scheme_in_capitals_works() -> None:
    camera = Camera([(100, "silent")])
    with serving(camera.play, camera.over) as url, open_source(url.replace("http", "HTTP"), timeout_s=5) as source:
        assert next(iter(source)).index == 0
