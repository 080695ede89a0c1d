"""The programs of tests/tools, and tables of every type to feed them with."""

import decimal
import gzip
import json
import os
import pathlib
import random
import string
import subprocess

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "arrow-ipc"


def tool(name):
    """A program's path; a missing one is an error, never a skipped test."""
    default = ROOT / "build" / "release" / "tests" / "tools"
    path = pathlib.Path(os.environ.get("ARROWPORT_TOOLS_DIR", default)) / name
    assert path.is_file(), (
        f"{path} is not there: build the tests (cmake --preset release && "
        "cmake --build --preset release), or name their tests/tools by ARROWPORT_TOOLS_DIR"
    )
    return str(path)


def run(name, *args, data):
    return subprocess.run([tool(name), *args], input=data, capture_output=True, timeout=120)


def check(name, *args, data):
    """The program's output; it must succeed and say nothing."""
    done = run(name, *args, data=data)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stderr == b""
    return done.stdout


def written(table, kind, path):
    """A file of the table: "parquet", "csv", "csv.gz", "ndjson", "arrow" (a file), or a stream."""
    if kind == "parquet":
        pa.parquet.write_table(table, path, row_group_size=1000)
    elif kind == "csv":
        pa.csv.write_csv(table, path)
    elif kind == "csv.gz":
        with gzip.open(path, "wb") as file:
            pa.csv.write_csv(table, file)
    elif kind == "ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif kind == "arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
    else:
        batches = table.to_batches(max_chunksize=1000)
        path.write_bytes(stream(batches, table.schema))
    return path


def stream(batches, schema, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def golden(ending):
    """The golden files with the ending: 91 each of .stream, .arrow_file and .json.gz."""
    paths = sorted(GOLDEN.glob(f"*/*{ending}"))
    assert len(paths) == 91, f"{GOLDEN} has {len(paths)} files *{ending}"
    return paths


# ---- random tables ----------------------------------------------------------------------

WORDS = ["", "a", "naïve", "日本語", 'q"uote', "com,ma", "new\nline", "car\rriage", "\x00\x01", "𝄞"]


def _text(rng):
    if rng.random() < 0.4:
        return rng.choice(WORDS)
    return "".join(rng.choices(string.printable, k=rng.randrange(30)))


def _bytes(rng):
    return rng.randbytes(rng.randrange(30))


def _int(rng, bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return rng.choice([low, high, 0, 1]) if rng.random() < 0.3 else rng.randint(low, high)


def _decimal(rng, precision, scale):
    digits = rng.randint(1, precision)
    unscaled = rng.randint(-(10**digits) + 1, 10**digits - 1)
    return decimal.Decimal(unscaled).scaleb(-scale, decimal.Context(prec=100))


FLOATS = [0.0, -0.0, 0.1, 1 / 3, 1e300, 5e-324, float("inf"), float("-inf"), 2.0**53, 1e22, 123.25]


def _value(type_, rng):
    """A value that pyarrow takes for the type."""
    t = pa.types
    if t.is_null(type_):
        return None
    if t.is_boolean(type_):
        return rng.random() < 0.5
    if t.is_integer(type_):
        return _int(rng, type_.bit_width, t.is_signed_integer(type_))
    if t.is_float16(type_):
        return rng.choice([0.0, 0.5, -2.25, 65504.0, float("inf")])
    if t.is_floating(type_):
        return rng.choice(FLOATS) if rng.random() < 0.3 else rng.uniform(-1e6, 1e6)
    if t.is_fixed_size_binary(type_) and not t.is_decimal(type_):
        return rng.randbytes(type_.byte_width)
    if t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_):
        return _text(rng)
    if t.is_binary(type_) or t.is_large_binary(type_) or t.is_binary_view(type_):
        return _bytes(rng)
    if t.is_decimal(type_):
        return _decimal(rng, type_.precision, type_.scale)
    if type_ == pa.month_day_nano_interval():
        return pa.MonthDayNano([rng.randint(-99, 99), rng.randint(-99, 99), _int(rng, 62, True)])
    if t.is_temporal(type_):
        return _temporal(type_, rng)
    return _nested(type_, rng)


def _temporal(type_, rng):
    """The number behind it; see _array."""
    t = pa.types
    if t.is_date32(type_):
        return rng.randint(-1_000_000, 3_000_000)
    if t.is_date64(type_):
        return rng.randint(-1_000_000, 3_000_000) * 86_400_000
    if t.is_time(type_):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit]
        return rng.randrange(86_400 * per_second)
    return _int(rng, 64, True)


