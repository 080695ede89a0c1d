"""Tables that hold every type in every encoding with nulls in every pattern: a column for
each type and encoding, a row group for each pattern, values that every reader can say."""

import decimal
import itertools
import random
import string

import pyarrow as pa
import pyarrow.compute as pc

t = pa.types

INTS = ["plain", "dictionary", "delta", "split"]
FLOATS = ["plain", "dictionary", "split"]
BYTES = ["plain", "dictionary", "delta_length", "delta_bytes"]
FIXED = ["plain", "dictionary", "delta_bytes", "split"]

LEAVES = {
    "bool": (pa.bool_(), ["plain", "rle"]),
    **{f"int{n}": (getattr(pa, f"int{n}")(), INTS) for n in (8, 16, 32, 64)},
    **{f"uint{n}": (getattr(pa, f"uint{n}")(), INTS) for n in (8, 16, 32, 64)},
    "float16": (pa.float16(), FIXED),
    "float32": (pa.float32(), FLOATS),
    "float64": (pa.float64(), FLOATS),
    "utf8": (pa.utf8(), BYTES),
    "large_utf8": (pa.large_utf8(), BYTES),
    "utf8_view": (pa.string_view(), BYTES),
    "binary": (pa.binary(), BYTES),
    "large_binary": (pa.large_binary(), BYTES),
    "binary_view": (pa.binary_view(), BYTES),
    "fixed": (pa.binary(5), FIXED),
    "decimal_9": (pa.decimal128(9, 2), INTS),
    "decimal_18": (pa.decimal128(18, 3), INTS),
    "decimal_38": (pa.decimal128(38, 10), FIXED),
    "decimal_76": (pa.decimal256(76, 20), FIXED),
    "decimal32": (pa.decimal32(7, 2), INTS),
    "decimal64": (pa.decimal64(15, 4), INTS),
    "date32": (pa.date32(), INTS),
    "date64": (pa.date64(), INTS),
    "time_s": (pa.time32("s"), INTS),
    "time_ms": (pa.time32("ms"), INTS),
    "time_us": (pa.time64("us"), INTS),
    "time_ns": (pa.time64("ns"), INTS),
    **{f"timestamp_{u}": (pa.timestamp(u), INTS) for u in ("s", "ms", "us", "ns")},
    "timestamp_utc": (pa.timestamp("us", "UTC"), INTS),
    "timestamp_zone": (pa.timestamp("ms", "Europe/Paris"), INTS),
    **{f"duration_{u}": (pa.duration(u), INTS) for u in ("s", "ms", "us", "ns")},
    "null": (pa.null(), ["plain"]),
}

NESTED = {
    "list": pa.list_(pa.int32()),
    "large_list": pa.large_list(pa.utf8()),
    "fixed_size_list": pa.list_(pa.float32(), 3),
    "struct": pa.struct([("a", pa.int64()), ("b", pa.utf8()), ("c", pa.bool_())]),
    "map": pa.map_(pa.utf8(), pa.int32()),
    "list_of_list": pa.list_(pa.list_(pa.int16())),
    "list_of_struct": pa.list_(pa.struct([("x", pa.float64()), ("y", pa.utf8())])),
    "struct_of_struct": pa.struct(
        [("s", pa.struct([("i", pa.int8())])), ("l", pa.list_(pa.utf8()))]
    ),
    "deep": pa.list_(pa.struct([("m", pa.map_(pa.utf8(), pa.list_(pa.bool_())))])),
}

# ---- values --------------------------------------------------------------------------------------

_FIRST_S, _LAST_S = -2_000_000_000, 7_000_000_000  # 1906 to 2191
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FLOATS = [0.0, -0.0, 0.5, -2.25, 1e-7, float("inf"), float("-inf"), float("nan"), 123.25]
_WORDS = [
    "",
    "a",
    "naïve",
    "日本語",
    'q"uote',
    "com,ma",
    "𝄞",
    "prefix-1",
    "prefix-22",
    "prefix-333",
]


