"""Videos that claim, hide or point to more than they hold."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detector.errors import SourceError
from detector.media.sources import open_source
from detector.media.video import VideoSource
from tests.media.makers import encoded, grey, grey_index, grey_video, serving

SIDE = 6000
"""Of a frame that is too large: 54 MB in a decoder, and it holds several."""

PROGRAM = """
import sys
from pathlib import Path
from detector.errors import SourceError
from detector.media.video import VideoSource

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

with VideoSource(f"file:{sys.argv[1]}", "small") as source:
    assert len(list(source)) == 5
Path("/proc/self/clear_refs").write_text("5")
before = peak()
try:
    with VideoSource(f"file:{sys.argv[2]}", "video", max_pixels=2_000_000) as source:
        print(len([frame for frame in source]), end=" ")
except SourceError as error:
    print(error, end=" ")
print(peak() - before)
"""


def lying_video(path: Path, side: int = SIDE) -> Path:
    """A video of 64x64 pixels whose frames are far larger."""
    photo = encoded(".jpg", np.zeros((side, side, 3), np.uint8), cv2.IMWRITE_JPEG_QUALITY, 50)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        for index in range(6):
            packet = av.Packet(photo)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
            output.mux(packet)
    return path


def plain_video(path: Path, side: int, count: int, **stream_facts: str) -> Path:
    """Black frames of one size."""
    facts = {"codec": "libx264", "pix_fmt": "yuv420p"} | stream_facts
    with av.open(str(path), "w") as output:
        options = {"preset": "ultrafast", "tune": "zerolatency"} if facts["codec"] == "libx264" else {}
        stream = output.add_stream(facts["codec"], rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = side, side, facts["pix_fmt"]
        for index in range(count):
            frame = av.VideoFrame(side, side, facts["pix_fmt"])
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def growing_video(path: Path) -> Path:
    """Frames of 64x64, then far larger ones in the same stream."""
    small = plain_video(path.with_name(f"small{path.suffix}"), 64, 5).read_bytes()
    path.write_bytes(small + plain_video(path.with_name(f"large{path.suffix}"), SIDE, 4).read_bytes())
    return path


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (lying_video, "a.mp4", "not one picture of it can be decoded"),
        (lying_video, "a.avi", "not one picture of it can be decoded"),
        (lying_video, "a.mkv", "not one picture of it can be decoded"),
        (growing_video, "a.ts", "5"),
        (growing_video, "a.h264", "5"),
        (lambda path: plain_video(path, SIDE, 3), "a.mp4", f"{SIDE}x{SIDE} pixels are too many for a video (at most"),
    ],
)
def test_frames_that_are_too_large_are_never_decoded(tmp_path: Path, make, name: str, said: str) -> None:  # type: ignore[no-untyped-def]
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux says how much memory a process had at most")
    first = plain_video(tmp_path / "first.mp4", 64, 5)
    command = [sys.executable, "-c", PROGRAM, str(first), str(make(tmp_path / name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    words, _, peak = done.stdout.rpartition(" ")
    assert words == said or words.startswith(f"video: {said}")
    assert float(peak) < 50  # one frame alone would take more


def test_a_video_that_changes_its_size_within_the_limit_is_read_to_its_end(tmp_path: Path) -> None:
    for name, side in (("a.ts", 64), ("b.ts", 96)):
        plain_video(tmp_path / name, side, 4)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with open_source(joined) as source:
        assert [frame.image.shape[0] for frame in source] == [64] * 4 + [96] * 4


def test_deep_colours_count_by_their_bytes(tmp_path: Path) -> None:
    path = plain_video(tmp_path / "deep.mkv", 64, 2, codec="ffv1", pix_fmt="yuv444p16le")
    with (
        VideoSource(f"file:{path}", "deep", max_pixels=64 * 64) as source,
        pytest.raises(SourceError, match=r"^deep: 64x64 pixels of yuv444p16le are too many bytes .* convert it to MP4"),
    ):
        list(source)


@pytest.mark.parametrize("codec", [b"zzzz", b"av99"])
def test_a_video_without_a_decoder_is_refused_with_what_to_do(tmp_path: Path, codec: bytes) -> None:
    path = grey_video(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", codec))
    with pytest.raises(SourceError, match=r"clip\.mp4: there is no decoder here .* convert it to MP4 with H\.264$"):
        open_source(path)


def claiming_frames(path: Path, number: int) -> Path:
    """An MP4 whose table of sizes says that all frames have one byte, and how many there are."""
    data = bytearray(grey_video(path, options={"bf": "0"}).read_bytes())
    for name, offset, value in ((b"stsz", 8, 1), (b"stsz", 12, number), (b"stsc", 12, number), (b"stts", 8, number)):
        at = data.index(name) + offset
        data[at : at + 4] = value.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def test_an_index_that_is_only_claimed_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.mp4: it claims to hold 100000000 frames: the file is damaged, copy it"):
        open_source(claiming_frames(tmp_path / "a.mp4", 100_000_000))
    fragmented = grey_video(tmp_path / "b.mp4", container={"movflags": "frag_keyframe+empty_moov"})
    data = bytearray(fragmented.read_bytes())
    at = data.index(b"trun") + 8
    data[at : at + 4] = (100_000_000).to_bytes(4, "big")
    fragmented.write_bytes(data)
    with pytest.raises(SourceError, match=r"b\.mp4: it claims to hold 1000\d+ frames"):
        open_source(fragmented)


@pytest.mark.parametrize(
    "inside",
    [b"stz2" + bytes(7) + b"\x04" + (5_000_000).to_bytes(4, "big"), b"cmov\0\0\0\x0cdcomzlib\0\0\0\x10cmvd" + bytes(8)],
    ids=["sizes of half a byte", "a packed index"],
)
def test_an_index_that_unfolds_is_never_made(tmp_path: Path, inside: bytes) -> None:
    box = (12 + len(inside)).to_bytes(4, "big") + b"moov" + (4 + len(inside)).to_bytes(4, "big") + inside
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\2\0" + box)
    with pytest.raises(SourceError, match=r"a\.mp4: it claims to hold \d+ frames"):
        open_source(path)


def matroska_of_tags(path: Path, number: int) -> Path:
    """A Matroska file with so many empty tags, of three bytes each, before any picture."""

    def element(name: bytes, content: bytes) -> bytes:
        return name + (len(content) | 1 << 56).to_bytes(8, "big") + content

    facts = b"\xd7\x81\x01\x73\xc5\x81\x01\x83\x81\x01\x86\x87V_MJPEG\xe0\x86\xb0\x81\x40\xba\x81\x40"
    tracks = element(b"\x16\x54\xae\x6b", element(b"\xae", facts))
    tags = element(b"\x12\x54\xc3\x67", b"\x73\x73\x80" * number)
    head = element(b"\x1a\x45\xdf\xa3", b"\x42\x82\x88matroska")
    path.write_bytes(head + element(b"\x18\x53\x80\x67", tracks + tags))
    return path


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says how much memory was used")
def test_what_a_video_says_of_itself_does_not_fill_the_memory(tmp_path: Path) -> None:
    bomb = matroska_of_tags(tmp_path / "tags.mkv", 10_000_000)
    program = PROGRAM.replace("max_pixels=2_000_000", "max_head=5_000_000")
    command = [sys.executable, "-c", program, plain_video(tmp_path / "first.mp4", 64, 5), bomb]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, _, grown = done.stdout.rpartition(" ")
    assert said == "video: what it says of itself is too long: convert it to MP4 with H.264"
    assert float(grown) < 300  # the whole file takes more than 1,000
    with VideoSource(f"file:{grey_video(tmp_path / 'b.mkv')}", "small", max_head=1_000_000) as source:
        assert [grey_index(frame.image) for frame in source] == list(range(20))


def test_hours_of_uncompressed_sound_are_no_claim(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mov"), "w") as output:
        video, sound = output.add_stream("libx264", rate=25), output.add_stream("pcm_s16le", rate=48000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(grey(index), format="bgr24")
            output.mux(video.encode(frame))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 48000), np.int16), layout="stereo", format="s16")
        samples.rate = 48000
        output.mux(sound.encode(samples))
        output.mux(video.encode(None))
    data = bytearray((tmp_path / "a.mov").read_bytes())
    at = data.index(b"stsz", data.index(b"soun")) + 12
    assert int.from_bytes(data[at - 4 : at], "big") != 0  # one size for all
    data[at : at + 4] = (500_000_000).to_bytes(4, "big")
    (tmp_path / "a.mov").write_bytes(data)
    with open_source(tmp_path / "a.mov") as source:
        assert len(list(source)) == 5


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}/clip.ts\n#EXT-X-ENDLIST\n",
    "a.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{folder}/clip.ts\n#EXT-X-ENDLIST\n",
    "a.ffconcat": "ffconcat version 1.0\nfile {folder}/clip.ts\n",
    "b.mp4": "ffconcat version 1.0\nfile {url}/clip.ts\n",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}/clip.ts</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_points_to_others_is_refused_and_opens_nothing(tmp_path: Path, name: str) -> None:
    grey_video(tmp_path / "clip.ts")
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_error(404)

    with serving(answer) as url:
        (tmp_path / name).write_text(PLAYLISTS[name].format(url=url, folder=tmp_path))
        with pytest.raises(SourceError, match=f"{name}: not a (kind of )?video"):
            open_source(tmp_path / name)
    assert asked == []


def test_a_name_that_looks_like_a_series_of_pictures_opens_no_other_file(tmp_path: Path) -> None:
    for name in ("1.tga", "2.tga", "%d.tga"):
        (tmp_path / name).write_bytes(bytes(2) + b"\x02" + bytes(9) + b"\x08\0\x08\0\x18\0" + bytes(192))
    with pytest.raises(SourceError, match="not a kind of video"):
        open_source(tmp_path / "%d.tga")


def test_a_playlist_behind_an_address_opens_no_file_of_this_computer(tmp_path: Path) -> None:
    clip = grey_video(tmp_path / "clip.ts")
    words = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{clip}\n#EXT-X-ENDLIST\n"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/vnd.apple.mpegurl")
        handler.end_headers()
        handler.wfile.write(words.encode())

    with serving(answer) as url, pytest.raises(SourceError):
        list(open_source(f"{url}/list.m3u8", timeout_s=3, reconnect_limit_s=0.5))


def test_a_playlist_behind_an_address_that_the_user_named_is_played(tmp_path: Path) -> None:
    clip = grey_video(tmp_path / "clip.ts").read_bytes()
    words = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:0.8,\nclip.ts\n#EXT-X-ENDLIST\n"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = clip if handler.path.endswith(".ts") else words
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with serving(answer) as url, open_source(f"{url}/list.m3u8", timeout_s=5) as source:
        assert [grey_index(frame.image) for frame in source] == list(range(20))
