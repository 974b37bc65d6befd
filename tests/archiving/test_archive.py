from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from detector import archive
from detector.archiving.listing import list_archive, shards_of
from detector.archiving.results import read_manifest
from detector.archiving.stores import Store
from detector.archiving.worker import Settings, Worker, digests
from detector.data import voc
from detector.errors import OutputError, SourceError
from detector.media import images

SAMPLE = Path(__file__).resolve().parents[2] / "data/images"
NAMES = ("hopper_bare.jpg", "hopper_surgical_mask.jpg", "no_face_coffee.jpg", "pair_two_masks.jpg")
ENVIRONMENT = {**os.environ, "RAY_worker_niceness": "0", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
OPTIONS = {"weights": None, "faces": "ssd", "conf": None, "iou": None, "imgsz": None, "device": "cpu"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures in a folder, two in one below it."""
    for name, folder in zip(NAMES, ("", "", "2024", "2024/may"), strict=True):
        (tmp_path / "photos" / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLE / name, tmp_path / "photos" / folder)
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def cluster() -> Iterator[subprocess.Popen[str]]:
    """A Ray of one core, which ``address`` leads to."""
    command = [sys.executable, "-m", "tests.archiving.cluster"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout
        process.address = process.stdout.readline().strip()  # type: ignore[attr-defined]
        yield process
        assert process.stdin
        process.stdin.close()


def tell(cluster: subprocess.Popen[str], word: str) -> None:
    assert cluster.stdin
    assert cluster.stdout
    cluster.stdin.write(f"{word}\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "done\n"


def command(*flags: object) -> list[str]:
    return [sys.executable, "-m", "detector.archive", *map(str, flags)]


def run(*flags: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*flags), capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def rows_in(out: Path) -> list[dict[str, Any]]:
    files = (out / "rows").glob("*.parquet")
    rows: list[dict[str, Any]] = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: str(row["path"]))


def worker(out: Path, *copies: str, row_per_face: bool = False, base: str = "") -> Worker:
    weights = digests("single-stage", OPTIONS)
    return Worker(Settings("single-stage", OPTIONS, weights, Store.at(str(out)), row_per_face, copies, base))


def work(worker: Worker, *sources: object) -> None:
    for shard in shards_of([item for source in sources for item in list_archive(str(source))]):
        worker({"shard": [pickle.dumps(shard)]})


def test_an_archives_rows_are_what_run_says_and_a_second_run_adds_what_is_new(
    photos: Path, tmp_path: Path, cluster: Any
) -> None:
    (photos / "broken.jpg").write_bytes((SAMPLE / NAMES[0]).read_bytes()[:3000])
    (photos / "notes.txt").write_text("no picture")
    out, flags = tmp_path / "found", ("--shard", 2, "--address", cluster.address)
    assert "1 image could not be read" in run("--source", photos, "--out", out, *flags, code=1).stdout
    said = tmp_path / "said.json"
    source = str(photos / "**" / "*.jpg")
    subprocess.run([sys.executable, "-m", "detector.run", source, "--json", str(said)], check=False, timeout=120)
    expected = {line["source"]: line for line in map(json.loads, said.read_text().splitlines())}
    readable = [row for row in rows_in(out) if row["error"] is None]
    assert {row["path"] for row in readable} == set(expected)
    for row in readable:
        line = expected[row["path"]]
        assert (row["width"], row["height"]) == (line["width"], line["height"])
        faces = [
            ([face[x] for x in ("x1", "y1", "x2", "y2")], face["confidence"], face["class"]) for face in row["faces"]
        ]
        assert faces == [(face["box"], face["confidence"], face["class"]) for face in line["faces"]]
    (broken,) = [row for row in rows_in(out) if row["error"]]
    assert (broken["path"], broken["width"], broken["faces"]) == (str(photos / "broken.jpg"), None, [])

    before = {file: file.stat().st_mtime_ns for file in (out / "rows").iterdir()}
    shutil.copy(SAMPLE / NAMES[0], photos / "new.jpg")
    assert "6 images, 5 of them done before" in run("--source", photos, "--out", out, *flags, code=1).stdout
    assert len(rows_in(out)) == len({row["path"] for row in rows_in(out)}) == 6
    assert before.items() <= {file: file.stat().st_mtime_ns for file in (out / "rows").iterdir()}.items()
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert (counts["images"], counts["unreadable"]) == (6, 1)
    assert counts["faces"] == sum(len(row["faces"]) for row in rows_in(out))


@pytest.mark.slow
def test_a_machine_that_is_lost_half_way_costs_nothing(tmp_path: Path, cluster: Any) -> None:
    for number in range(24):
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(SAMPLE / NAMES[number % 4], tmp_path / "photos" / f"{number}.jpg")
    tell(cluster, "add")
    out = tmp_path / "found"
    flags = command("--source", tmp_path / "photos", "--out", out, "--shard", 2, "--address", cluster.address)
    with subprocess.Popen(flags, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for_rows(out)
        tell(cluster, "kill")
        assert process.wait(300) == 0
    assert [row["path"] for row in rows_in(out)] == sorted(str(path) for path in (tmp_path / "photos").iterdir())


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(SAMPLE / NAMES[number % 4], tmp_path / "photos" / f"{number}.jpg")
    out = tmp_path / "found"
    flags = ("--source", tmp_path / "photos", "--out", out, "--shard", 2)
    with subprocess.Popen(command(*flags), env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        wait_for_rows(out)
        process.send_signal(signal.SIGKILL)
    (out / "rows/part-1.parquet.0a0b.mask-detector-part").write_bytes(b"PAR1")  # as a kill within a write leaves it
    before = len(rows_in(out))
    assert f"12 images, {before} of them done before" in run(*flags).stdout or before < len(rows_in(out))
    assert [row["path"] for row in rows_in(out)] == sorted(str(path) for path in (tmp_path / "photos").iterdir())
    assert {path.suffix for path in (out / "rows").iterdir()} == {".parquet"}


def wait_for_rows(out: Path) -> None:
    for _ in range(1200):
        if (out / "rows").is_dir() and any((out / "rows").glob("*.parquet")):
            return
        time.sleep(0.1)
    raise AssertionError("no rows")


def test_what_lies_in_s3_is_read_and_written_there(cluster: Any) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        bucket = pyarrow.fs.S3FileSystem(
            access_key="a",
            secret_key="b",  # noqa: S106 - of no account
            endpoint_override=f"127.0.0.1:{port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        bucket.create_dir("door/in")
        for name in NAMES[:2]:
            with bucket.open_output_stream(f"door/in/{name}") as file:
                file.write((SAMPLE / name).read_bytes())
        flags = ("--source", f"s3://door/in?{options}", "--out", f"s3://door/out?{options}", "--annotated")
        done = run(*flags, "--address", cluster.address)
        assert "secret" not in done.stdout + done.stderr
        rows = pq.read_table("door/out/rows", filesystem=bucket).to_pylist()
        assert [row["path"] for row in rows] == [f"s3://door/in/{name}" for name in NAMES[:2]]
        copies = [info.path for info in bucket.get_file_info(pyarrow.fs.FileSelector("door/out/annotated"))]
        assert copies == [f"door/out/annotated/{name}" for name in NAMES[:2]]
        assert "2 images, 2 of them done before" in run(*flags, "--address", cluster.address).stdout
    finally:
        server.stop()


def test_parquet_files_that_hold_bytes_are_archives(tmp_path: Path) -> None:
    contents = [{"bytes": (SAMPLE / name).read_bytes(), "path": name} for name in NAMES] + [
        {"bytes": None, "path": "x"}
    ]
    table = pa.table({"image": contents, "label": list(range(5))})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2)
    work(worker(tmp_path / "out", "annotated", base=str(tmp_path)), tmp_path / "data.parquet")
    rows = rows_in(tmp_path / "out")
    assert [row["path"] for row in rows] == [f"{tmp_path / 'data.parquet'}#{number}" for number in range(5)]
    assert [len(row["faces"]) for row in rows] == [1, 1, 0, 2, 0]
    assert "no bytes" in rows[4]["error"]
    assert sorted(path.name for path in (tmp_path / "out/annotated").iterdir()) == [
        f"data.parquet_{number}.jpg" for number in range(4)
    ]


@pytest.mark.parametrize("suffix", ["txt", "csv", "parquet"])
def test_a_list_names_the_images(suffix: str, photos: Path) -> None:
    paths = [f"photos/{NAMES[0]}", str(photos / NAMES[1])]
    file = photos.parent / f"list.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.table({"path": paths}), file)
    else:
        file.write_text(
            "\n".join(
                [*(["camera,path"] if suffix == "csv" else []), *(("1," * (suffix == "csv")) + path for path in paths)]
            )
        )
    assert [item.path for item in list_archive(str(file))] == [str(photos / name) for name in NAMES[:2]]


def test_a_row_per_face_has_one_for_an_image_without_faces_too(photos: Path, tmp_path: Path) -> None:
    work(worker(tmp_path / "out", row_per_face=True), photos)
    rows = rows_in(tmp_path / "out")
    assert [Path(row["path"]).name for row in rows] == [NAMES[3], NAMES[3], NAMES[2], NAMES[0], NAMES[1]]
    assert [row["class"] for row in rows] == ["with_mask", "with_mask", None, "without_mask", "with_mask"]


def test_copies_keep_the_archives_folders(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    work(worker(out, "annotated", "xml", "blurred", base=str(photos)), photos)
    assert (out / f"annotated/2024/may/{NAMES[3]}").is_file()
    assert len(voc.read((out / f"xml/2024/may/{NAMES[3]}").with_suffix(".xml")).boxes) == 2
    assert not (out / f"xml/2024/{NAMES[2]}").with_suffix(".xml").exists()
    blurred, original = images.read(out / f"blurred/{NAMES[0]}"), images.read(SAMPLE / NAMES[0])
    assert blurred.shape == original.shape
    assert not rows_in_blurred(out / f"blurred/{NAMES[0]}", tmp_path)


def rows_in_blurred(picture: Path, tmp_path: Path) -> list[Any]:
    work(worker(tmp_path / "again"), picture)
    faces: list[Any] = rows_in(tmp_path / "again")[0]["faces"]
    return faces


def test_what_cannot_be_is_said_in_one_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    for flags, said in (
        (["--source", str(tmp_path / "nothing"), "--out", out], "no images there"),
        (["--source", str(photos), "--out", str(photos / "out")], "is within the archive"),
        (["--source", str(photos), "--out", str(photos.parent)], "has files of something else"),
        (["--source", "ftp://a/b", "--out", out], "name a folder, s3://, gs:// or hdfs://"),
        (["--source", str(photos), "--out", out, "--weights", "none.onnx"], "none.onnx"),
        (["--source", str(photos), "--out", out, "--address", "127.0.0.1:1"], "no Ray answers"),
    ):
        assert archive.main(flags) == 2, flags
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_a_shipped_network_is_told_to_the_workers_by_its_name(tmp_path: Path) -> None:
    flags = ["--source", str(SAMPLE), "--out", str(tmp_path), "--weights"]
    for weights, told in (("pico", "pico"), (str(SAMPLE.parents[1] / "weights/pico.onnx"), "pico")):
        args = archive._build_parser().parse_args([*flags, weights])
        settings = archive._settings(args, Store.at(str(tmp_path / "out")))
        assert settings.options["weights"] == told
        assert settings.weights == digests("single-stage", {**OPTIONS, "weights": "pico"})


def test_an_output_folder_has_rows_of_one_making(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text(json.dumps({"made_by": "archive", "settings": {"conf": 0.9}, "counts": None}))
    assert archive.main(["--source", str(photos), "--out", str(out)]) == 2
    assert "choose another --out" in capsys.readouterr().err
    (out / "manifest.json").write_text("{}")
    with pytest.raises(OutputError, match="not of an archive"):
        read_manifest(Store.at(str(out)))


def test_the_same_images_make_the_same_shards_and_a_path_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "a?b=c #1").mkdir()
    for name in ("1.jpg", "2.jpg", "3%20.jpg"):
        shutil.copy(SAMPLE / NAMES[0], tmp_path / "a?b=c #1" / name)
    items = list_archive(str(tmp_path))
    assert [shard.name for shard in shards_of(items, 2)] == [shard.name for shard in shards_of(items[::-1], 2)]
    assert [len(item.store.read()) for item in items] == [(SAMPLE / NAMES[0]).stat().st_size] * 3
    (tmp_path / "a?b=c #1/1.jpg").unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        items[0].store.read()
