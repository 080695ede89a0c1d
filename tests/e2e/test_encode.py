"""Rows as JSON, NDJSON and CSV say what the Arrow values are, exactly: each table goes
through our reader and encoder (tests/tools/ipc_encode.c), and what comes out is read
with Python's own json and csv and compared with what pyarrow and datetime say."""

import base64
import csv
import datetime
import decimal
import io
import json
import math
import random
import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from arrow_tools import LEAVES, TYPES, array, check, run, stream, table

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNSUPPORTED_EXIT = 10


# ---- what is expected ---------------------------------------------------------------------


def date_text(days):
    """The calendar repeats every 400 years: datetime says the rest."""
    cycle, day = divmod(days - 10957, 146097)  # from 2000-01-01 on
    date = datetime.date(2000, 1, 1) + datetime.timedelta(days=day)
    year = date.year + 400 * cycle
    return (f"{year:04}" if 0 <= year <= 9999 else f"{year:+06}") + f"-{date:%m-%d}"


def fraction_text(fraction, unit):
    return "" if unit == "s" else "." + str(fraction).zfill({"ms": 3, "us": 6, "ns": 9}[unit])


def time_text(value, unit):
    seconds, fraction = divmod(value, PER_SECOND[unit])
    clock = (datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=seconds)).time()
    return clock.isoformat() + fraction_text(fraction, unit)


def timestamp_text(value, type_):
    days, rest = divmod(value, 86400 * PER_SECOND[type_.unit])
    return f"{date_text(days)}T{time_text(rest, type_.unit)}" + ("Z" if type_.tz else "")


class Duration:
    """Equal to an ISO 8601 duration of so many units."""

    TEXT = re.compile(r"(-?)PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?")

    def __init__(self, value, unit):
        self.value, self.unit = value, unit

    def __eq__(self, text):
        sign, hours, minutes, seconds, fraction = self.TEXT.fullmatch(text).groups()
        assert int(minutes or 0) < 60 and int(seconds or 0) < 60
        assert fraction is None or len(fraction) == {"s": 0, "ms": 3, "us": 6, "ns": 9}[self.unit]
        whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
        return (-1 if sign else 1) * (
            whole * PER_SECOND[self.unit] + int(fraction or 0)
        ) == self.value

    def __repr__(self):
        return f"Duration({self.value} {self.unit})"


class Span:
    """Equal to an ISO 8601 duration of months, days and nanoseconds with their signs."""

    TEXT = re.compile(
        r"P(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{9}))?S)?)?"
    )

    def __init__(self, value):
        self.value = tuple(value)

    def __eq__(self, text):
        months, days, hours, minutes, sign, seconds, fraction = self.TEXT.fullmatch(text).groups()
        size = int(seconds or 0) * 10**9 + int(fraction or 0)
        clock = (int(hours or 0) * 3600 + int(minutes or 0) * 60) * 10**9
        clock += -size if sign else size
        return (int(months or 0), int(days or 0), clock) == self.value

    def __repr__(self):
        return f"Span{self.value}"


class Float:
    """Equal to the shortest text that reads back as the number."""

    def __init__(self, value, type_):
        self.value = type_.to_pandas_dtype()(value)
        self.single = type_.bit_width <= 32

    @staticmethod
    def digits(text):
        """Without zeros at both ends."""
        return text.lstrip("-").split("e")[0].replace(".", "").strip("0")

    def __eq__(self, text):
        if not math.isfinite(self.value):
            names = {math.inf: "Infinity", -math.inf: "-Infinity"}
            return text == names.get(float(self.value), "NaN")
        assert isinstance(text, FloatText), f"{text!r} does not look like a float"
        kind = np.float32 if self.single else np.float64
        back = kind(float(text.text))
        assert self.digits(text.text) == self.digits(str(kind(self.value)))
        return back == self.value and np.signbit(back) == np.signbit(self.value)

    def __repr__(self):
        return f"Float({self.value!r})"


class FloatText:
    def __init__(self, text):
        assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", text) and re.search("[.e]", text)
        self.text = text

    def __repr__(self):
        return f"FloatText({self.text})"


class Decimal:
    """Equal to the number's text with all digits of its scale and no more."""

    def __init__(self, value, scale):
        self.value, self.scale = value, scale

    def __eq__(self, text):
        assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text), text
        places = len(text.partition(".")[2])
        return places == max(self.scale, 0) and decimal.Decimal(text) == self.value

    def __repr__(self):
        return f"Decimal({self.value}, {self.scale})"


