"""The C API's Parquet writer against pyarrow and DuckDB: what is written they read, who owns what,
and what is told about it."""

import ctypes
import struct

import c_api
import c_api_parquet as api
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCHEMA = pa.schema([
    pa.field("id", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "3"}),
    pa.field("word", pa.string()),
    pa.field("place", pa.struct([("x", pa.float64()), ("tags", pa.list_(pa.int32()))])),
])


def batch(first, rows, schema=SCHEMA):
    return pa.record_batch(
        [
            pa.array(range(first, first + rows), pa.int64()),
            pa.array([None if i % 3 == 0 else f"w{i % 10}" for i in range(first, first + rows)]),
            pa.array(
                [{"x": float("nan") if i % 10 == 0 else i / 2, "tags": [i] * (i % 3)}
                 for i in range(first, first + rows)],
                schema.field("place").type,
            ),
        ],
        schema=schema,
    )


def read(data):
    return pq.read_table(pa.BufferReader(data))


def refused(call, *arguments, **more):
    with pytest.raises(c_api.ArrowportError) as told:
        call(*arguments, **more)
    return told.value.status, told.value.text


def test_batches_and_streams_become_a_file(tmp_path):
    batches = [batch(i * 1000, 1000) for i in range(6)]
    with api.Writer(SCHEMA, path=tmp_path / "a.parquet") as writer:
        writer.add(batches[0])
        writer.add_stream(pa.RecordBatchReader.from_batches(SCHEMA, batches[1:4]))
        writer.end_row_group()
        for one in batches[4:]:
            writer.add(one)
        assert list(tmp_path.iterdir()) != [tmp_path / "a.parquet"]
        writer.finish()
        assert writer.progress().rows == 6000 and writer.progress().row_groups == 2
        assert writer.progress().bytes == (tmp_path / "a.parquet").stat().st_size
        assert refused(writer.add, batches[0])[0] == "INVALID"
        assert refused(writer.finish)[0] == "INVALID"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.parquet"]
    table = pa.Table.from_batches(batches)
    found = pq.read_table(tmp_path / "a.parquet")
    assert found.schema.equals(SCHEMA)
    assert [str(row) for row in found.to_pylist()] == [str(row) for row in table.to_pylist()]
    con = duckdb.connect()
    assert con.execute(
        "SELECT count(*), sum(id), count(word) FROM read_parquet(?)",
        [str(tmp_path / "a.parquet")],
    ).fetchone() == (6000, sum(range(6000)), 4000)


def test_what_columns_hold_is_told():
    with api.Writer(SCHEMA) as writer:
        assert refused(writer.column, 0)[0] == "INVALID"
        writer.add(batch(0, 100))
        writer.finish()
        assert writer.column_count() == 4
        columns = [writer.column(i) for i in range(4)]
        assert refused(writer.column, 4)[0] == "INVALID"
        assert refused(writer.column, -1)[0] == "INVALID"
        about = pq.ParquetFile(pa.BufferReader(writer.bytes())).metadata.row_group(0)
        assert [c.compressed_bytes for c in columns] == [
            about.column(i).total_compressed_size for i in range(4)]
    assert [(c.path, c.field_id, c.type, c.values, c.nulls, c.nans) for c in columns] == [
        ("id", 3, "INT64", 100, 0, None),
        ("word", None, "BYTE_ARRAY", 100, 34, None),
        ("place.x", None, "DOUBLE", 100, 0, 10),
        ("place.tags.list.element", None, "INT32", 133, 34, None),
    ]
    assert (columns[0].min, columns[0].max) == (struct.pack("<q", 0), struct.pack("<q", 99))
    assert (columns[1].min, columns[1].max) == (b"w0", b"w9") and columns[1].is_exact
    assert (columns[3].min, columns[3].max) == (struct.pack("<i", 1), struct.pack("<i", 98))


def test_options_are_heeded():
    batches = [batch(0, 5000)]
    data = api.write(
        SCHEMA, batches, compression="gzip", level=9, row_group_rows=1000, page_version=2,
        columns=[("id", "delta", True), ("word", "delta_bytes", False), ("place", None, False)],
        sorting=[("id", False, True)], metadata=[("made by", "a test")], no_arrow_schema=True,
        threads=1,
    )
    file = pq.ParquetFile(pa.BufferReader(data))
    assert file.metadata.num_row_groups == 5
    about = file.metadata.row_group(4)
    assert about.column(0).compression in ("GZIP", "UNCOMPRESSED")
    assert "DELTA_BINARY_PACKED" in about.column(0).encodings
    assert "DELTA_BYTE_ARRAY" in about.column(1).encodings
    assert about.sorting_columns[0].nulls_first
    assert file.metadata.metadata[b"made by"] == b"a test"
    assert b"ARROW:schema" not in file.metadata.metadata
    assert file.read().num_rows == 5000


