"""What an archive's output folder holds: Parquet files of rows, and a manifest of how they were made."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from detector.archiving.stores import Store
from detector.detections import CLASSES
from detector.errors import OutputError

__all__ = ["MANIFEST", "ROWS", "counts_of", "done_in", "read_manifest", "to_parquet", "write_manifest"]

MANIFEST = "manifest.json"
ROWS = "rows"
"""The folder of the Parquet files."""

COORDINATES = ("x1", "y1", "x2", "y2")


def to_parquet(images: Sequence[Mapping[str, Any]], *, row_per_face: bool) -> bytes:
    """Rows as a Parquet file.

    Args:
        images: of each the columns path, width, height (px, of the upright image; None where it cannot be read), error,
            seconds and faces: [{class, confidence, x1, y1, x2, y2}].
        row_per_face: a row for each face with the columns of its image before it; an image without one has a row too,
            whose class is empty. Otherwise a row for each image with its faces as a list.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = [("path", pa.string()), ("width", pa.int32()), ("height", pa.int32()), ("error", pa.string())]
    about.append(("seconds", pa.float32()))
    face = [("class", pa.string()), ("confidence", pa.float64()), *((name, pa.float64()) for name in COORDINATES)]
    if row_per_face:
        rows = [
            {**{name: image[name] for name, _ in about}, **each} for image in images for each in image["faces"] or [{}]
        ]
        schema = pa.schema([*about, *face])
    else:
        rows, schema = [dict(image) for image in images], pa.schema([*about, ("faces", pa.list_(pa.struct(face)))])
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), file)
    return file.getvalue()


def done_in(out: Store) -> set[str]:
    """The paths of all images that have a row.

    Raises:
        OutputError: a file there has no rows of an archive.
    """
    return {path for table in _tables(out, ["path"]) for path in table["path"].to_pylist()}


def counts_of(out: Store) -> dict[str, int]:
    """How many images, unreadable ones, faces, and faces of each class the rows have.

    Raises:
        OutputError: a file there has no rows of an archive.
    """
    import pyarrow.compute as pc

    counts = dict.fromkeys(("images", "unreadable", "faces", *CLASSES), 0)
    for table in _tables(out, None):
        if "faces" in table.column_names:
            classes = pc.struct_field(pc.list_flatten(table["faces"]), "class")
        else:
            classes = table["class"]
        named = {pair["values"]: pair["counts"] for pair in pc.value_counts(classes.drop_null()).to_pylist()}
        counts["images"] += pc.count_distinct(table["path"]).as_py()
        counts["unreadable"] += len(table) - table["error"].null_count
        counts["faces"] += sum(named.values())
        for name in CLASSES:
            counts[name] += named.get(name, 0)
    return counts


def read_manifest(out: Store) -> dict[str, Any] | None:
    """How the rows in ``out`` were made; None where nothing is there yet.

    Raises:
        OutputError: something else is there.
    """
    manifest, hidden = out.join(MANIFEST), f"{out.key}/."
    there = [file for file in out.files() if not file.key.startswith(hidden)]  # such as the mark of a run at work
    if not there:
        return None
    if manifest not in there:
        raise OutputError(f"{out.name}: has files of something else: choose another --out")
    try:
        content = json.loads(manifest.read())
        if content["made_by"] != "archive":
            raise KeyError
        settings: dict[str, Any] = content["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{manifest.name}: is not of an archive: choose another --out") from error
    return settings


def write_manifest(out: Store, settings: Mapping[str, Any], counts: Mapping[str, int] | None) -> None:
    """Write how the rows were made, and how many there are; None while they are being made.

    Raises:
        OutputError: it cannot be written.
    """
    out.join(MANIFEST).write(
        (json.dumps({"made_by": "archive", "settings": settings, "counts": counts}, indent=1) + "\n").encode()
    )


def _tables(out: Store, columns: list[str] | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in out.join(ROWS).files():
        if not file.key.endswith(".parquet"):  # one that is being written
            continue
        with file.open() as opened:
            try:
                yield pq.ParquetFile(opened).read(columns)
            except (pa.ArrowInvalid, KeyError) as error:
                raise OutputError(f"{file.name}: damaged: remove it, and the next run makes it again") from error