def numbers(array):
    return array.view(pa.int32() if array.type.bit_width == 32 else pa.int64()).to_pylist()


def temporal(array):
    """A text for each value."""
    t, type_ = pa.types, array.type
    for value in numbers(array):
        if value is None:
            yield None
        elif t.is_date32(type_):
            yield date_text(value)
        elif t.is_date64(type_):
            yield date_text(value // 86_400_000)
        elif t.is_time(type_):
            yield time_text(value, type_.unit)
        elif t.is_duration(type_):
            yield Duration(value, type_.unit)
        else:
            yield timestamp_text(value, type_)


def nested(array):
    t, type_ = pa.types, array.type
    if t.is_struct(type_):
        columns = [expected(child) for child in array.flatten()]
        names = [field.name for field in type_]
        for i, valid in enumerate(array.is_valid().to_pylist()):
            row = {name: column[i] for name, column in zip(names, columns, strict=True)}
            yield row if valid else None
        return
    for scalar in array:
        if not scalar.is_valid:
            yield None
        elif t.is_map(type_):
            entries = scalar.values
            keys, values = expected(entries.field(0)), expected(entries.field(1))
            yield [{"key": k, "value": v} for k, v in zip(keys, values, strict=True)]
        else:
            yield expected(scalar.values)


def union(array):
    """pyarrow's type_codes and offsets forget a slice's offset; the buffers do not."""
    members = [expected(array.field(i)) for i in range(array.type.num_fields)]
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    member_of = {code: i for i, code in enumerate(array.type.type_codes)}

    def numbers_of(type_, buffer):
        buffers = [None, array.buffers()[buffer]]
        return pa.Array.from_buffers(type_, len(array), buffers, offset=array.offset).to_pylist()

    is_dense = array.type.mode == "dense"
    places = numbers_of(pa.int32(), 2) if is_dense else range(len(array))
    for code, place in zip(numbers_of(pa.int8(), 1), places, strict=True):
        yield {names[member_of[code]]: members[member_of[code]][place]}


def runs(array):
    values, ends = expected(array.values), array.run_ends.to_pylist()
    run = array.find_physical_offset()
    for place in range(array.offset, array.offset + len(array)):
        run += place >= ends[run]
        yield values[run]


def expected(array):
    """What each value of the array is in JSON."""
    t, type_ = pa.types, array.type
    if t.is_dictionary(type_):
        return expected(array.dictionary_decode())
    if t.is_union(type_):
        return list(union(array))
    if t.is_run_end_encoded(type_):
        return list(runs(array))
    if t.is_nested(type_):
        return list(nested(array))
    if type_ == pa.month_day_nano_interval():
        return [None if v is None else Span(v) for v in array.to_pylist()]
    if t.is_temporal(type_):
        return list(temporal(array))
    make = lambda value: value  # noqa: E731
    if t.is_floating(type_):
        make = lambda value: Float(value, type_)  # noqa: E731
    elif t.is_decimal(type_):
        make = lambda value: Decimal(value, type_.scale)  # noqa: E731
    elif isinstance(next((v for v in array.to_pylist() if v is not None), None), bytes):
        make = lambda value: base64.b64encode(value).decode()  # noqa: E731
    return [None if value is None else make(value) for value in array.to_pylist()]


def expected_rows(want):
    columns = [
        expected(c.chunk(0) if c.num_chunks == 1 else c.combine_chunks()) for c in want.columns
    ]
    columns = [c if isinstance(c, list) else list(c) for c in columns]
    return [list(row) for row in zip(*columns, strict=True)]


# ---- what came ----------------------------------------------------------------------------


def encode(format_, want, rows_per_batch=100):
    batches = want.to_batches(max_chunksize=rows_per_batch)
    return check("ipc_encode", format_, data=stream(batches, want.schema))


def loads(text):
    """Objects as dicts whose keys are all different; floats as they are written."""

    def pairs(items):
        assert len({key for key, _ in items}) == len(items), items
        return dict(items)

    return json.loads(text, parse_float=FloatText, object_pairs_hook=pairs)


def rows_of(format_, data):
    text = data.decode()
    if format_ == "json":
        return [list(row.values()) for row in loads(text)]
    assert text == "" or text.endswith("\n")
    return [list(loads(line).values()) for line in text.split("\n")[:-1]]


def csv_fields(data):
    """RFC 4180, read strictly: (text, whether it was in quotes) for each field."""
    text = data.decode()
    field = re.compile(r'"((?:[^"]|"")*)"|([^",\r\n]*)')
    records, record, at = [], [], 0
    while at < len(text):
        match = field.match(text, at)
        quoted = match.group(1) is not None
        record.append((match.group(1).replace('""', '"') if quoted else match.group(2), quoted))
        at = match.end()
        if text.startswith(",", at):
            at += 1
            continue
        assert text.startswith("\r\n", at), text[at : at + 20]
        records.append(record)
        record, at = [], at + 2
    assert not record
    return records


def csv_value(field, type_):
    """A field as JSON would have it."""
    text, quoted = field
    t = pa.types
    if text == "" and not quoted:
        return None
    while t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        type_ = type_.value_type
    if t.is_boolean(type_) or t.is_integer(type_) or t.is_nested(type_):
        return loads(text)
    if t.is_floating(type_) and text not in ("NaN", "Infinity", "-Infinity"):
        return FloatText(text)
    return text


# ---- all types ----------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["json", "ndjson"])
@pytest.mark.parametrize("name", TYPES)
def test_json_says_every_value(name, format_):
    for rows in (0, 1, 300):
        want = table({name: TYPES[name]}, rows, f"{name} {rows}")
        assert rows_of(format_, encode(format_, want)) == expected_rows(want)


@pytest.mark.parametrize("name", TYPES)
def test_csv_says_every_value(name):
    want = table({"first": pa.int8(), name: TYPES[name]}, 300, f"csv {name}")
    header, *records = csv_fields(encode("csv", want))
    assert [text for text, _ in header] == ["first", name]
    got = [
        [csv_value(field, type_) for field, type_ in zip(record, want.schema.types, strict=True)]
        for record in records
    ]
    assert got == expected_rows(want)


def list_views(rng, rows, values, kind):
    """In any order and over each other."""
    sizes = [rng.randrange(4) for _ in range(rows)]
    offsets = [rng.randrange(len(values) - size + 1) for size in sizes]
    nulls = pa.array([rng.random() < 0.2 for _ in range(rows)])
    wide = pa.int64() if kind is pa.LargeListViewArray else pa.int32()
    return kind.from_arrays(pa.array(offsets, wide), pa.array(sizes, wide), values, mask=nulls)


def run_ends(rng, rows, values, type_):
    ends = sorted(rng.sample(range(1, rows), len(values) - 1)) + [rows]
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, type_), values)


