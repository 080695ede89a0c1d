"""What must not become a Parquet file: arrays that break their contract, nulls and values
that cannot be, types and options that do not fit, sinks that fail, memory that does not
suffice. Each is refused with words that say where, and what was written until then has no
footer."""

import json
import struct

import parquet_c
import parquet_tool
import pyarrow as pa
import pytest
from c_api import ArrowportError
from parquet_c import batch_of, raw, spoil, spoiled
from parquet_data import LEAVES, matrix

INVALID, SCHEMA, NOT_FOUND, BUDGET, UNSUPPORTED, IO = 2, 3, 4, 7, 10, 12

# ---- arrays that are not what they say -----------------------------------------------------------


def i32(*numbers):
    return struct.pack(f"<{len(numbers)}i", *numbers)


def i64(*numbers):
    return struct.pack(f"<{len(numbers)}q", *numbers)


INTS = pa.array([1, 2, 3], pa.int32())


def view(length, prefix=b"", buffer=0, offset=0):
    return struct.pack("<i4sii", length, prefix, buffer, offset)


def entries():
    key, value = pa.field("key", pa.int32(), nullable=False), pa.field("value", pa.int32())
    return pa.StructArray.from_arrays([INTS, INTS], fields=[key, value])


def runs(length, *ends):
    good = i32(*range(1, len(ends)), length)
    ends = spoiled(pa.int32(), len(ends), [None, good], 1, i32(*ends))
    kind = pa.run_end_encoded(pa.int32(), pa.int32())
    return pa.RunEndEncodedArray.from_buffers(kind, length, [None], children=[ends, INTS])


def coded(index, values):
    return pa.DictionaryArray.from_arrays(pa.array([0, index], pa.int8()), values, safe=False)


LISTS, LARGE_LISTS = pa.list_(pa.int32()), pa.large_list(pa.int32())
MAPS, VIEWS = pa.map_(pa.int32(), pa.int32()), pa.list_view(pa.int32())
NO_TEXT = raw(pa.utf8(), 1, [None, i32(0, 1), b"\xff"])

