# mypy: ignore-errors
"""An RTSP camera on this machine whose pictures show its clock; for the system's Python, which has GStreamer's modules.

Needs, under Debian: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-ugly. It is rtsp://127.0.0.1:PORT/camera, and says so when it listens.
"""

import argparse
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions come first

CELL, BITS = 16, 32  # as stream_delay.read_clock reads them


class Camera(GstRtspServer.RTSPMediaFactory):
    """Makes a stream for each viewer: grey pictures with the time of the clock, in ms, as black and white cells."""

    def __init__(self, args):
        super().__init__()
        self.args = args
        encoder = (
            f"x264enc tune=zerolatency speed-preset=ultrafast threads={args.slices} key-int-max={args.fps} bitrate=500"
        )
        self.set_launch(
            "( appsrc name=pictures is-live=true do-timestamp=true format=time"
            f" ! videoconvert ! video/x-raw,format=I420 ! {encoder} ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
        )
        if args.udp:
            self.set_protocols(GstRtsp.RTSPLowerTrans.UDP)

    def feed(self, _, media):
        """Feed the stream of a new viewer."""
        source = media.get_element().get_by_name_recurse_up("pictures")
        state = {"sent": 0, "height": 0}
        GLib.timeout_add(1000 // self.args.fps, self.push, source, state)

    def push(self, source, state):
        """Send one picture; after ``--resize`` of them they are twice as high."""
        height = self.args.height * (2 if self.args.resize and state["sent"] >= self.args.resize else 1)
        if height != state["height"]:
            state["height"] = height
            size = f"width={CELL * BITS},height={height},framerate={self.args.fps}/1"
            source.set_property("caps", Gst.Caps.from_string(f"video/x-raw,format=GRAY8,{size}"))
        value = int(time.time() * 1000) % 2**BITS
        clock = b"".join((b"\xeb" if value >> bit & 1 else b"\x10") * CELL for bit in range(BITS))
        picture = clock * CELL + b"\x80" * (CELL * BITS) * (height - CELL)
        state["sent"] += 1
        return source.emit("push-buffer", Gst.Buffer.new_wrapped(picture)) == Gst.FlowReturn.OK


def main():
    """Serve until somebody ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="0")
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--fps", type=int, default=5)
    parser.add_argument("--resize", type=int, default=0, help="after so many pictures they are twice as high")
    parser.add_argument("--slices", type=int, default=1, help="parts of each picture")
    parser.add_argument("--udp", action="store_true", help="refuse TCP")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=args.port)
    camera = Camera(args)
    camera.connect("media-configure", camera.feed)
    server.get_mount_points().add_factory("/camera", camera)
    server.attach(None)
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
