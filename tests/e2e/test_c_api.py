"""The public C API against pyarrow, polars and DuckDB: what they write is read, what is
written they read, and what was handed over lives as long as somebody holds it."""

import gc
import io
import os
import random
import re
import threading

import arrow_tools
import c_api
import duckdb
import polars as pl
import pyarrow as pa
import pytest

FORMATS = ["stream", "file"]
COMPRESSIONS = [None, "lz4", "zstd"]


def _more(rows):
    """What arrow_tools does not make: unions, runs, views of lists, extension types."""
    rng = random.Random(5)
    words = ["a", None, "long enough to lie apart from its view"]
    picked = [rng.choice(words) for _ in range(rows)]
    lists = [None if rng.random() < 0.2 else [rng.randrange(9)] * rng.randrange(4) for _ in picked]
    columns = {
        "string_view": pa.array(picked, pa.string_view()),
        "binary_view": pa.array([w and w.encode() for w in picked], pa.binary_view()),
        "list_view": pa.array(lists, pa.list_view(pa.int32())),
        "large_list_view": pa.array(lists, pa.large_list_view(pa.int32())),
        "uuid": pa.array([w and rng.randbytes(16) for w in picked], pa.uuid()),
        "runs": pa.RunEndEncodedArray.from_arrays(
            pa.array([rows // 3, rows], pa.int32()), pa.array(["x", None])
        ),
        "dense_union": pa.UnionArray.from_dense(
            pa.array([i % 2 for i in range(rows)], pa.int8()),
            pa.array([i // 2 for i in range(rows)], pa.int32()),
            [pa.array(range(rows)), pa.array([str(i) for i in range(rows)])],
        ),
        "sparse_union": pa.UnionArray.from_sparse(
            pa.array([i % 2 for i in range(rows)], pa.int8()),
            [pa.array(range(rows)), pa.array([str(i) for i in range(rows)])],
        ),
        "dictionary_of_dictionaries": pa.DictionaryArray.from_arrays(
            pa.array([i % 2 for i in range(rows)], pa.uint8()),
            pa.StructArray.from_arrays([pa.array(["x", "y"]).dictionary_encode()], ["word"]),
        ),
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def table():
    """Every type, in batches of 40 rows."""
    made = arrow_tools.table(arrow_tools.TYPES, 100, 1)
    more = _more(100)
    for name in more.column_names:
        made = made.append_column(name, more[name])
    return made


@pytest.fixture(scope="module")
def batches(table):
    return table.to_batches(max_chunksize=40)


def _by_pyarrow(schema, batches, format="stream", compression=None, metadata=None):
    sink = pa.BufferOutputStream()
    new = pa.ipc.new_stream if format == "stream" else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with new(sink, schema, options=options) as writer:
        for i, batch in enumerate(batches):
            writer.write_batch(batch, custom_metadata=metadata and metadata[i])
    return sink.getvalue()


def _opened(data, format="stream"):
    return pa.ipc.open_stream(data) if format == "stream" else pa.ipc.open_file(data)


def _numbers(rows=100_000, batches=4):
    schema = pa.schema([("id", pa.int64()), ("name", pa.utf8())])
    return schema, [
        pa.record_batch(
            [pa.array(range(i * rows, (i + 1) * rows)), pa.array(map(str, range(rows)))],
            schema=schema,
        )
        for i in range(batches)
    ]


def _refused(status, *said):
    """A context that expects an ArrowportError."""
    return pytest.raises(c_api.ArrowportError, match="(?s)" + ".*".join([status, *said]))


# ---- in and out ------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("format", FORMATS)
def test_what_pyarrow_writes_is_read_from_wherever(table, batches, format, compression, tmp_path):
    data = _by_pyarrow(table.schema, batches, format, compression)
    path = tmp_path / "rows.arrow"
    path.write_bytes(data)
    reads = [c_api.read_memory(data), c_api.read_path(path)]
    if format == "stream":
        reads.append(c_api.read_callback(io.BytesIO(data).read))
    for schema, read in reads:
        assert schema.equals(table.schema, check_metadata=True)
        assert len(read) == len(batches)
        for got, wanted in zip(read, batches, strict=True):
            got.validate(full=True)
            assert got.equals(wanted)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("format", FORMATS)
def test_pyarrow_reads_what_is_written(table, batches, format, compression):
    data = c_api.write(table.schema, batches, format=format, compression=compression)
    read = _opened(data, format).read_all()
    read.validate(full=True)
    assert read.schema.equals(table.schema, check_metadata=True)
    assert read.equals(table)


@pytest.mark.parametrize("format", FORMATS)
def test_slices_are_written_as_what_they_show(table, format):
    whole = table.combine_chunks().to_batches()[0]
    slices = [whole.slice(offset, 11) for offset in (0, 3, 64, 89)]
    read = _opened(c_api.write(table.schema, slices, format=format), format).read_all()
    assert read.equals(pa.Table.from_batches(slices))


def test_a_stream_arrives_in_pieces_of_one_byte(table, batches):
    data = io.BytesIO(_by_pyarrow(table.schema, batches))
    schema, read = c_api.read_callback(lambda room: data.read(1))
    assert pa.Table.from_batches(read).equals(table)


def test_a_pipe_is_read_as_it_comes(batches, table):
    data = _by_pyarrow(table.schema, batches)
    out, into = os.pipe()

    def feed():
        with open(into, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    schema, read = c_api.read_path(f"/dev/fd/{out}")
    thread.join()
    os.close(out)
    assert pa.Table.from_batches(read).equals(table)


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("format", FORMATS)
def test_schemas_without_columns_and_batches_without_rows(format, rows):
    none = pa.record_batch({"a": pa.array([1] * rows)}).select([])
    for batch in (none, pa.record_batch({"a": pa.array([], pa.list_(pa.utf8()))})):
        data = c_api.write(batch.schema, [batch, batch], format=format)
        schema, read = c_api.read_memory(data)
        assert schema == batch.schema
        assert [b.num_rows for b in read] == [batch.num_rows] * 2
        assert _opened(data, format).read_all().num_rows == 2 * batch.num_rows


@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_threads_change_nothing_but_the_time(compression, threads):
    schema, batches = _numbers()
    data = c_api.write(schema, batches, compression=compression, threads=threads)
    assert pa.ipc.open_stream(data).read_all().equals(pa.Table.from_batches(batches))
    _, read = c_api.read_memory(data, threads=threads)
    assert read == batches


def test_levels_of_compression_differ_in_size():
    schema, batches = _numbers(10_000, 1)
    for method, low, high in (("zstd", 1, 19), ("lz4", 1, 12)):
        sizes = [
            len(c_api.write(schema, batches, compression=method, level=level))
            for level in (low, high)
        ]
        assert sizes[0] > sizes[1]


# ---- dictionaries and metadata --------------------------------------------------------------


def _growing():
    """Batches whose dictionary has more words each time."""
    words = ["zero", "one", "two", "three", "four"]
    return [
        pa.record_batch(
            {"word": pa.DictionaryArray.from_arrays(pa.array([n, 0], pa.int8()), words[: n + 1])}
        )
        for n in range(5)
    ]


def _flat(batches):
    return [row["word"] for batch in batches for row in batch.to_pylist()]


def test_a_dictionary_that_grows_is_sent_as_deltas_when_asked_for():
    batches = _growing()
    whole = c_api.write(batches[0].schema, batches)
    deltas = c_api.write(batches[0].schema, batches, dictionary_deltas=True)
    for data, counted in ((whole, "num_replaced_dictionaries"), (deltas, "num_dictionary_deltas")):
        reader = pa.ipc.open_stream(data)
        assert _flat(reader) == _flat(batches)
        assert getattr(reader.stats, counted) == 4
        assert _flat(c_api.read_memory(data)[1]) == _flat(batches)


def test_deltas_of_pyarrow_are_read():
    batches = _growing()
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
        assert writer.stats.num_dictionary_deltas == 4
    _, read = c_api.read_memory(sink.getvalue())
    for batch in read:
        batch.validate(full=True)
    assert _flat(read) == _flat(batches)


def test_a_file_takes_a_dictionary_that_grows_and_none_that_changes():
    batches = _growing()
    data = c_api.write(batches[0].schema, batches, format="file")
    reader = pa.ipc.open_file(data)
    assert _flat(reader.get_batch(i) for i in range(5)) == _flat(batches)
    assert _flat(c_api.read_memory(data)[1]) == _flat(batches)
    other = pa.record_batch(
        {"word": pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), ["x"])}
    )
    with c_api.Writer(other.schema, format="file") as writer:
        writer.write(batches[1])
        before = writer.bytes()
        with _refused("UNSUPPORTED"):
            writer.write(other)
        assert writer.bytes() == before
        writer.write(batches[2])
        writer.finish()
        assert _flat(c_api.read_memory(writer.bytes())[1]) == _flat(batches[1:3])


METADATA = [None, {b"k": b"v"}, None, {b"": b"", b"bytes": b"\x00\xff" * 100}]


def test_metadata_of_batches_is_read():
    schema, batches = _numbers(10)
    reader = c_api.Reader.memory(_by_pyarrow(schema, batches, metadata=METADATA))
    assert reader.metadata is None
    for wanted in METADATA:
        reader.next()
        assert reader.metadata == wanted
    assert reader.next() is None
    assert reader.metadata is None


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_of_batches_is_written(format):
    schema, batches = _numbers(10)
    data = c_api.write(schema, list(zip(batches, METADATA, strict=True)), format=format)
    reader = _opened(data, format)
    for i, wanted in enumerate(METADATA):
        if format == "stream":
            batch, found = reader.read_next_batch_with_custom_metadata()
        else:
            batch, found = reader.get_batch_with_custom_metadata(i)
        assert batch == batches[i]
        assert (dict(found) if found else None) == wanted


# ---- lives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("open_", ["memory", "path", "callback"])
def test_batches_outlive_their_reader_and_go_on_any_thread(open_, compression, tmp_path):
    schema, batches = _numbers(10_000)
    data = c_api.write(schema, batches, compression=compression)
    if open_ == "memory":
        reader = c_api.Reader.memory(data)
    elif open_ == "path":
        path = tmp_path / "rows.arrow"
        path.write_bytes(data)
        reader = c_api.Reader.path(path)
        path.unlink()
    else:
        reader = c_api.Reader.callback(io.BytesIO(data).read)
    read = list(reader)
    reader.close()
    del reader, data
    gc.collect()
    columns = [batch.column(1) for batch in read]
    assert read == batches
    thread = threading.Thread(target=read.clear)
    thread.start()
    thread.join()
    assert columns == [batch.column(1) for batch in batches]
    del columns
    gc.collect()
    assert c_api.held == {}


def test_memory_is_held_until_the_last_batch_and_not_longer():
    schema, batches = _numbers(10_000)
    reader = c_api.Reader.memory(c_api.write(schema, batches))
    first = reader.next()
    last = list(reader)[-1]
    reader.close()
    assert len(c_api.held) == 1
    del first
    assert len(c_api.held) == 1
    assert last == batches[-1]
    del last
    assert c_api.held == {}


def test_an_exported_stream_is_read_by_pyarrow_polars_and_duckdb(tmp_path):
    schema, batches = _numbers(10_000)
    whole = pa.Table.from_batches(batches)
    for format in FORMATS:
        for compression in COMPRESSIONS:
            data = c_api.write(schema, batches, format=format, compression=compression)
            (tmp_path / "rows.arrow").write_bytes(data)
            assert c_api.Reader.memory(data).export().read_all() == whole
            assert c_api.Reader.path(tmp_path / "rows.arrow").export().read_all() == whole
            exported = c_api.Reader.memory(data).capsule()
            assert pl.DataFrame(exported).equals(pl.from_arrow(whole))
            exported = c_api.Reader.path(tmp_path / "rows.arrow").capsule()
            answer = duckdb.sql("SELECT count(*), sum(id), max(name) FROM exported").fetchall()
            assert answer == [(40_000, sum(range(40_000)), "9999")]
            del exported
    gc.collect()
    assert c_api.held == {}


def test_an_exported_stream_gives_what_is_left():
    schema, batches = _numbers(10)
    reader = c_api.Reader.callback(io.BytesIO(c_api.write(schema, batches)).read)
    assert reader.next() == batches[0]
    assert list(reader.export()) == batches[1:]


def test_an_exported_stream_that_fails_says_why():
    schema, batches = _numbers(10)
    stream = c_api.Reader.memory(c_api.write(schema, batches)[:-60]).export()
    assert [stream.read_next_batch() for _ in range(3)] == batches[:3]
    for _ in range(2):
        with pytest.raises(pa.ArrowInvalid, match="truncated"):
            stream.read_next_batch()


def test_an_exported_stream_that_nobody_reads_is_closed():
    schema, batches = _numbers(10)
    exported = c_api.Reader.memory(c_api.write(schema, batches)).capsule()
    assert len(c_api.held) == 1
    del exported
    assert c_api.held == {}


# ---- limits ----------------------------------------------------------------------------------


def test_memory_is_limited_and_comes_back_with_the_batches():
    schema, batches = _numbers(100_000)
    one = batches[0].nbytes
    data = c_api.write(schema, batches, compression="zstd")
    with c_api.Reader.memory(data, memory_bytes_max=int(2.5 * one)) as reader:
        held = [reader.next(), reader.next()]
        for _ in range(2):
            with _refused("BUDGET", "memory limit"):
                reader.next()
        held.pop()
        assert reader.next() == batches[2]
        assert reader.next() == batches[3]
        assert reader.next() is None
    with c_api.Reader.memory(data, memory_bytes_max=one // 2) as reader:
        with _refused("BUDGET"):
            reader.next()


def test_memory_of_a_stream_through_a_callback_is_limited():
    schema, batches = _numbers(100_000)
    data = io.BytesIO(c_api.write(schema, batches))
    with c_api.Reader.callback(data.read, memory_bytes_max=int(2.5 * batches[0].nbytes)) as reader:
        held, read = [], []
        while (batch := _next_or(reader, held)) is not None:
            held.append(batch)
            read.append(batch.column(0)[0].as_py())
    assert read == [0, 100_000, 200_000, 300_000]


def _next_or(reader, held):
    """The next batch; what is held is given up for it."""
    try:
        return reader.next()
    except c_api.ArrowportError as refused:
        assert refused.status == "BUDGET" and held
        held.clear()
        return reader.next()


def test_what_a_body_may_expand_to_is_limited():
    schema = pa.schema([("zeros", pa.binary())])
    bomb = pa.record_batch([pa.array([bytes(50 << 20)])], schema=schema)
    data = c_api.write(schema, [bomb], compression="zstd")
    assert len(data) < 1 << 16
    with c_api.Reader.memory(data, decoded_bytes_max=1 << 20) as reader:
        for _ in range(2):
            with _refused("TOO_LARGE", str(1 << 20)):
                reader.next()
    assert c_api.read_memory(data)[1] == [bomb]


def test_bodies_and_metadata_are_limited():
    schema, batches = _numbers(100_000, 1)
    data = c_api.write(schema, batches)
    with _refused("TOO_LARGE", "65536"):
        c_api.read_memory(data, body_bytes_max=1 << 16)
    wide = pa.schema([(f"column {i}", pa.int64()) for i in range(1000)])
    with _refused("", "1024"):
        c_api.read_memory(c_api.write(wide, []), metadata_bytes_max=1 << 10)


def test_what_a_writer_takes_is_limited():
    schema, batches = _numbers(100_000, 1)
    with c_api.Writer(schema, memory_bytes_max=1 << 20) as writer:
        before = writer.bytes()
        with _refused("BUDGET"):
            writer.write(batches[0])
        assert writer.bytes() == before
        for offset in range(0, 100_000, 20_000):
            writer.write(batches[0].slice(offset, 20_000))
        writer.finish()
        assert pa.ipc.open_stream(writer.bytes()).read_all() == pa.Table.from_batches(batches)


# ---- what is wrong ---------------------------------------------------------------------------


def test_a_stream_that_is_cut_anywhere_is_invalid(table, batches):
    data = _by_pyarrow(table.schema, batches[:1]).to_pybytes()
    cuts = sorted(set(range(0, len(data) - 1, len(data) // 300)) | set(range(0, 80, 8)))
    for cut in [*cuts, len(data) - 1, len(data) - 4, len(data) - 8]:
        for read in (c_api.read_memory, lambda part: c_api.read_callback(io.BytesIO(part).read)):
            with _refused("INVALID"):
                read(data[:cut])
    rows = sum(b.num_rows for b in c_api.read_memory(data[:-8], eos_optional=True)[1])
    assert rows == batches[0].num_rows
    gc.collect()
    assert c_api.held == {}


def test_a_file_that_is_cut_anywhere_is_invalid_and_named(table, batches, tmp_path):
    data = _by_pyarrow(table.schema, batches, "file").to_pybytes()
    path = tmp_path / "cut.arrow"
    for cut in [0, 1, 5, 6, 8, 12, *range(16, len(data), len(data) // 50), len(data) - 1]:
        path.write_bytes(data[:cut])
        with _refused("INVALID", str(path)):
            c_api.read_path(path)


# What Arrow's layouts can hold and a type's meaning rules out.
VALUE_OUT_OF_RANGE = "does not fit in precision|not within the acceptable range|whole number of"


def test_a_stream_with_any_byte_changed_is_read_or_refused(table, batches):
    data = bytearray(_by_pyarrow(table.schema, batches[:1]).to_pybytes())
    rng = random.Random(11)
    refused = 0
    for _ in range(500):
        at = rng.randrange(len(data))
        before = data[at]
        data[at] ^= 1 << rng.randrange(8)
        try:
            for batch in c_api.read_memory(bytes(data))[1]:
                c_api.check(batch)
                batch.validate(full=True)
        except c_api.ArrowportError as error:
            assert error.status in ("INVALID", "UNSUPPORTED", "TOO_LARGE"), error
            assert error.text
            refused += 1
        except pa.ArrowInvalid as error:
            assert re.search(VALUE_OUT_OF_RANGE, str(error)), error
        data[at] = before
    assert refused > 0


def test_what_is_not_there_or_not_arrow_is_named(tmp_path):
    with _refused("NOT_FOUND", "none.arrow"):
        c_api.read_path(tmp_path / "none.arrow")
    with _refused("IO", str(tmp_path), "directory"):
        c_api.read_path(tmp_path)
    (tmp_path / "rows.csv").write_text("id,name\n1,one\n")
    with _refused("INVALID", "rows.csv"):
        c_api.read_path(tmp_path / "rows.csv")
    with _refused("INVALID", "empty"):
        c_api.read_memory(b"")


def test_a_read_or_write_that_fails_is_an_io_error(table, batches):
    def broken(room):
        raise OSError("the cable is cut")

    with _refused("IO") as caught:
        c_api.read_callback(broken)
    assert isinstance(caught.value.__cause__, OSError)
    data = io.BytesIO(_by_pyarrow(table.schema, batches)[:5000].to_pybytes())
    with _refused("IO"):
        c_api.read_callback(lambda room: data.read(min(room, 100)) or broken(room))
    with _refused("IO"):
        c_api.write(table.schema, batches, write=broken)


def test_a_batch_of_another_schema_is_refused_and_nothing_is_written(table, batches):
    with c_api.Writer(table.schema) as writer:
        before = writer.bytes()
        for other in (batches[0].select([0]), batches[0].select(table.column_names[::-1])):
            with _refused("INVALID"):
                writer.write(other)
        assert writer.bytes() == before
        writer.write(batches[0])
        writer.finish()
        assert c_api.read_memory(writer.bytes())[1] == batches[:1]


# ---- arrays ----------------------------------------------------------------------------------


def test_arrays_of_all_types_are_checked_compared_and_sliced(table, batches):
    for name in table.column_names:
        array = batches[0].column(name)
        c_api.check(array)
        assert c_api.equal(array, array) == (True, ""), name
        part = c_api.slice(array, 7, 20)
        part.validate(full=True)
        assert part.equals(array.slice(7, 20)), name
        c_api.check(part)
        assert c_api.equal(part, array.slice(7, 20)) == (True, ""), name
        same, said = c_api.equal(array, part)
        assert not same and said
    c_api.check(batches[1])
    assert c_api.slice(batches[1], 3, 30).equals(batches[1].slice(3, 30))


def test_what_differs_is_told():
    left = pa.record_batch({"id": [1, 2, 3], "name": ["a", None, "c"]})
    right = pa.record_batch({"id": [1, 2, 3], "name": ["a", "b", "c"]})
    same, said = c_api.equal(left, right)
    assert not same
    assert "name" in said and "1" in said


def test_an_array_that_is_none_is_refused_by_a_full_check():
    wild = pa.DictionaryArray.from_arrays(
        pa.array([0, 5], pa.int8()), pa.array(["a", "b"]), safe=False
    )
    c_api.check(wild, full=False)
    with _refused("INVALID", "row 1", "dictionary"):
        c_api.check(wild)


def test_a_slice_past_the_end_is_refused():
    array = pa.array([1, 2, 3])
    for offset, rows in ((2, 2), (4, 0), (-1, 1), (0, -1), (2**62, 2**62)):
        with _refused("INVALID"):
            c_api.slice(array, offset, rows)


def test_a_batch_is_printed_within_its_width(table, batches):
    text = c_api.print_table(batches[0], rows_max=5, width=60)
    assert max(map(len, text.splitlines())) <= 60
    text = c_api.print_table(pa.record_batch({"id": [17, None], "word": ["x", "日本語"]}), 10, 80)
    for said in ("id", "word", "17", "日本語"):
        assert said in text


# ---- loading ---------------------------------------------------------------------------------


def test_what_a_reader_exports_is_loaded():
    schema, batches = _numbers(1000)
    data = c_api.write(schema, batches, compression="lz4")
    stream = c_api.Reader.memory(data).export_c()
    assert c_api.load(stream, sink=b"null", table=b"numbers") == (4000, 4)
    assert not stream.release
    assert c_api.held == {}


def test_a_load_that_is_not_told_enough_is_refused_and_its_stream_released():
    schema, batches = _numbers(10)
    data = c_api.write(schema, batches)
    for options, said in (
        ({}, "sink and table"),
        ({"sink": b"null"}, "sink and table"),
        ({"sink": b"null", "table": b"t", "struct_size": 1}, "struct_size"),
        ({"sink": b"null", "table": b"t", "setting_count": 1}, "setting 0"),
    ):
        stream = c_api.Reader.memory(data).export_c()
        with _refused("INVALID", said):
            c_api.load(stream, **options)
        assert not stream.release
        assert c_api.held == {}
    with _refused("INVALID", "stream is NULL"):
        c_api.load(None, sink=b"null", table=b"t")


def test_a_load_of_a_broken_stream_says_where_it_breaks():
    schema, batches = _numbers(1000)
    stream = c_api.Reader.memory(c_api.write(schema, batches)[:-100]).export_c()
    with _refused("INVALID", "truncated"):
        c_api.load(stream, sink=b"null", table=b"numbers")
    assert c_api.held == {}