def _integer(kind, rng):
    low, high = 0, 2**kind.bit_width - 1
    if t.is_signed_integer(kind):
        low, high = -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1
    roll = rng.random()
    return rng.choice([low, high, 0]) if roll < 0.1 else rng.randint(max(low, -99), min(high, 99))


def _temporal(kind, rng):
    if t.is_date32(kind):
        return rng.randint(_FIRST_S // 86400, _LAST_S // 86400)
    if t.is_date64(kind):
        return rng.randint(_FIRST_S // 86400, _LAST_S // 86400) * 86_400_000
    per_second = _PER_SECOND[kind.unit]
    if t.is_time(kind):
        return rng.randrange(86400 * per_second)
    return rng.randint(_FIRST_S * per_second, _LAST_S * per_second)


def _value(kind, rng):
    if t.is_boolean(kind):
        return rng.random() < 0.5
    if t.is_integer(kind):
        return _integer(kind, rng)
    if t.is_floating(kind):
        return rng.choice(_FLOATS) if rng.random() < 0.2 else float(rng.randint(-2000, 2000)) / 8
    if t.is_decimal(kind):
        top = 10 ** rng.choice([kind.precision, 3]) - 1
        return decimal.Decimal(rng.randint(-top, top)).scaleb(-kind.scale, _CONTEXT)
    if t.is_temporal(kind):
        return _temporal(kind, rng)
    if t.is_fixed_size_binary(kind):
        return rng.randbytes(kind.byte_width)
    text = rng.choice(_WORDS) + "".join(rng.choices(string.ascii_letters, k=rng.randrange(8)))
    is_text = t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind)
    return text if is_text else text.encode() + rng.randbytes(2)


_CONTEXT = decimal.Context(prec=100)


def _nested(kind, rng):
    if t.is_struct(kind):
        return {field.name: value(field.type, rng) for field in kind}
    if t.is_fixed_size_list(kind):
        return [value(kind.value_type, rng) for _ in range(kind.list_size)]
    length = rng.choice([0, 1, 1, 2, 5])
    if t.is_map(kind):
        keys = {_value(kind.key_type, rng) for _ in range(length)}
        return [(key, value(kind.item_type, rng)) for key in sorted(keys)]
    return [value(kind.value_type, rng) for _ in range(length)]


def value(kind, rng, nulls=0.2):
    """A value that pyarrow takes for the type, or None; temporal ones as numbers."""
    if t.is_null(kind) or rng.random() < nulls:
        return None
    return _nested(kind, rng) if t.is_nested(kind) else _value(kind, rng)


def array(kind, values):
    """Of such values, an array of the type."""
    if t.is_temporal(kind):
        number = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(values, number).view(kind)
    if t.is_string_view(kind) or t.is_binary_view(kind):
        base = pa.utf8() if t.is_string_view(kind) else pa.binary()
        return pa.array(values, base).cast(kind)
    return pa.array(values, kind)


# ---- nulls ---------------------------------------------------------------------------------------

ROWS = 240  # of each pattern

# Whether a row of so many is null.
PATTERNS = {
    "none": lambda row, rows: False,
    "all": lambda row, rows: True,
    "alternating": lambda row, rows: row % 2 == 0,
    "few": lambda row, rows: row % 53 == 17,
    "runs": lambda row, rows: row // 37 % 2 == 1,
    "first and last": lambda row, rows: row in (0, rows - 1),
    "pages": lambda row, rows: rows // 3 <= row < rows // 3 * 2,  # one of three has none but nulls
    "few values": lambda row, rows: row % 71 != 5,
}


def _column(kind, distinct, rng, nulls, rows=ROWS):
    pool = [value(kind, rng, 0) for _ in range(distinct)]
    made = []
    for is_null in PATTERNS.values() if nulls else [PATTERNS["none"]] * len(PATTERNS):
        made += [None if is_null(row, rows) else rng.choice(pool) for row in range(rows)]
    return array(kind, made)


def matrix(nested=True, seed=1, rows=ROWS):
    """A table and the encodings of its columns: `rows` rows for each of PATTERNS."""
    rng = random.Random(seed)
    columns, fields, encodings = [], [], {}

    def add(name, kind, made, nullable=True):
        columns.append(made)
        fields.append(pa.field(name, kind, nullable=nullable))

    for name, (kind, suited) in LEAVES.items():
        for encoding in suited:
            path = f"{name}__{encoding}"
            distinct = 40 if encoding == "dictionary" else 400
            add(path, kind, _column(kind, distinct, rng, True, rows))
            encodings[path] = encoding
        if not t.is_null(kind):
            add(f"{name}__required", kind, _column(kind, 60, rng, False, rows), False)
    for name, kind in NESTED.items() if nested else ():
        add(name, kind, _column(kind, 200, rng, True, rows))
        add(f"{name}__required", kind, _column(kind, 200, rng, False, rows), False)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields)), encodings