@pytest.mark.parametrize("more, status, word", [
    ({"compression": "brotli"}, "INVALID", "brotli"),
    ({"compression": "snappy", "level": 1}, "INVALID", "level 1"),
    ({"level": 23}, "INVALID", "1 to 22"),
    ({"row_group_rows": -1}, "INVALID", "row_group_rows"),
    ({"page_version": 3}, "INVALID", "page_version"),
    ({"bound_bytes_max": 65}, "INVALID", "bound_bytes_max"),
    ({"bloom_false_positives": 1.5}, "INVALID", "bloom_false_positives"),
    ({"threads": -1}, "INVALID", "threads"),
    ({"columns": [("id", "fast", False)]}, "INVALID", "'fast'"),
    ({"columns": [(None, None, True)]}, "INVALID", "columns[0]"),
    ({"columns": [("plcae", None, True)]}, "NOT_FOUND", "place"),
    ({"sorting": [("nothing", False, False)]}, "NOT_FOUND", "nothing"),
    ({"metadata": [(None, "x")]}, "INVALID", "metadata[0]"),
])
def test_options_that_cannot_be_are_named(more, status, word, tmp_path):
    told = refused(api.Writer, SCHEMA, path=tmp_path / "x.parquet", **more)
    assert told[0] == status and word in told[1]
    assert list(tmp_path.iterdir()) == []


def test_older_and_newer_options_are_taken():
    short = api.options(compression="none")
    short.struct_size = api.COptions.level.offset
    with api.Writer(SCHEMA, chosen=short) as writer:
        writer.add(batch(0, 10))
        writer.finish()
        assert read(writer.bytes()).num_rows == 10

    class Longer(ctypes.Structure):
        _fields_ = [("known", api.COptions), ("more", ctypes.c_int64)]

    longer = Longer(known=api.options())
    longer.known.struct_size = ctypes.sizeof(Longer)
    api.Writer(SCHEMA, chosen=longer).close()
    longer.more = 1
    assert refused(api.Writer, SCHEMA, chosen=longer)[0] == "UNSUPPORTED"
    longer.known.struct_size = 0
    assert refused(api.Writer, SCHEMA, chosen=longer)[0] == "INVALID"


def test_a_batch_is_taken_when_it_was_and_kept_when_not():
    with api.Writer(SCHEMA) as writer:
        good = api.export(batch(0, 10))
        writer.add_c(good)
        assert not good.release
        other = pa.record_batch({"id": pa.array(["a", "b"])})
        bad = api.export(other)
        assert refused(writer.add_c, bad)[0] in ("INVALID", "SCHEMA")
        assert bad.release
        c_api._release(bad)
        assert refused(writer.add_c, good)[0] == "INVALID"
        writer.finish()
        assert read(writer.bytes()).num_rows == 10


def test_a_null_in_a_required_column_names_its_row():
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    rows = pa.record_batch([pa.array([1, 2, None, 4], pa.int64())], schema=schema)
    with api.Writer(schema) as writer:
        try:
            writer.add(rows)  # may be found when the rows are encoded
            told = refused(writer.finish)
        except c_api.ArrowportError as error:
            told = error.status, error.text
    assert told[0] == "SCHEMA" and "id" in told[1] and "2" in told[1]


def test_a_stream_of_another_schema_or_that_fails_is_released():
    with api.Writer(SCHEMA) as writer:
        other = pa.RecordBatchReader.from_batches(
            pa.schema([("id", pa.int32())]), [pa.record_batch({"id": pa.array([1], pa.int32())})]
        )
        status, text = refused(writer.add_stream, other)
        assert status == "SCHEMA" and "schema" in text

        def failing():
            yield batch(0, 10)
            raise ValueError("it broke")

        status, text = refused(
            writer.add_stream, pa.RecordBatchReader.from_batches(SCHEMA, failing())
        )
        assert "it broke" in text
        writer.finish()
        assert read(writer.bytes()).num_rows == 10


def test_a_function_that_fails_is_told_and_stays_failed():
    calls = []

    def write(data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError("full")

    with api.Writer(SCHEMA, write=write, row_group_rows=100) as writer:
        seen = []
        for i in range(10):
            try:
                writer.add(batch(i * 1000, 1000))
                writer.end_row_group()
            except c_api.ArrowportError as error:
                seen.append(error.status)
        assert seen and set(seen) == {"IO"}
        count = len(calls)
        assert refused(writer.finish)[0] == "IO"
        assert len(calls) == count


def test_a_file_that_was_not_finished_is_not_there(tmp_path):
    (tmp_path / "old.parquet").write_text("old")
    for name in ("old", "new"):
        with api.Writer(SCHEMA, path=tmp_path / f"{name}.parquet") as writer:
            writer.add(batch(0, 1000))
    assert [path.name for path in tmp_path.iterdir()] == ["old.parquet"]
    assert (tmp_path / "old.parquet").read_text() == "old"
    told = refused(api.Writer, SCHEMA, path=tmp_path / "old.parquet", keep_existing=True)
    assert told[0] == "CONFLICT"
    assert refused(api.Writer, SCHEMA, path=tmp_path / "no" / "x.parquet")[0] == "NOT_FOUND"


def test_types_that_parquet_lacks_are_refused_by_name():
    schema = pa.schema([("ok", pa.int8()), ("gap", pa.month_day_nano_interval())])
    status, text = refused(api.Writer, schema)
    assert status == "UNSUPPORTED" and "gap" in text
