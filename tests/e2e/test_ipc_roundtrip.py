"""What the IPC writer writes, other implementations read, value for value: each table
goes through our reader and our writer (tests/tools/ipc_roundtrip.c)."""

import io
import random

import duckdb
import polars
import pyarrow as pa
import pytest
from arrow_tools import TYPES, array, check, golden, run, stream, table

COMPRESSIONS = ["none", "lz4", "zstd"]
FORMATS = ["stream", "file"]
UNSUPPORTED_EXIT = 10


def roundtrip(data, *args):
    return check("ipc_roundtrip", *args, data=data)


def read(data):
    """A stream or a file, by its first bytes."""
    is_file = data[:6] == b"ARROW1"
    with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(data) as reader:
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


def validate(got, want):
    """Some golden files hold what is none of their type: pyarrow says so of both, or of none."""
    try:
        want.validate(full=True)
    except pa.ArrowInvalid:
        got.validate()
    else:
        got.validate(full=True)


def assert_golden(path, *args):
    data = path.read_bytes()
    want = read(data)
    for form in FORMATS:
        out = roundtrip(data, "--format", form, *args)
        assert (out[:6] == b"ARROW1") == (form == "file")
        got = read(out)
        validate(got, want)
        assert_same(got, want)


def golden_name(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("path", golden(".stream"), ids=golden_name)
def test_golden_streams_come_back(path, compression):
    for args in ([], ["--slice", "3"], ["--empty"], ["--slice", "1", "--empty"]):
        assert_golden(path, "--compression", compression, *args)


@pytest.mark.parametrize("path", golden(".arrow_file"), ids=golden_name)
def test_golden_files_come_back(path):
    for compression in COMPRESSIONS:
        assert_golden(path, "--compression", compression)


def test_both_byte_orders_come_back_as_the_same():
    for path in golden(".stream"):
        if path.parent.name != "1.0.0-bigendian":
            continue
        other = path.parents[1] / "1.0.0-littleendian" / path.name
        swapped, native = (read(roundtrip(p.read_bytes())) for p in (path, other))
        assert_same(swapped, native)


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


def _dictionaries(data):
    """How often one is added to, and how often one is replaced, says pyarrow."""
    with pa.ipc.open_stream(data) as reader:
        reader.read_all()
        return reader.stats.num_dictionary_deltas, reader.stats.num_replaced_dictionaries


GROWS = [["a", "b"], ["a", "b", "c"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]]


def test_of_a_dictionary_that_grows_what_is_new_is_sent():
    batches = list(_dictionary_batches(GROWS))
    whole = stream(batches, batches[0].schema)
    for deltas in (whole, stream(batches, batches[0].schema, emit_dictionary_deltas=True)):
        out = roundtrip(deltas, "--deltas")
        assert _dictionaries(roundtrip(deltas)) == (0, 2)
        assert _dictionaries(out) == (2, 0)
        assert list(pa.ipc.open_stream(out)) == batches
        file = roundtrip(deltas, "--format", "file", "--compression", "zstd")
        with pa.ipc.open_file(file) as reader:
            got = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            assert reader.stats.num_dictionary_deltas == 2
        assert [b.column(0).to_pylist() for b in got] == [b.column(0).to_pylist() for b in batches]


def test_custom_metadata_of_messages_comes_back():
    batch = pa.record_batch([pa.array([1, 2])], names=["n"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch, {"origin": "first", "empty": ""})
        writer.write_batch(batch)
        writer.write_batch(batch, {"origin": "dritte \u00b5"})
    for form in FORMATS:
        out = roundtrip(sink.getvalue().to_pybytes(), "--format", form)
        if form == "file":
            with pa.ipc.open_file(out) as reader:
                got = [reader.get_batch_with_custom_metadata(i)[1] for i in range(3)]
        else:
            got = [m for _, m in pa.ipc.open_stream(out).iter_batches_with_custom_metadata()]
        assert [None if m is None else dict(m) for m in got] == [
            {b"origin": b"first", b"empty": b""},
            None,
            {b"origin": "dritte \u00b5".encode()},
        ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_threads_make_the_same_bytes(compression):
    want = table(TYPES, 20_000, 12)
    data = stream(want.to_batches(), want.schema, compression=None)
    one = roundtrip(data, "--compression", compression)
    assert roundtrip(data, "--compression", compression, "--threads", "4") == one
    assert roundtrip(one, "--compression", compression, "--threads", "4") == one
    assert_same(read(one), want)


@pytest.mark.parametrize(("compression", "levels"), [("lz4", (1, 12)), ("zstd", (1, 19))])
def test_a_higher_level_compresses_more(compression, levels):
    words = " ".join(random.Random(13).choices(["arrow", "port", "land", "any", "where"], k=50_000))
    want = pa.table({"text": [words]})
    data = stream(want.to_batches(), want.schema)
    fast, small = (
        roundtrip(data, "--compression", compression, "--level", str(level)) for level in levels
    )
    assert len(small) < 0.95 * len(fast)
    assert_same(read(fast), want)
    assert_same(read(small), want)


def test_a_file_cannot_replace_a_dictionary():
    batches = list(_dictionary_batches([["a", "b"], ["b", "a"]]))
    done = run("ipc_roundtrip", "--format", "file", data=stream(batches, batches[0].schema))
    assert done.returncode == UNSUPPORTED_EXIT
    assert b'"d"' in done.stderr


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


# ---- list views, unions, runs --------------------------------------------------------------


def list_views(rng, items, rows, large=False):
    """Views in no order, that overlap and leave gaps; some are null."""
    of, number = (pa.LargeListViewArray, pa.int64()) if large else (pa.ListViewArray, pa.int32())
    offsets = [rng.randint(0, len(items)) for _ in range(rows)]
    sizes = [rng.randint(0, min(5, len(items) - offset)) for offset in offsets]
    mask = pa.array([rng.random() < 0.2 for _ in range(rows)], pa.bool_())
    return of.from_arrays(pa.array(offsets, number), pa.array(sizes, number), items, mask=mask)


def runs(rng, values, number, rows):
    """As many runs as there are values; the last one may end behind the last row."""
    ends = sorted(rng.sample(range(1, rows), len(values) - 1)) + [rows]
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, number), values)


def sparse_union(rng, children, codes):
    types = pa.array(rng.choices(codes, k=len(children[0])), pa.int8())
    return pa.UnionArray.from_sparse(types, children, ["a", "b"], codes)


def dense_union(rng, children, codes):
    """Each child's values in their order, some of them left out."""
    types, offsets, at = [], [], [0, 0]
    for _ in range(len(children[0]) // 2):
        child = rng.randrange(2)
        types.append(codes[child])
        offsets.append(at[child])
        at[child] += rng.randint(1, 2)
    types, offsets = pa.array(types, pa.int8()), pa.array(offsets, pa.int32())
    return pa.UnionArray.from_dense(types, offsets, children, ["a", "b"], codes)


def lists(rng, items, rows):
    ends = sorted(rng.randint(0, len(items)) for _ in range(rows + 1))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items)


def odd_columns(rng, rows):
    """Types with a layout of their own, alone and inside of each other."""

    def some(type_, count=rows):
        return array(type_, count, rng)

    text, number = some(pa.utf8(), rows * 2), some(pa.int16(), rows * 2)
    sparse = sparse_union(rng, [some(pa.utf8()), some(pa.bool_())], [5, 7])
    dense = dense_union(rng, [text, number], [127, 0])
    short_runs = runs(rng, some(pa.utf8(), rows // 3), pa.int16(), rows)
    views = list_views(rng, text, rows)
    return {
        "list_view": views,
        "large_list_view": list_views(rng, number, rows, large=True),
        "list_view_of_list_views": list_views(rng, views, rows),
        "list_view_of_dictionary": list_views(rng, text.dictionary_encode(), rows),
        "sparse_union": sparse,
        "dense_union": dense,
        "dense_union_of_null": dense_union(rng, [pa.nulls(rows * 2), number], [3, 1]),
        "dense_union_of_lists": dense_union(rng, [lists(rng, number, rows * 2), text], [1, 2]),
        "sparse_union_of_views": sparse_union(rng, [views, some(pa.string_view())], [2, 1]),
        "sparse_union_of_unions": sparse_union(rng, [dense, sparse], [0, 9]),
        "runs_16": short_runs,
        "runs_32": runs(rng, some(pa.float64(), 1), pa.int32(), rows),
        "runs_64": runs(rng, some(pa.bool_(), rows // 2), pa.int64(), rows),
        "runs_of_list_views": runs(rng, views.slice(0, rows // 4), pa.int32(), rows),
        "list_of_dense_unions": lists(rng, dense, rows),
        "list_of_sparse_unions": lists(rng, sparse, rows),
        "list_of_runs": lists(rng, short_runs, rows),
        "struct_of_all": pa.StructArray.from_arrays(
            [views, sparse, dense, short_runs], ["views", "sparse", "dense", "runs"]
        ),
        "fixed_size_list_of_unions": pa.FixedSizeListArray.from_arrays(
            sparse_union(rng, [number, text], [0, 1]), 2
        ),
    }


ODD = sorted(odd_columns(random.Random(0), 12))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ODD)
def test_layouts_of_their_own_come_back(name, compression):
    rng = random.Random(f"{name} {compression}")
    for rows in (12, 100):
        column = odd_columns(rng, rows)[name]
        whole = pa.table({"plain": pa.array(range(rows)), name: column})
        for want in (whole, whole.slice(rows // 2), whole.slice(3, 0), whole.slice(5, rows // 3)):
            data = stream(want.to_batches(), want.schema)
            for args in ([], ["--slice", "7"], ["--slice", "1", "--empty"], ["--format", "file"]):
                got = read(roundtrip(data, "--compression", compression, *args))
                got.validate(full=True)
                assert_same(got, want)


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