def unions(rng, rows, mode):
    """Members of three types, with type ids that are not in order; nulls are theirs."""
    types = [pa.int64(), pa.list_(pa.utf8()), pa.float32()]
    codes = [rng.choice((5, 0, 127)) for _ in range(rows)]
    names = ["number", "words", "float"]
    members = [array(type_, rows, rng) for type_ in types]
    ids = pa.array(codes, pa.int8())
    if mode == "sparse":
        return pa.UnionArray.from_sparse(ids, members, names, [5, 0, 127])
    offsets = pa.array([codes[:i].count(code) for i, code in enumerate(codes)], pa.int32())
    return pa.UnionArray.from_dense(ids, offsets, members, names, [5, 0, 127])


ROWS = 250
LAYOUTS = {
    "list_view": lambda r: list_views(r, ROWS, array(pa.utf8(), 99, r), pa.ListViewArray),
    "large_list_view": lambda r: list_views(r, ROWS, array(pa.int8(), 9, r), pa.LargeListViewArray),
    "dense_union": lambda r: unions(r, ROWS, "dense"),
    "sparse_union": lambda r: unions(r, ROWS, "sparse"),
    "run_ends_16": lambda r: run_ends(r, ROWS, array(pa.float64(), 40, r), pa.int16()),
    "run_ends_32": lambda r: run_ends(r, ROWS, array(pa.utf8(), ROWS, r), pa.int32()),
    "run_ends_64": lambda r: run_ends(r, ROWS, array(TYPES["struct"], 1, r), pa.int64()),
    "struct_of_them": lambda r: pa.StructArray.from_arrays(
        [unions(r, ROWS, "sparse"), run_ends(r, ROWS, array(pa.bool_(), 7, r), pa.int16())],
        ["union", "runs"],
    ),
    "list_views_of_unions": lambda r: list_views(r, ROWS, unions(r, 50, "dense"), pa.ListViewArray),
    "runs_of_list_views": lambda r: run_ends(
        r, ROWS, list_views(r, 20, array(pa.date32(), 30, r), pa.ListViewArray), pa.int32()
    ),
    "runs_of_unions": lambda r: run_ends(r, ROWS, unions(r, 60, "dense"), pa.int16()),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_views_unions_and_runs_are_written_as_their_values(name):
    column = LAYOUTS[name](random.Random(f"layout {name}"))
    column.validate(full=True)
    want = pa.table({"first": pa.array(range(ROWS)), name: column})
    rows = expected_rows(want)
    for format_ in ("json", "ndjson"):
        assert rows_of(format_, encode(format_, want)) == rows
    header, *records = csv_fields(encode("csv", want))
    assert [text for text, _ in header] == ["first", name]
    types = want.schema.types
    got = [[csv_value(f, type_) for f, type_ in zip(r, types, strict=True)] for r in records]
    assert got == rows
    assert rows_of("ndjson", encode("ndjson", want.slice(3, 200))) == rows[3:203]


def test_all_types_together_and_slices_of_them():
    whole = table(TYPES, 200, 12)
    parts = [whole.slice(start, rows) for start, rows in ((3, 5), (9, 64), (73, 100))]
    want = pa.concat_tables(parts)
    assert rows_of("ndjson", encode("ndjson", want)) == expected_rows(want.combine_chunks())
    assert rows_of("json", encode("json", want)) == expected_rows(want.combine_chunks())


def test_python_csv_and_duckdb_read_the_same_texts(tmp_path):
    want = table({name: LEAVES[name] for name in ("int64", "utf8", "float64", "date32")}, 500, 13)
    data = encode("csv", want)
    records = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert records == [[text for text, _ in record] for record in csv_fields(data)]
    whole = table({"i": pa.int64(), "u": pa.uint64(), "d": pa.decimal128(38, 10)}, 500, 14)
    path = tmp_path / "rows.csv"
    path.write_bytes(encode("csv", whole))
    relation = duckdb.connect().sql(
        f"select * from read_csv('{path}', header=true, columns="
        "{'i': 'BIGINT', 'u': 'UBIGINT', 'd': 'DECIMAL(38,10)'})"
    )
    assert relation.fetchall() == [tuple(row.values()) for row in whole.to_pylist()]


# ---- exactness at the edges ---------------------------------------------------------------


def one(array, format_="ndjson", name="c"):
    """The texts of a column's values, as they stand in the output."""
    data = encode(format_, pa.table({name: array})).decode()
    if format_ == "csv":
        return data.split("\r\n")[1:-1]
    return [line[len(f'{{"{name}":') : -1] for line in data.split("\n")[:-1]]


def test_integers_have_all_their_digits():
    int64 = pa.array([-(2**63), 2**63 - 1, 2**53 + 1, -1, 0, 10, 99, 100])
    assert one(int64) == [str(v) for v in int64.to_pylist()]
    assert one(pa.array([2**64 - 1, 0], pa.uint64())) == ["18446744073709551615", "0"]
    assert one(pa.array([-128, 127], pa.int8())) == ["-128", "127"]


def test_floats_are_the_shortest_text_that_reads_back():
    values = [0.1, 1.0, -0.0, 1e22, 1e300, 5e-324, 1 / 3, 123456.789, 2.0**53, 1e-5, 1e-7, 0.3]
    texts = ["0.1", "1.0", "-0.0", "1e+22", "1e+300", "5e-324", "0.3333333333333333", "123456.789"]
    texts += ["9007199254740992.0", "0.00001", "1e-07", "0.3"]
    got = one(pa.array(values))
    assert [float(text) for text in got] == values
    assert got[:8] + got[9:] == texts[:8] + texts[9:]
    assert one(pa.array([0.1, 1 / 3, 16777216.0, 3e38], pa.float32())) == [
        "0.1",
        "0.33333334",
        *one(pa.array([16777216.0, 3e38], pa.float32())),
    ]
    assert one(pa.array([0.5, 65504.0, 6e-8], pa.float16()))[:2] == ["0.5", "65504.0"]


def test_many_random_floats_read_back():
    rng = np.random.default_rng(15)
    bits = rng.integers(0, 2**64, 50_000, dtype=np.uint64)
    spread = 10.0 ** rng.uniform(-8, 18, 50_000) * rng.choice([-1, 1], 50_000)
    for values in (bits.view(np.float64), rng.random(50_000), spread):
        got = np.array([float(text) for text in one(pa.array(values), "csv")])
        nan = np.isnan(values)
        assert (np.isnan(got) == nan).all()
        assert (got[~nan].view(np.uint64) == values[~nan].view(np.uint64)).all()
    for values in (bits.astype(np.uint32).view(np.float32), spread.astype(np.float32)):
        got = np.array([float(text) for text in one(pa.array(values), "csv")], np.float32)
        nan = np.isnan(values)
        assert (got[~nan].view(np.uint32) == values[~nan].view(np.uint32)).all()


def test_floats_have_the_digits_that_python_shows():
    """Powers of two lie nearer to what is below them; 2 ** 50 + 0.25 lies in the middle."""
    exponents = np.arange(-1074, 1024)
    rng = np.random.default_rng(16)
    neighbours = np.ldexp(1.0, exponents)
    doubles = [neighbours, np.nextafter(neighbours, 0), np.nextafter(neighbours, np.inf)]
    doubles += [2.0**50 + np.arange(200) / 8, rng.integers(0, 2**63, 20_000).view(np.float64)]
    doubles += [np.round(rng.random(5_000) * 1e6, 2), rng.integers(0, 2**53, 5_000) / 1024]
    singles = [np.ldexp(np.float32(1), np.arange(-149, 128)), np.arange(2**21, 2**21 + 9, 0.25)]
    singles += [rng.integers(0, 2**31, 20_000).astype(np.uint32).view(np.float32)]
    for values in doubles + [s.astype(np.float32) for s in singles]:
        values = values[np.isfinite(values)]
        for text, value in zip(one(pa.array(values), "csv"), values, strict=True):
            assert Float.digits(text) == Float.digits(str(value)), (text, value)
            assert type(value)(float(text)) == value


def test_what_json_has_no_number_for_is_a_string():
    special = pa.array([math.nan, math.inf, -math.inf])
    assert one(special) == ['"NaN"', '"Infinity"', '"-Infinity"']
    assert one(special, "csv") == ["NaN", "Infinity", "-Infinity"]
    assert one(special.cast(pa.float16())) == ['"NaN"', '"Infinity"', '"-Infinity"']


def test_decimals_keep_their_scale():
    nines = "9" * 76
    array = pa.array(
        map(decimal.Decimal, ("12.34", "-0.01", "0", "-99999999.99")), pa.decimal128(10, 2)
    )
    assert one(array) == ['"12.34"', '"-0.01"', '"0.00"', '"-99999999.99"']
    assert one(array, "csv") == ["12.34", "-0.01", "0.00", "-99999999.99"]
    largest = pa.array(map(decimal.Decimal, (nines, "-" + nines)), pa.decimal256(76, 0))
    assert one(largest) == [f'"{nines}"', f'"-{nines}"']
    thousands = pa.array([decimal.Decimal("12E3"), decimal.Decimal("0")], pa.decimal128(5, -3))
    assert one(thousands) == ['"12000"', '"0"']
    small = pa.array([decimal.Decimal("1E-30")], pa.decimal128(38, 30))
    assert one(small) == ['"0.' + "0" * 29 + '1"']


def test_times_have_as_many_digits_as_their_unit():
    ns = pa.array([1, -1, -(2**63), 2**63 - 1], pa.timestamp("ns"))
    assert one(ns) == [
        '"1970-01-01T00:00:00.000000001"',
        '"1969-12-31T23:59:59.999999999"',
        '"1677-09-21T00:12:43.145224192"',
        '"2262-04-11T23:47:16.854775807"',
    ]
    assert one(pa.array([1_700_000_000], pa.timestamp("s"))) == ['"2023-11-14T22:13:20"']
    zoned = pa.array([1_700_000_000_000], pa.timestamp("ms", "Europe/Paris"))
    assert one(zoned) == ['"2023-11-14T22:13:20.000Z"']
    assert one(pa.array([1], pa.time64("us"))) == ['"00:00:00.000001"']
    assert one(pa.array([86399], pa.time32("s"))) == ['"23:59:59"']


def test_dates_before_1970_and_past_four_digits():
    days = pa.array([-1, -719528, -719529, 2932896, 2932897, 11016], pa.int32()).view(pa.date32())
    assert one(days) == [
        '"1969-12-31"',
        '"0000-01-01"',
        '"-00001-12-31"',
        '"9999-12-31"',
        '"+10000-01-01"',
        '"2000-02-29"',
    ]
    odd = pa.array([86_400_000, 86_400_001], pa.int64()).view(pa.date64())
    assert one(odd) == ['"1970-01-02"', '"1970-01-02T00:00:00.001"']


def test_spans_are_iso_8601_durations():
    ms = pa.array([0, 1, -1500, 5_400_000, 60_000], pa.duration("ms"))
    assert one(ms) == ['"PT0S"', '"PT0.001S"', '"-PT1.500S"', '"PT1H30M"', '"PT1M"']
    spans = [pa.MonthDayNano(v) for v in ([1, 2, 3], [0, 0, 0], [-1, 1, -3_600_000_000_001])]
    assert one(pa.array(spans)) == ['"P1M2DT0.000000003S"', '"P0D"', '"P-1M1DT-1H-0.000000001S"']


def test_strings_are_escaped_and_bytes_are_base64():
    text = ["", 'a"b\\c', "\x00\x1f\x7f", "é日𝄞", "tab\tnew\nret\r", "x" * 10_000 + '"']
    assert [json.loads(t) for t in one(pa.array(text))] == text
    assert one(pa.array([text[2]])) == ['"\\u0000\\u001f\x7f"']
    assert one(pa.array([b"", b"\x00", b"ab", b"\xff\xfe\xfd"])) == [
        '""',
        '"AA=="',
        '"YWI="',
        '"//79"',
    ]


def test_csv_tells_null_from_an_empty_string():
    want = pa.table({"a": ["", None, "x"], "b": pa.array([b"", None, b"x"])})
    assert encode("csv", want) == b'a,b\r\n"",""\r\n,\r\nx,eA==\r\n'


def test_csv_quotes_what_needs_quotes():
    want = pa.table({'na"me': ["a,b", 'q"q', "l\nf", "c\rr", " space "], "n": [[1, 2]] * 5})
    assert encode("csv", want).split(b"\r\n") == [
        b'"na""me",n',
        b'"a,b","[1,2]"',
        b'"q""q","[1,2]"',
        b'"l\nf","[1,2]"',
        b'"c\rr","[1,2]"',
        b' space ,"[1,2]"',
        b"",
    ]


# ---- frames and names ---------------------------------------------------------------------


def test_frames():
    want = pa.table({"a": [1, 2], "b": ["x", None]})
    assert encode("json", want) == b'[\n{"a":1,"b":"x"},\n{"a":2,"b":null}\n]\n'
    assert encode("json", want, rows_per_batch=1) == encode("json", want)
    assert encode("ndjson", want) == b'{"a":1,"b":"x"}\n{"a":2,"b":null}\n'
    assert encode("csv", want) == b"a,b\r\n1,x\r\n2,\r\n"
    none = want.slice(0, 0)
    assert [encode(f, none) for f in ("json", "ndjson", "csv")] == [b"[]\n", b"", b"a,b\r\n"]


def test_equal_names_are_told_apart():
    column = pa.array([1])
    want = pa.table([column] * 6, names=["a", "a", "a_1", "a", "", ""])
    assert json.loads(encode("ndjson", want)) == dict.fromkeys(
        ["a", "a_2", "a_1", "a_3", "", "_1"], 1
    )
    assert encode("csv", want).split(b"\r\n")[0] == b'a,a_2,a_1,a_3,"",_1'
    fields = pa.StructArray.from_arrays([column, column], ["x", "x"])
    assert one(fields) == ['{"x":1,"x_1":1}']


def test_ten_thousand_equal_names_take_no_time():
    want = pa.table([pa.array([1])] * 10_000, names=["n"] * 10_000)
    assert len(json.loads(encode("ndjson", want))) == 10_000


def test_names_are_escaped():
    name = 'q"\\\n日\x01'
    want = pa.table({name: [1]})
    assert json.loads(encode("ndjson", want)) == {name: 1}


@pytest.mark.parametrize("format_", ["json", "ndjson", "csv"])
def test_types_without_text_are_refused_by_name(format_):
    schema = pa.schema([("fine", pa.int8()), ("odd", pa.list_(pa.decimal128(5, -1001)))])
    done = run("ipc_encode", format_, data=stream([], schema))
    assert done.returncode == UNSUPPORTED_EXIT
    assert b"scale -1001" in done.stderr
    assert done.stdout == b""