def _nested(type_, rng):
    t = pa.types
    if t.is_fixed_size_list(type_):
        return [_maybe(type_.value_type, rng) for _ in range(type_.list_size)]
    if t.is_map(type_):
        keys = {_value(type_.key_type, rng) for _ in range(rng.randrange(4))}
        return [(key, _maybe(type_.item_type, rng)) for key in sorted(keys)]
    if t.is_list(type_) or t.is_large_list(type_):
        return [_maybe(type_.value_type, rng) for _ in range(rng.randrange(4))]
    assert t.is_struct(type_), type_
    return {field.name: _maybe(field.type, rng) for field in type_}


def _maybe(type_, rng):
    return None if rng.random() < 0.2 else _value(type_, rng)


def _temporal_number(type_):
    return pa.int32() if type_.bit_width == 32 else pa.int64()


def array(type_, length, rng, nulls=True):
    """A random array. Temporal values are made as numbers, past what Python can say."""
    t = pa.types
    if t.is_dictionary(type_):
        values = array(type_.value_type, rng.randint(1, 20), rng, nulls=False)
        picked = [None if nulls and rng.random() < 0.2 else rng.randrange(len(values))]
        picked += [rng.randrange(len(values)) for _ in range(length)]
        indices = pa.array(picked[:length], type_.index_type)
        return pa.DictionaryArray.from_arrays(indices, values, ordered=type_.ordered)
    make = _maybe if nulls else _value
    values = [make(type_, rng) for _ in range(length)]
    if t.is_temporal(type_) and type_ != pa.month_day_nano_interval():
        return pa.array(values, _temporal_number(type_)).view(type_)
    return pa.array(values, type_)


LEAVES = {
    "null": pa.null(),
    "bool": pa.bool_(),
    **{f"int{n}": getattr(pa, f"int{n}")() for n in (8, 16, 32, 64)},
    **{f"uint{n}": getattr(pa, f"uint{n}")() for n in (8, 16, 32, 64)},
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "utf8": pa.utf8(),
    "large_utf8": pa.large_utf8(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "fixed_size_binary": pa.binary(5),
    "fixed_size_binary_0": pa.binary(0),
    "decimal32": pa.decimal32(9, 2),
    "decimal64": pa.decimal64(18, 3),
    "decimal128": pa.decimal128(38, 10),
    "decimal128_negative_scale": pa.decimal128(12, -3),
    "decimal256": pa.decimal256(76, 38),
    "date32": pa.date32(),
    "date64": pa.date64(),
    "time32_s": pa.time32("s"),
    "time32_ms": pa.time32("ms"),
    "time64_us": pa.time64("us"),
    "time64_ns": pa.time64("ns"),
    **{f"timestamp_{u}": pa.timestamp(u) for u in ("s", "ms", "us", "ns")},
    "timestamp_zone": pa.timestamp("us", "Europe/Paris"),
    **{f"duration_{u}": pa.duration(u) for u in ("s", "ms", "us", "ns")},
    "month_day_nano": pa.month_day_nano_interval(),
}

NESTED = {
    "list": pa.list_(pa.int32()),
    "large_list": pa.large_list(pa.utf8()),
    "fixed_size_list": pa.list_(pa.float32(), 3),
    "fixed_size_list_0": pa.list_(pa.int8(), 0),
    "struct": pa.struct([("a", pa.int64()), ("b", pa.utf8()), ("c", pa.bool_())]),
    "struct_empty": pa.struct([]),
    "map": pa.map_(pa.utf8(), pa.int32()),
    "map_sorted": pa.map_(pa.int32(), pa.utf8(), keys_sorted=True),
    "deep": pa.list_(pa.struct([("m", pa.map_(pa.utf8(), pa.list_(pa.bool_())))])),
    "list_of_null": pa.list_(pa.null()),
}

DICTIONARIES = {
    "dictionary": pa.dictionary(pa.int8(), pa.utf8()),
    "dictionary_unsigned": pa.dictionary(pa.uint16(), pa.int64()),
    "dictionary_ordered": pa.dictionary(pa.int32(), pa.large_utf8(), ordered=True),
    "dictionary_of_dates": pa.dictionary(pa.int64(), pa.date32()),
}

TYPES = {**LEAVES, **NESTED, **DICTIONARIES}


def table(types, rows, seed, nulls=True):
    rng = random.Random(seed)
    columns = [array(type_, rows, rng, nulls) for type_ in types.values()]
    fields = [
        pa.field(name, type_, nullable=nulls or name == "null", metadata={"about": name})
        for name, type_ in types.items()
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata={"of": "all"}))
