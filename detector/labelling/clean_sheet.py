"""A page with all groups of duplicates, to check them by eye."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from urllib.parse import quote

from detector.data.progress import Progress
from detector.labelling.clean_report import Aside, Kept, Report, describe

__all__ = ["contact_sheet"]

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Duplicates</title><style>
body {{ font: 14px sans-serif; margin: 2em; background: #fff; color: #222 }}
section {{ display: flex; flex-wrap: wrap; gap: 12px; padding: 12px 0; border-top: 1px solid #ccc }}
figure {{ margin: 0; width: 210px }} img {{ max-width: 200px; max-height: 200px; border: 4px solid #ccc }}
.kept img {{ border-color: #2a2 }} figcaption {{ overflow-wrap: anywhere; font-size: 12px }}
td {{ padding: 2px 12px 2px 0; vertical-align: top; overflow-wrap: anywhere }}
</style></head><body>
<h1>Duplicates</h1>
<p>{groups} groups, the doubtful ones first. The picture with the green frame is kept; the others lie in
<code>aside/duplicates</code>. One that is not the same picture: move it to the same place in <code>images</code>.</p>
{sections}
<h1>Unreadable files</h1>
<table>{unreadable}</table>
</body></html>
"""


def contact_sheet(report: Report, thumbnail: Callable[[str], bytes], progress: Progress) -> str:
    """The page as HTML that needs no other file.

    Args:
        report: what was found.
        thumbnail: gives a small JPEG for a source name.
        progress: told while thumbnails are made.
    """

    def doubt(name: str) -> float:
        return max((copy.differs if copy.differs is not None else -1.0) for copy in report.groups[name])

    kept = {picture.source: picture for picture in report.kept}
    sections = []
    for name in progress(sorted(report.groups, key=lambda name: (-doubt(name), name)), "contact sheet"):
        figures = [_figure(kept[name], "kept", "kept", thumbnail)]
        figures += [_figure(copy, describe(copy), "copy", thumbnail) for copy in report.groups[name]]
        sections.append(f"<section>{''.join(figures)}</section>")
    rows = (f"<tr><td>{_text(name)}</td><td>{_text(why)}</td></tr>" for name, why in report.unreadable.items())
    return PAGE.format(groups=len(report.groups), sections="\n".join(sections), unreadable="\n".join(rows) or "none")


def _figure(picture: Kept | Aside, caption: str, kind: str, thumbnail: Callable[[str], bytes]) -> str:
    data = base64.b64encode(thumbnail(picture.source)).decode()
    link = quote(picture.file.encode(errors="surrogateescape"))
    return (
        f'<figure class="{kind}"><a href="{link}"><img loading="lazy" alt="" src="data:image/jpeg;base64,{data}"></a>'
        f"<figcaption><b>{_text(caption)}</b><br>{_text(picture.source)}<br>"
        f"{picture.width}x{picture.height}</figcaption></figure>"
    )


def _text(text: str) -> str:
    return escape(text.encode(errors="backslashreplace").decode())
