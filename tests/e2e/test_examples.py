"""The examples run as they stand and give the right answers."""

import os
import re
import subprocess
import sys

import c_api
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from server import ROOT


def test_the_shell_example_finds_the_worst_hours(server, flights):
    for _ in range(2):  # it may be run again
        done = subprocess.run(
            ["bash", ROOT / "examples" / "flights.sh"],
            capture_output=True,
            text=True,
            env={**os.environ, "ARROWPORT_URL": server.url},
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"rows":200000' in done.stdout.replace(" ", "")
    lines = done.stdout.replace("\r", "").splitlines()
    rows = [line.split(",") for line in lines[lines.index("hour,flights,minutes") + 1 :]]
    hours = flights.append_column("hour", pc.floor(flights["time"]))
    want = hours.group_by("hour").aggregate([("delay", "count"), ("delay", "mean")])
    want = want.filter(pc.greater(want["delay_count"], 1000)).sort_by(
        [("delay_mean", "descending")]
    )
    assert [(int(h), int(n)) for h, n, _ in rows] == [
        (int(r["hour"]), r["delay_count"]) for r in want.slice(0, 3).to_pylist()
    ]
    assert [float(m) for _, _, m in rows] == [
        round(r["delay_mean"], 1) for r in want.slice(0, 3).to_pylist()
    ]


def test_the_python_example_counts_late_flights_by_distance(server, flights):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "flights.py", server.url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^ *(\d+) +([\d,]+) +([\d.]+) %$", done.stdout, re.M)
    assert sum(int(n.replace(",", "")) for _, n, _ in rows) == 200_000
    near = flights.filter(pc.less(flights["distance"], 500))
    late = pc.sum(pc.greater(near["delay"], 15)).as_py()
    assert rows[0] == ("0", f"{near.num_rows:,}", str(round(100 * late / near.num_rows, 1)))


def compiled(name, folder):
    """An example in C, compiled against the library under test."""
    library = c_api.library_path()
    command = [os.environ.get("CC", "cc"), "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    command += ["-I", ROOT / "include", ROOT / "examples" / f"{name}.c", "-o", folder / name]
    subprocess.run([*command, library, f"-Wl,-rpath,{library.parent}"], check=True, timeout=60)

    def run(*arguments):
        return subprocess.run(
            [folder / name, *arguments], capture_output=True, text=True, timeout=60
        )

    return run


@pytest.fixture
def ipc_example(tmp_path):
    return compiled("ipc", tmp_path)


def test_the_c_example_says_what_is_in_a_stream_and_writes_it_as_a_file(ipc_example, tmp_path):
    batches = [pa.record_batch({"id": [1, 2, 3], "word": ["a", None, "c" * 10_000]}) for _ in "ab"]
    with pa.ipc.new_stream(tmp_path / "from.arrows", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    done = ipc_example(tmp_path / "from.arrows", tmp_path / "to.arrow")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "id: l\nword: u\n3 rows\n3 rows\n"
    written = pa.ipc.open_file(tmp_path / "to.arrow")
    assert written.read_all() == pa.Table.from_batches(batches)
    assert (tmp_path / "to.arrow").stat().st_size < (tmp_path / "from.arrows").stat().st_size / 5


def test_the_c_example_copies_flights(ipc_example, flights_path, flights, tmp_path):
    done = ipc_example(flights_path, tmp_path / "flights.arrow")
    assert done.stdout == "delay: s\ndistance: s\ntime: f\n200000 rows\n"
    assert pa.ipc.open_file(tmp_path / "flights.arrow").read_all() == flights


def test_the_c_example_says_what_is_wrong(ipc_example, flights_path, tmp_path):
    (tmp_path / "cut.arrow").write_bytes(flights_path.read_bytes()[:1000])
    for arguments, said in (
        ([], "FROM TO"),
        ([tmp_path / "none", tmp_path / "to"], "none"),
        ([tmp_path / "cut.arrow", tmp_path / "to"], "truncated"),
        ([flights_path, tmp_path / "no" / "folder"], "folder"),
    ):
        done = ipc_example(*arguments)
        assert done.returncode == 1
        assert said in done.stderr


def test_the_parquet_example_writes_flights_and_says_what_columns_take(
    flights_path, flights, tmp_path
):
    example = compiled("parquet", tmp_path)
    done = example(flights_path, tmp_path / "flights.parquet")
    assert done.returncode == 0, done.stderr
    said = re.findall(r"^(\w+): (\w+), (\d+) values, (\d+) nulls, (\d+) bytes$", done.stdout, re.M)
    assert [row[:4] for row in said] == [
        ("delay", "INT32", "200000", str(flights["delay"].null_count)),
        ("distance", "INT32", "200000", str(flights["distance"].null_count)),
        ("time", "FLOAT", "200000", str(flights["time"].null_count)),
    ]
    assert pa.parquet.read_table(tmp_path / "flights.parquet") == flights
    for arguments, words in (
        ([], "FROM TO"),
        ([tmp_path / "none", tmp_path / "to"], "none"),
        ([flights_path, tmp_path / "no" / "folder"], "folder"),
    ):
        done = example(*arguments)
        assert done.returncode == 1 and words in done.stderr
