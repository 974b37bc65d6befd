"""Make pictures ready for labelling: whole, upright RGB JPEGs, each once. See --help."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from detector import cli
from detector.cli.flags import add_flags, positive
from detector.errors import require_extra

EXAMPLES = """\
  mask-detector clean downloads --out photos --dry-run
      what would happen, and why; nothing is written
  mask-detector clean downloads --out photos --max-side 1280
      photos/images            upright RGB JPEGs, each picture once, longest side at most 1280 px
      photos/aside/duplicates  the other copies of a picture, converted too
      photos/aside/unreadable  files that are no picture or a damaged one
      photos/sheet.html        all groups of duplicates, to check them by eye
      photos/report.json       every file with what happened to it and why
  mask-detector clean data/images --annotations data/annotations --out tidy
      label files go with their images (without --annotations those beside the images) and are scaled with them

The source is never changed: the output is a copy. A file that is an upright RGB JPEG of the right size is copied byte
for byte. JPEG, PNG, WebP, GIF (first frame), TIFF, BMP, HEIC, AVIF, JPEG 2000 and others are read, in grey, CMYK and
16 bits too. Duplicates are the same file, or the same picture saved again, scaled, cropped by a few percent, mirrored,
in another tone, or with text on it. Of a group the one is kept that has labels, colours, the most pixels, the most
bytes, in this order; a copy with text on it may win by its bytes. Two photographs of the same scene are not duplicates,
nor is a copy with another mask. Not found: copies in a frame, under a watermark all over, or cropped by more.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. Nothing is written unless all of it is."""
    purpose = "Copy the pictures of a folder as whole, upright RGB JPEGs, without duplicates."
    parser = cli.make_parser("clean", purpose, EXAMPLES)
    parser.add_argument("source", type=Path, metavar="DIR", help="folder of files; those below it are searched too")
    add_flags(parser, "--out", required=True)
    labels = "folder of LabelImg's XML files (default: those beside the images)"
    add_flags(parser, "--annotations", action="store", help=labels)
    parser.add_argument("--max-side", type=positive, metavar="PX", help="scale larger pictures down to this")
    parser.add_argument("--keep-mirrored", action="store_true", help="a mirror image is no duplicate")
    add_flags(parser, "--threads", help="CPU threads (default: all cores)")
    add_flags(parser, "--dry-run", help="read and compare, but write nothing")
    return cli.run_command(parser, _command, argv)


def _command(args: argparse.Namespace) -> int:
    require_extra("labelling", "imagehash", "PIL", "pillow_heif", "simplejpeg")
    from detector.labelling.cleaning import clean

    began = time.monotonic()
    report = clean(
        args.source,
        args.out,
        annotations=args.annotations,
        max_side=args.max_side,
        mirrored=not args.keep_mirrored,
        threads=args.threads,
        dry_run=args.dry_run,
        progress=cli.progress_bar,
    )
    seconds = max(time.monotonic() - began, 1e-3)
    counts = report.counts()
    if args.dry_run or args.verbose:
        print("\n".join(report.lines()))
    print(f"{counts['images']} images read in {seconds:.0f} s ({counts['images'] / seconds:.0f} a second)")
    print(f"{counts['kept']} kept, {counts['kept_unchanged']} of them byte for byte")
    same = f"{counts['duplicates_same_bytes']} of them the same file"
    print(f"{counts['duplicates']} duplicates in {counts['groups']} groups, {same}")
    print(f"{counts['unreadable']} unreadable, {counts['no_images']} no images")
    if report.labels:
        print(f"{len(report.labels)} label files could not go with their images")
    if args.dry_run:
        print("dry run: nothing was written")
    else:
        print(f"look at {args.out / 'sheet.html'}; every file is in {args.out / 'report.json'}")
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
