"""`arrowport convert`: what comes in by every way goes out as others read it, rows are sorted for
real, and the output is there whole or not at all."""

import decimal
import json
import os
import pty
import re
import signal
import subprocess
import time

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from arrow_tools import written

from server import binary, environment, ipc, read_arrow, run

INVALID, SCHEMA, NOT_FOUND, CONFLICT, UNSUPPORTED, IO = 2, 3, 4, 6, 10, 12
ROWS = 5000


def said(done):
    return done.stderr.decode()


def good(done):
    assert done.returncode == 0, said(done)
    return done.stdout.decode()


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def table():
    return pa.table({
        "id": pa.array(range(ROWS), pa.int64()),
        "name": pa.array([None if i % 7 == 0 else f"n{i * 7919 % 100}" for i in range(ROWS)]),
        "value": pa.array([i * 31 % 997 / 8 for i in range(ROWS)], pa.float64()),
    })


@pytest.fixture(scope="module")
def rich():
    """Types that CSV has not, and metadata."""
    fields = [
        pa.field("when", pa.timestamp("us", "Europe/Paris")),
        pa.field("word", pa.dictionary(pa.int8(), pa.string())),
        pa.field("price", pa.decimal128(12, 3)),
        pa.field("tags", pa.list_(pa.field("element", pa.int16()))),
        pa.field("place", pa.struct([("city", pa.string()), ("zip", pa.uint32())])),
        pa.field("id", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "7"}),
    ]
    rows = range(ROWS)
    columns = [
        pa.array([None if i % 5 == 0 else i * 1_000_003 for i in rows], pa.int64()),
        pa.DictionaryArray.from_arrays(
            pa.array([[0, 1, None][i % 3] for i in rows], pa.int8()), ["red", "green"]
        ),
        pa.array([None if i % 11 == 0 else decimal.Decimal(i) / 8 for i in rows], fields[2].type),
        pa.array([None if i % 4 == 0 else [i % 9] * (i % 3) for i in rows], fields[3].type),
        pa.array(
            [None if i % 6 == 0 else {"city": f"c{i % 50}", "zip": i} for i in rows],
            fields[4].type,
        ),
        pa.array(rows, pa.int64()),
    ]
    arrays = [column.cast(field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata={"made by": "a test"}))


def read(path, kind):
    if kind == "parquet":
        return pq.read_table(path)
    if kind == "arrow":
        return pa.ipc.open_file(path).read_all()
    return read_arrow(path.read_bytes())


KINDS = ["parquet", "csv", "csv.gz", "ndjson", "arrow", "arrows"]

# ---- formats ------------------------------------------------------------------------------