def coded(seed=2, rows=ROWS):
    """Dictionaries, run-end encoded arrays and list views, which come as what they stand for."""
    rng = random.Random(seed)
    columns = {}
    for name in (
        "utf8",
        "int32",
        "float64",
        "binary",
        "decimal_38",
        "timestamp_us",
        "bool",
        "fixed",
    ):
        kind = LEAVES[name][0]
        plain = _column(kind, 30, rng, True, rows)
        if name not in ("bool",):
            columns[f"dictionary_{name}"] = plain.dictionary_encode()
        columns[f"runs_{name}"] = pc.run_end_encode(plain.take(_in_runs(len(plain), rng)))
    ints = _column(pa.list_(pa.int32()), 200, rng, True, rows)
    columns["list_view"] = list_view(ints, pa.ListViewArray, pa.int32())
    columns["large_list_view"] = list_view(ints, pa.LargeListViewArray, pa.int64())
    return pa.table(columns)


def decoded(data):
    """The table without dictionaries, runs and views of lists."""
    columns, fields = [], []
    for field, column in zip(data.schema, data.columns, strict=True):
        kind, made = field.type, column.combine_chunks()
        if t.is_dictionary(kind):
            made = made.dictionary_decode()
        elif t.is_run_end_encoded(kind):
            made = pc.run_end_decode(made)
        elif t.is_list_view(kind) or t.is_large_list_view(kind):
            lengths = pc.fill_null(pc.list_value_length(made), 0).to_pylist()
            offsets = pa.array(itertools.accumulate(lengths, initial=0), pa.int32())
            mask = made.is_null() if made.null_count else None
            made = pa.ListArray.from_arrays(offsets, made.flatten(), mask=mask)
        columns.append(made)
        fields.append(field.with_type(made.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _in_runs(rows, rng):
    at, indices = 0, []
    while len(indices) < rows:
        at = rng.randrange(rows)
        indices += [at] * rng.choice([1, 1, 3, 40])
    return pa.array(indices[:rows])


def list_view(lists, kind, offset_type):
    """A list array as a list view whose lists lie in the other order in the child."""
    backwards = lists.take(pa.array(range(len(lists) - 1, -1, -1)))
    lengths = pc.fill_null(pc.list_value_length(backwards), 0).to_pylist()
    starts, at = [], 0
    for length in lengths:
        starts.append(at)
        at += length
    return kind.from_arrays(
        pa.array(starts[::-1], offset_type),
        pa.array(lengths[::-1], offset_type),
        backwards.flatten(),
        mask=lists.is_null(),
    )


# Each page version with every codec, in files that also differ in all else that readers meet.
VARIANTS = {
    f"{codec}_v{version}": {"codec": codec, "page_version": version, **extra}
    for codec, version, extra in [
        ("none", 1, {}),
        ("none", 2, {"threads": 2}),
        ("snappy", 1, {"always_compress": True}),
        ("snappy", 2, {}),
        ("zstd", 1, {"level": 3}),
        ("zstd", 2, {"always_compress": True, "no_checksums": True}),
        ("gzip", 1, {"level": 1}),
        ("gzip", 2, {"no_page_index": True}),
        ("lz4", 1, {"no_statistics": True}),
        ("lz4", 2, {"always_compress": True, "threads": 2}),
    ]
}
