"""What the IPC writer writes, other implementations read, value for value: each table
goes through our reader and our writer (tests/tools/ipc_roundtrip.c)."""

import io
import random

import duckdb
import polars
import pyarrow as pa
import pytest
from arrow_tools import TYPES, UNION, check, golden_streams, run, stream, table

COMPRESSIONS = ["none", "lz4", "zstd"]
UNSUPPORTED_EXIT = 10


def roundtrip(data, *args):
    return check("ipc_roundtrip", *args, data=data)


def read(data):
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def messages(data):
    return list(pa.ipc.MessageReader.open_stream(data))


def assert_same(got, want):
    assert got.schema.equals(want.schema, check_metadata=True)
    assert got.num_rows == want.num_rows
    for i, field in enumerate(want.schema):
        left, right = got.column(i), want.column(i)
        if pa.types.is_floating(field.type):
            left, right = as_bits(left), as_bits(right)
        assert left.equals(right), field


def as_bits(column):
    """So that NaN equals itself, and 0.0 does not equal -0.0."""
    bits = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[column.type.bit_width]
    return pa.chunked_array([chunk.view(bits) for chunk in column.chunks], bits)


# ---- golden files -----------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("path", golden_streams(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_golden_streams_come_back(path, compression):
    data = path.read_bytes()
    if UNION in path.name:
        done = run("ipc_roundtrip", data=data)
        assert done.returncode == UNSUPPORTED_EXIT
        assert b'"sparse"' in done.stderr or b"union" in done.stderr.lower()
        return
    want = read(data)
    for args in ([], ["--slice", "3"], ["--empty"], ["--slice", "1", "--empty"]):
        got = read(roundtrip(data, "--compression", compression, *args))
        assert_same(got, want)


# ---- random tables ----------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", TYPES)
def test_every_type_comes_back(name, compression):
    for rows in (0, 1, 7, 300):
        for nulls in (True, False):
            want = table({name: TYPES[name]}, rows, f"{name} {rows}", nulls)
            data = stream(want.to_batches(max_chunksize=100), want.schema)
            for slice_rows in ("300", "13", "1"):
                out = roundtrip(data, "--compression", compression, "--slice", slice_rows)
                got = read(out)
                got.validate(full=True)
                assert_same(got, want)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_all_types_together_come_back(compression):
    want = table(TYPES, 500, 3)
    data = stream(want.to_batches(max_chunksize=128), want.schema)
    for slice_rows in (500, 64, 63, 9):
        got = read(roundtrip(data, "--compression", compression, "--slice", str(slice_rows)))
        got.validate(full=True)
        assert_same(got, want)


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_compressed_input_comes_back(codec):
    want = table(TYPES, 400, 4)
    data = stream(want.to_batches(), want.schema, compression=codec)
    assert_same(read(roundtrip(data, "--compression", "zstd")), want)


def test_batches_of_no_rows_and_streams_of_no_batches_come_back():
    want = table(TYPES, 0, 5)
    empty = want.schema.empty_table().to_batches()
    for batches in ([], empty, empty * 3):
        out = roundtrip(stream(batches, want.schema))
        assert_same(read(out), want)


def test_a_batch_without_columns_keeps_its_rows():
    batch = pa.RecordBatch.from_struct_array(pa.array([{}] * 7, pa.struct([])))
    out = roundtrip(stream([batch], batch.schema), "--slice", "3")
    assert [b.num_rows for b in pa.ipc.open_stream(out)] == [3, 3, 1]


def test_arrays_that_are_slices_themselves_come_back():
    whole = table(TYPES, 300, 6)
    parts = [whole.slice(start, rows) for start, rows in ((0, 5), (7, 64), (71, 1), (100, 200))]
    batches = [batch for part in parts for batch in part.to_batches()]
    out = roundtrip(stream(batches, whole.schema), "--slice", "11")
    assert_same(read(out), pa.Table.from_batches(batches, whole.schema))


# ---- what the stream looks like ---------------------------------------------------------


def test_every_message_is_a_multiple_of_64_bytes():
    want = table(TYPES, 100, 7)
    for compression in COMPRESSIONS:
        out = roundtrip(stream(want.to_batches(), want.schema), "--compression", compression)
        assert out.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")
        sizes = [8 + len(m.metadata) + (len(m.body) if m.body else 0) for m in messages(out)]
        assert sum(sizes) + 8 == len(out)
        assert all(size % 64 == 0 for size in sizes)


def test_compression_makes_smaller_what_can_be_made_smaller():
    rng = random.Random(8)
    same = pa.table({"same": pa.array([12345] * 100_000)})
    noise = pa.table({"noise": pa.array([rng.randbytes(64) for _ in range(2000)], pa.binary(64))})
    for compression in ("lz4", "zstd"):
        for want, most in ((same, 0.05 * same.nbytes), (noise, noise.nbytes + 1024)):
            out = roundtrip(stream(want.to_batches(), want.schema), "--compression", compression)
            assert len(out) < most
            assert_same(read(out), want)