@pytest.mark.asan
@pytest.mark.parametrize("to", ["parquet", "arrow", "arrows"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_every_other(kind, to, table, tmp_path):
    path = written(table, kind, tmp_path / f"in.{kind}")
    text = good(run("convert", path, f"out.{to}", cwd=tmp_path))
    assert re.fullmatch(
        rf".*in\.{kind} -> out\.{to}: 5,000 rows in \d+ (row group|batch)e?s?, "
        r"\d+\.\d MB -> \d+\.\d MB \(\d+\.\d\d s\)\n", text
    )
    assert read(tmp_path / f"out.{to}", to).equals(table)
    assert left(tmp_path) == sorted([f"in.{kind}", f"out.{to}"])


@pytest.mark.parametrize("to", ["parquet", "arrow", "arrows"])
def test_types_and_metadata_stay_as_they_are(to, rich, tmp_path):
    written(rich, "arrow", tmp_path / "in.arrow")
    good(run("convert", "in.arrow", f"out.{to}", cwd=tmp_path))
    found = read(tmp_path / f"out.{to}", to)
    assert found.equals(rich)
    assert found.schema.equals(rich.schema) and found.schema.metadata == rich.schema.metadata
    if to == "parquet":
        found = pq.read_schema(tmp_path / "out.parquet")
        assert found.field("id").metadata[b"PARQUET:field_id"] == b"7"
        assert not found.field("id").nullable


@pytest.mark.parametrize("way", ["in", "out", "both"])
def test_standard_input_and_output(way, table, tmp_path):
    stream = ipc(table, max_chunksize=1000)
    (tmp_path / "in.arrows").write_bytes(stream)
    source = "in.arrows" if way == "out" else "-"
    sink = "out.arrow" if way == "in" else "-"
    given = None if way == "out" else stream
    done = run("convert", source, sink, cwd=tmp_path, stdin=given)
    assert done.returncode == 0, said(done)
    if way == "in":
        assert read(tmp_path / "out.arrow", "arrow").equals(table)
        assert b"standard input -> out.arrow: 5,000 rows in 5 batches, " in done.stdout
    else:
        assert read_arrow(done.stdout).equals(table)
        assert "-> standard output: 5,000 rows" in said(done)


def test_parquet_goes_to_standard_output(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    done = run("convert", "in.arrow", "-", "--to", "parquet", "-q", cwd=tmp_path)
    assert done.returncode == 0 and said(done) == ""
    assert pq.read_table(pa.BufferReader(done.stdout)).equals(table)


def test_the_summary_as_json(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    for out, parts in (("out.parquet", "row_groups"), ("out.arrow", "batches")):
        summary = json.loads(good(run("convert", "in.arrow", out, "--json", cwd=tmp_path)))
        assert summary["rows"] == ROWS and summary[parts] == (1 if out[4] == "p" else 5)
        assert summary["bytes_in"] == (tmp_path / "in.arrow").stat().st_size
        assert summary["bytes_out"] == (tmp_path / out).stat().st_size
        assert 0 <= summary["seconds"] < 60


# ---- options ------------------------------------------------------------------------------


def column(path, name, group=0):
    about = pq.ParquetFile(path).metadata.row_group(group)
    return next(
        about.column(i) for i in range(about.num_columns)
        if about.column(i).path_in_schema == name
    )


@pytest.mark.asan
def test_what_is_asked_of_a_parquet_file_is_in_it(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    for codec, name in (("none", "UNCOMPRESSED"), ("snappy", "SNAPPY"), ("zstd", "ZSTD"),
                        ("lz4", "LZ4"), ("gzip", "GZIP")):
        good(run("convert", "in.arrow", f"{codec}.parquet", "--compression", codec, cwd=tmp_path))
        path = tmp_path / f"{codec}.parquet"
        assert column(path, "name").compression in (name, "LZ4_RAW", "UNCOMPRESSED")
        assert pq.read_table(path).equals(table)
    good(run("convert", "in.arrow", "many.parquet", "--row-group-rows", 1000, "--encoding",
             "id=delta", "--encoding", "value=SPLIT", "--encoding", "name=delta_bytes",
             "--bloom", "name", "--bloom", "id", "--metadata", "made by=a test=yes",
             "--metadata", "empty=", "--page-version", 2, "--no-arrow-schema", cwd=tmp_path))
    file = pq.ParquetFile(tmp_path / "many.parquet")
    assert file.metadata.num_row_groups == 5
    assert "DELTA_BINARY_PACKED" in column(tmp_path / "many.parquet", "id").encodings
    assert "BYTE_STREAM_SPLIT" in column(tmp_path / "many.parquet", "value").encodings
    assert "DELTA_BYTE_ARRAY" in column(tmp_path / "many.parquet", "name").encodings
    assert file.metadata.metadata[b"made by"] == b"a test=yes"
    assert file.metadata.metadata[b"empty"] == b""
    assert b"ARROW:schema" not in file.metadata.metadata
    assert file.read().equals(table)
    con = duckdb.connect()
    path = str(tmp_path / "many.parquet")
    filters = con.execute(
        "SELECT path_in_schema, count(bloom_filter_offset) FROM parquet_metadata(?) GROUP BY ALL",
        [path],
    ).fetchall()
    assert dict(filters) == {"id": 5, "name": 5, "value": 0}
    found = con.execute("SELECT count(*) FROM read_parquet(?) WHERE name = 'n1'", [path]).fetchone()
    assert found == (pc.sum(pc.equal(table["name"], "n1")).as_py(),)


def test_a_compatible_file_has_old_encodings_only(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    good(run("convert", "in.arrow", "out.parquet", "--compatible", cwd=tmp_path))
    for name in table.column_names:
        encodings = set(column(tmp_path / "out.parquet", name).encodings)
        assert encodings <= {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}
    assert pq.read_table(tmp_path / "out.parquet").equals(table)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_arrow_is_compressed_too(codec, table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    for level in ([], ["--level", 9]):
        for out in ("out.arrow", "out.arrows"):
            good(run("convert", "in.arrow", out, "--compression", codec, "--force", *level,
                     cwd=tmp_path))
            assert (tmp_path / out).stat().st_size < (tmp_path / "in.arrow").stat().st_size * 0.8
            assert read(tmp_path / out, out[4:]).equals(table)


def test_one_thread_and_little_memory_do_the_same(table, tmp_path):
    for kind in ("csv", "ndjson", "arrow"):
        written(table, kind, tmp_path / f"in.{kind}")
        good(run("convert", f"in.{kind}", "out.parquet", "--threads", 1, "--memory-limit",
                 "64MiB" if kind == "arrow" else "200MiB", "--force", cwd=tmp_path))
        assert pq.read_table(tmp_path / "out.parquet").equals(table)


@pytest.mark.parametrize("args, code, words", [
    (["x.txt"], INVALID, [".parquet", "--to"]),
    (["x", "--to", "csv"], INVALID, ["--to", "parquet|arrow|arrows"]),
    (["x.arrow", "--from", "xml"], INVALID, ["--from", "ndjson"]),
    (["x.arrow", "--compression", "snappy"], INVALID, ["snappy", "lz4"]),
    (["x.parquet", "--compression", "brotli"], INVALID, ["brotli", "gzip"]),
    (["x.parquet", "--compression", "snappy", "--level", "3"], INVALID, ["snappy", "no levels"]),
    (["x.parquet", "--compression", "gzip", "--level", "10"], INVALID, ["10", "1 to 9"]),
    (["x.parquet", "--row-group-rows", "0"], INVALID, ["--row-group-rows"]),
    (["x.parquet", "--page-version", "3"], INVALID, ["--page-version"]),
    (["x.parquet", "--compatible", "--page-version", "2"], INVALID, ["--page-version"]),
    (["x.arrows", "--bloom", "id"], INVALID, ["--bloom", "Parquet"]),
    (["x.parquet", "--encoding", "id"], INVALID, ["--encoding", "COLUMN=delta"]),
    (["x.parquet", "--encoding", "id=fast"], INVALID, ["'fast'", "delta_length"]),
    (["x.parquet", "--metadata", "=x"], INVALID, ["KEY=VALUE"]),
    (["x.parquet", "--encoding", "vlaue=delta"], NOT_FOUND, ["vlaue", "value"]),
    (["x.parquet", "--bloom", "naem"], NOT_FOUND, ["naem", "name"]),
    (["x.parquet", "--sort", "vlaue:desc"], NOT_FOUND, ["--sort", "'vlaue'", "'value'"]),
    (["x.parquet", "--sort", "nothing_like_it"], NOT_FOUND, ["'nothing_like_it'"]),
    (["x.parquet", "--encoding", "name=delta"], None, ["name"]),
    (["nowhere/x.parquet"], NOT_FOUND, ["nowhere/x.parquet", "folder"]),
    (["."], INVALID, ["--to"]),
    ([".", "--to", "arrow"], INVALID, ["folder"]),
])
def test_mistakes_are_told_and_leave_nothing(args, code, words, table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    done = run("convert", "in.arrow", *args, cwd=tmp_path)
    assert done.returncode == code or (code is None and done.returncode in (INVALID, UNSUPPORTED))
    for word in words:
        assert word in said(done)
    assert left(tmp_path) == ["in.arrow"]


# ---- sorting ------------------------------------------------------------------------------


@pytest.mark.asan
@pytest.mark.parametrize("to", ["parquet", "arrow"])
def test_rows_are_sorted_and_the_file_says_so(to, table, tmp_path):
    written(table, "arrows", tmp_path / "in.arrows")
    out = tmp_path / f"out.{to}"
    good(run("convert", "in.arrows", out.name, "--sort", "name:desc:nulls_first", "--sort", "value",
             cwd=tmp_path))
    order = sorted(
        range(ROWS),
        key=lambda i: (
            table["name"][i].as_py() is not None,
            [-ord(c) for c in table["name"][i].as_py() or ""] + [0],
            table["value"][i].as_py(),
        ),
    )
    assert read(out, to).equals(table.take(order))
    if to == "parquet":
        sorting = pq.ParquetFile(out).metadata.row_group(0).sorting_columns
        assert [(s.column_index, s.descending, s.nulls_first) for s in sorting] == [
            (1, True, True), (2, False, False)]


def test_types_come_out_of_sorting_as_they_were(rich, tmp_path):
    written(rich, "arrow", tmp_path / "in.arrow")
    good(run("convert", "in.arrow", "out.arrow", "--sort", "place.zip:desc", cwd=tmp_path))
    found = read(tmp_path / "out.arrow", "arrow")
    assert found.schema.names == rich.schema.names
    assert found.schema.field("word").type == pa.string()  # a dictionary is sorted by its values
    assert found.schema.field("when").type == rich.schema.field("when").type
    assert found.schema.field("id").metadata == rich.schema.field("id").metadata
    assert not found.schema.field("id").nullable
    assert found.schema.metadata == rich.schema.metadata
    zips = [p and p["zip"] for p in rich["place"].to_pylist()]
    order = sorted(range(ROWS), key=lambda i: (zips[i] is None, -(zips[i] or 0), i))
    assert found.to_pylist() == rich.take(order).to_pylist()


@pytest.mark.parametrize("kind, words", [
    (pa.duration("us"), ["value", "duration"]),
    (pa.list_(pa.int64()), ["value", "list"]),
    (pa.run_end_encoded(pa.int32(), pa.int64()), ["value", "run"]),
])
def test_what_cannot_be_sorted_exactly_is_refused(kind, words, tmp_path):
    if pa.types.is_run_end_encoded(kind):
        value = pa.RunEndEncodedArray.from_arrays([3], [7], kind)
    else:
        value = pa.array([None, None, None], kind)
    table = pa.table({"id": [1, 2, 3], "value": value})
    written(table, "arrow", tmp_path / "in.arrow")
    key = "value" if pa.types.is_list(kind) else "id"
    done = run("convert", "in.arrow", "out.arrow", "--sort", key, cwd=tmp_path)
    assert done.returncode == UNSUPPORTED
    for word in words:
        assert word in said(done)
    assert left(tmp_path) == ["in.arrow"]


# ---- whole or not at all --------------------------------------------------------------------


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    (tmp_path / "out.arrows").write_text("mine")
    os.chmod(tmp_path / "out.arrows", 0o640)
    done = run("convert", "in.arrow", "out.arrows", cwd=tmp_path)
    assert done.returncode == CONFLICT and "--force" in said(done)
    assert (tmp_path / "out.arrows").read_text() == "mine"
    good(run("convert", "in.arrow", "out.arrows", "--force", cwd=tmp_path))
    assert read(tmp_path / "out.arrows", "arrows").equals(table)
    assert (tmp_path / "out.arrows").stat().st_mode & 0o777 == 0o640


def test_the_input_is_not_the_output(table, tmp_path):
    path = written(table, "arrow", tmp_path / "in.arrow")
    before = path.read_bytes()
    os.link(path, tmp_path / "other.arrow")
    os.symlink("in.arrow", tmp_path / "link.arrow")
    for out in ("in.arrow", "./in.arrow", "other.arrow", "link.arrow"):
        done = run("convert", "in.arrow", out, "--force", cwd=tmp_path)
        assert done.returncode == INVALID and "read and written at once" in said(done)
    assert path.read_bytes() == before


@pytest.mark.asan
@pytest.mark.parametrize("to", ["parquet", "arrow"])
def test_an_input_that_breaks_half_way_leaves_nothing(to, table, tmp_path):
    (tmp_path / "in.arrows").write_bytes(ipc(table, max_chunksize=100)[:-5000])
    (tmp_path / f"old.{to}").write_text("old")
    for out in ("new", "old"):
        done = run("convert", "in.arrows", f"{out}.{to}", "--force", cwd=tmp_path)
        assert done.returncode == INVALID and "truncated" in said(done)
    assert left(tmp_path) == ["in.arrows", f"old.{to}"]
    assert (tmp_path / f"old.{to}").read_text() == "old"


def test_a_full_disk_is_told(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    for to in ("parquet", "arrow"):
        done = run("convert", "in.arrow", "/dev/full", "--to", to, cwd=tmp_path)
        assert done.returncode == IO and "No space left" in said(done)
    good(run("convert", "in.arrow", "/dev/null", "--to", "parquet", cwd=tmp_path))


def test_a_reader_that_goes_is_told_without_a_signal(table, tmp_path):
    written(pa.concat_tables([table] * 20), "arrow", tmp_path / "in.arrow")
    process = subprocess.Popen(
        [binary(), "convert", "in.arrow", "-"], cwd=tmp_path, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(30) == IO
    assert b"standard output" in process.stderr.read()
    process.stderr.close()


ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def heed_signals():
    """Also where the tests themselves run under nohup, or behind a shell."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("sorts", [False, True])
def test_a_signal_ends_it_and_leaves_nothing(number, sorts, table, tmp_path):
    """The input is a pipe that has not ended: so it is on the way, however fast it is."""
    spill = tmp_path / "spill"
    spill.mkdir()
    stream = ipc(table, max_chunksize=100)
    more = ["--sort", "id"] if sorts else []
    process = subprocess.Popen(
        [binary(), "convert", "-", "out.parquet", *more], cwd=tmp_path,
        env=environment({"TMPDIR": str(spill)}), stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, preexec_fn=heed_signals,
    )
    process.stdin.write(stream[: len(stream) // 2])
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not (any(".tmp" in name for name in left(tmp_path)) and (not sorts or left(spill))):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(30) == -number
    process.stdin.close()
    process.stderr.close()
    assert left(tmp_path) == ["spill"] and left(spill) == []


def test_a_signal_that_is_ignored_stays_ignored(table, tmp_path):
    """As under nohup."""
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP; exec {binary()} convert - out.arrow -q"], cwd=tmp_path,
        env=environment(), stdin=subprocess.PIPE,
    )
    stream = ipc(table)
    process.stdin.write(stream[:1000])
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not left(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    process.stdin.write(stream[1000:])
    process.stdin.close()
    assert process.wait(30) == 0
    assert read(tmp_path / "out.arrow", "arrow").equals(table)


def test_nothing_binary_goes_to_a_terminal(table, tmp_path):
    written(table, "arrow", tmp_path / "in.arrow")
    master, slave = pty.openpty()
    done = subprocess.run(
        [binary(), "convert", "in.arrow", "-"], cwd=tmp_path, env=environment(), stdout=slave,
        stderr=subprocess.PIPE, timeout=60,
    )
    os.close(slave)
    os.close(master)
    assert done.returncode == INVALID and b"terminal" in done.stderr