BROKEN = {
    "offsets that decrease": lambda: raw(pa.utf8(), 3, [None, i32(0, 2, 1, 3), b"abc"]),
    "offsets below zero": lambda: spoiled(pa.utf8(), 1, [None, i32(0, 2), b"abc"], 1, i32(-1, 2)),
    "large offsets that decrease": lambda: raw(pa.large_binary(), 2, [None, i64(0, 3, 1), b"abc"]),
    "list offsets that decrease": lambda: raw(LISTS, 2, [None, i32(0, 3, 1)], children=[INTS]),
    "list offsets past the child": lambda: spoiled(
        LISTS, 1, [None, i32(0, 3)], 1, i32(0, 4), children=[INTS]
    ),
    "large list offsets past it": lambda: spoiled(
        LARGE_LISTS, 1, [None, i64(0, 3)], 1, i64(0, 2**40), children=[INTS]
    ),
    "map offsets past the entries": lambda: spoiled(
        MAPS, 1, [None, i32(0, 3)], 1, i32(0, 9), children=[entries()]
    ),
    "a list view past its child": lambda: raw(VIEWS, 1, [None, i32(2), i32(2)], children=[INTS]),
    "a list view of less than nothing": lambda: raw(
        VIEWS, 1, [None, i32(2), i32(-1)], children=[INTS]
    ),
    "dictionary indices out of range": lambda: coded(3, INTS),
    "dictionary indices below zero": lambda: coded(-1, INTS),
    "run ends that decrease": lambda: runs(3, 2, 1, 3),
    "run ends below zero": lambda: runs(3, -1, 2, 3),
    "runs that end too early": lambda: runs(9, 1, 2, 3),
    "text that is no UTF-8": lambda: raw(pa.utf8(), 1, [None, i32(0, 2), b"\xc3("]),
    "large text that is no UTF-8": lambda: raw(
        pa.large_utf8(), 1, [None, i64(0, 3), b"\xed\xa0\x80"]
    ),
    "a character over two values": lambda: raw(pa.utf8(), 2, [None, i32(0, 1, 2), "é".encode()]),
    "a view into no buffer": lambda: raw(pa.string_view(), 1, [None, view(20, b"abcd", 7)]),
    "a view past its buffer": lambda: raw(pa.binary_view(), 1, [None, view(20, b"abcd"), b"abcd"]),
    "a view's prefix that is another": lambda: raw(
        pa.binary_view(), 1, [None, view(13, b"abcd"), b"xbcdefghijklm"]
    ),
    "a view that is no UTF-8": lambda: raw(
        pa.string_view(), 1, [None, struct.pack("<i12s", 1, b"\xff")]
    ),
    "text in a dictionary that is no UTF-8": lambda: coded(0, NO_TEXT),
    "text in a list that is no UTF-8": lambda: pa.ListArray.from_arrays(
        pa.array([0, 1], pa.int32()), NO_TEXT
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_array_is_refused(what):
    bad = BROKEN[what]()
    with pytest.raises(ArrowportError) as refused:
        parquet_c.write([batch_of(good=pa.nulls(len(bad), pa.int8()), bad=bad)], spoil)
    assert refused.value.status == "INVALID", refused.value.text
    assert "bad" in refused.value.text


STRUCTURE = {
    "no data": lambda batch: batch.child(0).drop_buffer(1),
    "no offsets": lambda batch: batch.child(1).drop_buffer(1),
    "nulls and no bitmap": lambda batch: batch.child(2).drop_buffer(0),
    "a length below zero": lambda batch: setattr(batch.child(0).array, "length", -1),
    "an offset below zero": lambda batch: setattr(batch.child(0).array, "offset", -1),
    "a child too short": lambda batch: setattr(batch.child(0).array, "length", 1),
    "too few buffers": lambda batch: setattr(batch.child(1).array, "n_buffers", 2),
    "too few columns": lambda batch: setattr(batch.array, "n_children", 2),
    "no child": lambda batch: setattr(batch.child(3).array, "n_children", 0),
    "a list's child too short": lambda batch: setattr(batch.child(3).child(0).array, "length", 0),
    "a struct's child too short": lambda b: setattr(b.child(4).child(0).array, "length", 1),
    "a fixed-size list's child too short": lambda b: setattr(
        b.child(5).child(0).array, "length", 3
    ),
}


@pytest.mark.parametrize("what", STRUCTURE)
def test_a_broken_struct_is_refused(what):
    """Put together again before pyarrow lets go of it."""
    good = batch_of(
        a=pa.array([1, 2], pa.int64()),
        b=pa.array(["x", "y"]),
        c=pa.array([None, 5], pa.int32()),
        d=pa.array([[1], []], pa.list_(pa.int8())),
        e=pa.array([{"x": 1}, {"x": 2}]),
        f=pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
    )
    assert parquet_c.write([good]).endswith(b"PAR1")
    with pytest.raises(ArrowportError) as refused:
        parquet_c.write([good, good], change=STRUCTURE[what])
    assert refused.value.status == "INVALID", refused.value.text


# ---- nulls and values that cannot be -------------------------------------------------------------


def required(kind, values, name="needed"):
    return pa.table([pa.array(values, kind)], pa.schema([pa.field(name, kind, nullable=False)]))


NULLS = {
    "a column": (pa.int32(), [1, 2, None], "needed", 2),
    "text": (pa.utf8(), ["a", None], "needed", 1),
    "a list": (pa.list_(pa.int8()), [[1], [], None], "needed", 2),
    "items of a list": (
        pa.list_(pa.field("item", pa.int8(), nullable=False)),
        [[1], [], [2, None]],
        "needed",
        2,
    ),
    "a field of a struct": (
        pa.struct([pa.field("x", pa.int8(), nullable=False)]),
        [{"x": 1}, {"x": None}],
        "needed.x",
        1,
    ),
    "runs": (pa.run_end_encoded(pa.int32(), pa.int32()), [1, 1, None], "needed", 2),
}


@pytest.mark.parametrize("what", NULLS)
@pytest.mark.parametrize("before", [0, 3, 1000])
def test_a_null_where_none_may_be(what, before):
    """The error names the column and the row of the whole input."""
    kind, values, name, row = NULLS[what]
    bad = required(kind, values)
    good = required(kind, [values[0]] * before) if before else bad.slice(0, 0)
    batches = [*good.to_batches(), *bad.to_batches()]
    code, text = parquet_tool.refused(batches, page_values=100, row_group_rows=400)
    assert code == SCHEMA and name in text and str(before + row) in text, text


def decimals(kind, *numbers):
    width = kind.bit_width // 8
    data = b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)
    return raw(kind, len(numbers), [None, data])


VALUES = {
    "decimal32": decimals(pa.decimal32(4, 1), 9999, -9999, 10_000),
    "decimal64": decimals(pa.decimal64(12, 0), 1, 2, -(10**12)),
    "decimal128 in INT32": decimals(pa.decimal128(9, 2), 1, 2, 2**40),
    "decimal128 in INT64": decimals(pa.decimal128(18, 2), 1, 2, 10**18),
    "decimal128": decimals(pa.decimal128(38, 0), 1, 10**38 - 1, 10**38),
    "decimal128 in few bytes": decimals(pa.decimal128(20, 0), 1, 2, 10**37),
    "decimal256": decimals(pa.decimal256(50, 3), 1, 2, -(10**50)),
    "date64": raw(pa.date64(), 3, [None, i64(0, 86_400_000, 86_400_001)]),
    "timestamp[s]": raw(pa.timestamp("s"), 3, [None, i64(0, 1, 2**60)]),
}


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_parquet_cannot_hold(what):
    array = VALUES[what]
    good, bad = batch_of(column=array.slice(0, 2)), batch_of(column=array)
    code, text = parquet_tool.refused([good, bad])
    assert code == SCHEMA and "column" in text and "4" in text, text
    assert parquet_tool.run(good).returncode == 0


def test_what_is_null_may_be_any_bits():
    """What lies below a null counts for nothing."""
    data = (10**38).to_bytes(16, "little") + (5).to_bytes(16, "little")
    array = raw(pa.decimal128(38, 0), 2, [b"\x02", data])
    assert parquet_tool.run(batch_of(a=array)).returncode == 0


# ---- types and options ---------------------------------------------------------------------------

TYPES = {
    "sparse union": pa.sparse_union([pa.field("x", pa.int8())]),
    "dense union": pa.dense_union([pa.field("x", pa.int8())]),
    "interval": pa.month_day_nano_interval(),
    "negative scale": pa.decimal128(10, -2),
    "no bytes": pa.binary(0),
    "no fields": pa.struct([]),
    "in a list": pa.list_(pa.struct([])),
}


@pytest.mark.parametrize("what", TYPES)
def test_a_type_that_parquet_does_not_have(what):
    schema = pa.schema([("good", pa.int8()), ("wrong", TYPES[what])])
    code, text = parquet_tool.refused(pa.Table.from_batches([], schema=schema))
    assert code == UNSUPPORTED and "wrong" in text, text


ENCODINGS = ["plain", "dictionary", "delta", "delta_length", "delta_bytes", "split", "rle"]


@pytest.mark.parametrize("kind", LEAVES)
def test_an_encoding_that_does_not_fit(kind):
    type_, fitting = LEAVES[kind]
    nothing = pa.Table.from_batches([], schema=pa.schema([("a", type_)]))
    for encoding in ENCODINGS:
        if kind == "null":
            continue
        if encoding in fitting:
            assert parquet_tool.run(nothing, encoding={"a": encoding}).returncode == 0
            continue
        code, text = parquet_tool.refused(nothing, encoding={"a": encoding})
        assert code in (INVALID, UNSUPPORTED) and "a" in text, text


OPTIONS = [
    {"level": 23},
    {"level": -1},
    {"codec": "snappy", "level": 3},
    {"codec": "gzip", "level": 10},
    {"page_version": 3},
    {"page_version": 2, "compatible": True},
    {"encoding": {"a": "delta"}, "compatible": True},
    {"row_group_rows": 0},
    {"row_group_bytes": -1},
    {"page_values": 0},
    {"page_bytes": 0},
    {"dictionary_bytes_max": -1},
    {"dictionary_bytes_max": 0, "encoding": {"a": "dictionary"}},
    {"bound_bytes_max": 65},
    {"bound_bytes_max": -1},
    {"bloom": ["a"], "bloom_false_positives": 1.5},
    {"bloom": ["a"], "bloom_false_positives": 0},
    {"bloom": ["a"], "bloom_bytes_max": 16},
    {"bloom": ["b"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_option_that_cannot_be(options):
    code, text = parquet_tool.refused(pa.table({"a": [1], "b": [True]}), **options)
    assert code in (INVALID, UNSUPPORTED), text
    assert "\n" not in text


# ---- sinks and memory ----------------------------------------------------------------------------


def test_a_sink_that_fails_at_every_call(tmp_path):
    """It is told once, is not called again, and what it has is no Parquet file."""
    data, _ = matrix(seed=41, rows=5, nested=False)
    data = data.select(data.column_names[:9])
    options = {"row_group_rows": 15, "bloom": ["int8__plain"], "threads": 2}
    whole = tmp_path / "whole.parquet"
    calls = parquet_tool.write(data, whole, **options)["calls"]
    assert calls > 10
    for call in range(1, calls + 1):
        part = tmp_path / "part"
        done = parquet_tool.run(data, part, fail_at=call, **options)
        said = done.stderr.decode().strip()
        assert done.returncode == IO and said.endswith(f"the sink fails at call {call}"), said
        assert "\n" not in said
        assert json.loads(done.stdout)["calls"] == call
        begun = part.read_bytes()
        assert whole.read_bytes().startswith(begun) and len(begun) < whole.stat().st_size


def test_memory_that_does_not_suffice():
    """Refused, everything given back (the program looks), and no sooner than need be."""
    data, _ = matrix(seed=42, rows=40)
    seen = set()
    for budget in (1, 1000, 30_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 100_000_000):
        done = parquet_tool.run(data, budget=budget, row_group_rows=50, page_values=50)
        seen.add(done.returncode)
        if done.returncode != 0:
            assert done.returncode == BUDGET and b"not given back" not in done.stderr, done.stderr
    assert seen == {0, BUDGET}