def _dictionary_batches(values):
    """One batch for each list of values, with that list as its dictionary."""
    type_ = pa.dictionary(pa.int8(), pa.utf8())
    for words in values:
        indices = pa.array([*range(len(words)), None], pa.int8())
        column = pa.DictionaryArray.from_arrays(indices, pa.array(words))
        yield pa.record_batch([column], schema=pa.schema([("d", type_)]))


def _kinds(data):
    return [m.type for m in messages(data)]


def test_a_dictionary_is_sent_when_it_is_new_and_when_it_has_changed():
    batches = list(_dictionary_batches([["a", "b"], ["a", "b"], ["a", "c"], ["a"], ["a"]]))
    out = roundtrip(stream(batches, batches[0].schema))
    kinds = ["schema", *["dictionary", "record batch", "record batch"]]
    kinds += ["dictionary", "record batch"] + ["dictionary", "record batch", "record batch"]
    assert _kinds(out) == kinds
    assert list(pa.ipc.open_stream(out)) == batches


def test_dictionaries_inside_dictionaries_come_back():
    inner = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), ["x", "y"])
    values = pa.StructArray.from_arrays([inner, pa.array([1, 2, 3])], ["word", "number"])
    outer = pa.DictionaryArray.from_arrays(pa.array([2, 0, None, 1], pa.int16()), values)
    listed = pa.ListArray.from_arrays(pa.array([0, 1, 1, 3, 3], pa.int32()), inner)
    batch = pa.record_batch([outer, listed], names=["outer", "listed"])
    for args in ([], ["--slice", "1"], ["--compression", "zstd"]):
        got = read(roundtrip(stream([batch, batch], batch.schema), *args))
        got.validate(full=True)
        assert got.to_pylist() == batch.to_pylist() * 2
        assert got.schema.equals(batch.schema)


def test_extension_types_keep_their_name():
    array = pa.array([b"0123456789abcdef", None], pa.uuid())
    batch = pa.record_batch([array], names=["id"])
    assert read(roundtrip(stream([batch], batch.schema))).schema.field("id").type == pa.uuid()


def test_text_views_come_back():
    types = {"utf8_view": pa.string_view(), "binary_view": pa.binary_view()}
    want = table(types, 200, 9)
    for args in ([], ["--slice", "7"], ["--compression", "lz4"]):
        out = roundtrip(stream(want.to_batches(), want.schema), *args)
        got = read(out)
        got.validate(full=True)
        assert_same(got, want)
        assert polars.read_ipc_stream(io.BytesIO(out)).equals(polars.from_arrow(want))


@pytest.mark.parametrize(
    "type_",
    [pa.list_view(pa.int8()), pa.run_end_encoded(pa.int32(), pa.int8()), pa.dense_union([])],
    ids=["list_view", "run_end_encoded", "union"],
)
def test_types_that_cannot_be_written_are_refused_by_name(type_):
    schema = pa.schema([("fine", pa.int8()), ("odd", type_)])
    done = run("ipc_roundtrip", data=stream([], schema))
    assert done.returncode == UNSUPPORTED_EXIT
    assert b"odd" in done.stderr
    assert done.stdout == b""


# ---- other readers ----------------------------------------------------------------------

POLARS_TYPES = {
    name: type_
    for name, type_ in TYPES.items()
    # polars has none of these, or says so in another way
    if name not in ("month_day_nano", "decimal256", "struct_empty", "list_of_null", "null")
    and not name.startswith(("map", "deep", "duration_s", "timestamp_s", "decimal"))
    and name not in ("dictionary_of_dates", "dictionary_unsigned")
    and not name.endswith("_0")
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_polars_reads_the_same(compression):
    want = table(POLARS_TYPES, 200, 10)
    data = stream(want.to_batches(), want.schema)
    out = roundtrip(data, "--compression", compression, "--slice", "77")
    left = polars.read_ipc_stream(io.BytesIO(out))
    right = polars.read_ipc_stream(io.BytesIO(data))
    assert left.equals(right)
    assert left.height == want.num_rows


def test_duckdb_reads_the_same():
    names = ("int64", "float64", "utf8", "bool", "date32", "timestamp_us", "list", "struct", "map")
    want = table({name: TYPES[name] for name in names} | {"big": pa.large_utf8()}, 500, 11)
    out = roundtrip(stream(want.to_batches(), want.schema), "--slice", "100")
    reader = pa.ipc.open_stream(out)
    connection = duckdb.connect()
    connection.register("written", reader)
    got = connection.sql("select * from written").to_arrow_table()
    connection.register("given", want)
    assert got.equals(connection.sql("select * from given").to_arrow_table())
    assert got.num_rows == want.num_rows
