"""Every supported Arrow type, with nulls and at its limits, in and out by HTTP: exact,
or refused by name. docs/types.md says the same in words."""

import datetime
import decimal
import math

import pyarrow as pa
import pytest

from server import problem

D = decimal.Decimal
INF = math.inf
MONTH_DAY_NANO = pa.month_day_nano_interval()


def limits(bits, signed=True):
    return [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1]


def raw(values, storage, kind):
    """Values as their stored numbers, so that no conversion of Python's gets in between."""
    return (
        pa.array(values, storage).cast(kind)
        if storage == kind
        else pa.array(values, storage).view(kind)
    )


# Comes back as it went in.
EXACT = {
    "bool": pa.array([True, False, None] * 5),
    **{f"int{b}": pa.array([*limits(b), 0, None, -1], f"int{b}") for b in (8, 16, 32, 64)},
    **{f"uint{b}": pa.array([*limits(b, False), None, 1], f"uint{b}") for b in (8, 16, 32, 64)},
    "float32": pa.array([0.0, -0.0, INF, -INF, 3.4028234663852886e38, 1e-45, None], pa.float32()),
    "float64": pa.array(
        [0.0, -0.0, INF, -INF, 1.7976931348623157e308, 5e-324, 0.1, None], pa.float64()
    ),
    "utf8": pa.array(
        ["", "a", "Ünï 🦆", "a\0b", "x" * 100_000, "twelve bytes", "thirteen byte", None]
    ),
    "binary": pa.array([b"", b"\0", b"\xff\xfe", bytes(range(256)) * 400, None], pa.binary()),
    **{
        f"decimal128({p},{s})": pa.array(
            [D((0, (9,) * p, -s)), D((1, (9,) * p, -s)), D(0), None], pa.decimal128(p, s)
        )
        for p, s in (
            (1, 0),
            (4, 4),
            (9, 3),
            (18, 0),
            (18, 18),
            (19, 5),
            (38, 0),
            (38, 19),
            (38, 38),
        )
    },
    "date32": raw([0, -1, 2147483646, -2147483646, None], pa.int32(), pa.date32()),
    "time64[us]": raw([0, 86_399_999_999, 1, None], pa.int64(), pa.time64("us")),
    "time64[ns]": raw([0, 86_399_999_999_999, 1, None], pa.int64(), pa.time64("ns")),
    "timestamp[s]": raw(
        [0, -1, 9223372036854, -9223372022400, None], pa.int64(), pa.timestamp("s")
    ),
    "timestamp[ms]": raw(
        [0, -1, 9223372036854775, -9223372022400000, None], pa.int64(), pa.timestamp("ms")
    ),
    "timestamp[us]": raw(
        [0, -1, 2**63 - 2, -9223372022400000000, None], pa.int64(), pa.timestamp("us")
    ),
    "timestamp[ns]": raw(
        [0, -1, 2**63 - 2, -9223286400000000000, None], pa.int64(), pa.timestamp("ns")
    ),
    "timestamp[us, UTC]": raw([0, -1, 2**63 - 2, None], pa.int64(), pa.timestamp("us", "UTC")),
    "month_day_nano": pa.array(
        [(1, -2, 3_000), (0, 0, 0), None, (-(2**31), 2**31 - 1, -86_400_000_000_000)],
        MONTH_DAY_NANO,
    ),
    "list<int32>": pa.array([[1, None, 3], [], None, [2**31 - 1]], pa.list_(pa.int32())),
    "list<utf8>": pa.array([["a", None], [], None, ["x" * 1000] * 100], pa.list_(pa.string())),
    "list<list<int64>>": pa.array([[[1], [], None], None, []], pa.list_(pa.list_(pa.int64()))),
    "list<bool>": pa.array([[True, None, False] * 11, [], None], pa.list_(pa.bool_())),
    "fixed_size_list<int16>[3]": pa.array([[1, 2, 3], None, [4, None, 6]], pa.list_(pa.int16(), 3)),
    "struct": pa.array(
        [{"a": 1, "b": "x"}, {"a": None, "b": None}, None, {"a": 2, "b": ""}],
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
    ),
    "struct<list<struct>>": pa.array(
        [{"l": [{"x": 1}, None]}, {"l": []}, {"l": None}, None],
        pa.struct([("l", pa.list_(pa.struct([("x", pa.int8())])))]),
    ),
    "map<utf8, int32>": pa.array(
        [[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int32())
    ),
    "map<int32, list>": pa.array(
        [[(1, [1, 2]), (2, None)], None], pa.map_(pa.int32(), pa.list_(pa.int64()))
    ),
}

# Comes back as DuckDB's nearest type, with every value as it was.
SAME_VALUES = {
    "float16": (pa.array([0.0, 65504.0, 6e-8, INF, None], pa.float16()), pa.float32()),
    "large_utf8": (pa.array(["", "Ünï", None], pa.large_string()), pa.string()),
    "large_binary": (pa.array([b"", b"\xff", None], pa.large_binary()), pa.binary()),
    "fixed_size_binary": (pa.array([b"abc", b"\0\0\0", None], pa.binary(3)), pa.binary()),
    "large_list": (
        pa.array([[1, None], None, []], pa.large_list(pa.int64())),
        pa.list_(pa.int64()),
    ),
    "decimal32": (
        pa.array([D("99999.9999"), D("-1.5"), None], pa.decimal32(9, 4)),
        pa.decimal128(9, 4),
    ),
    "decimal64": (pa.array([D("9" * 18), None], pa.decimal64(18, 0)), pa.decimal128(18, 0)),
    "decimal256": (
        pa.array([D("9" * 38), D("-" + "9" * 38), None], pa.decimal256(38, 0)),
        pa.decimal128(38, 0),
    ),
    "date64": (
        pa.array([datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None], pa.date64()),
        pa.date32(),
    ),
    "time32[s]": (raw([0, 86_399, None], pa.int32(), pa.time32("s")), pa.time64("us")),
    "time32[ms]": (raw([0, 86_399_999, None], pa.int32(), pa.time32("ms")), pa.time64("us")),
    "timestamp[s, UTC]": (
        raw([0, 2**31, None], pa.int64(), pa.timestamp("s", "UTC")),
        pa.timestamp("us", "UTC"),
    ),
    "timestamp[ms, Europe/Paris]": (
        raw([0, 2**41, None], pa.int64(), pa.timestamp("ms", "Europe/Paris")),
        pa.timestamp("us", "UTC"),
    ),
    "dictionary<utf8>": (pa.array(["x", "y", None, "x"]).dictionary_encode(), pa.string()),
    "dictionary<uint8, int64>": (
        pa.DictionaryArray.from_arrays(
            pa.array([1, 0, None, 1], pa.uint8()), pa.array([2**62, -5])
        ),
        pa.int64(),
    ),
    "list<dictionary>": (
        pa.ListArray.from_arrays(
            pa.array([0, 2, 2, 3], pa.int32()), pa.array(["x", None, "y"]).dictionary_encode()
        ),
        pa.list_(pa.string()),
    ),
    "duration[us]": (pa.array([0, 1, -(10**12), None], pa.duration("us")), MONTH_DAY_NANO),
}


def three(array):
    """Three of its values."""
    return pa.concat_arrays([array, pa.nulls(3, array.type)]).slice(0, 3)


def back(server, name, array, **options):
    server.land(
        name, pa.table({"row": pa.array(range(len(array)), pa.int64()), "v": array}), **options
    )
    return server.arrow(f"SELECT v FROM {name} ORDER BY row")["v"].combine_chunks()


@pytest.mark.parametrize("kind", EXACT)
def test_comes_back_as_it_went_in(server, name, kind):
    array = EXACT[kind]
    got = back(server, name, array)
    assert got.type == array.type
    assert got.equals(array), f"{got} is not {array}"
    got.validate(full=True)


@pytest.mark.parametrize("kind", SAME_VALUES)
def test_comes_back_with_the_same_values(server, name, kind):
    array, as_type = SAME_VALUES[kind]
    got = back(server, name, array)
    assert got.type == as_type
    if kind == "duration[us]":
        want = [None if v is None else (0, 0, v * 1000) for v in array.cast(pa.int64()).to_pylist()]
        totals = [
            None if v is None else (v.months, 0, v.days * 86_400_000_000_000 + v.nanoseconds)
            for v in got.to_pylist()
        ]
        assert totals == want
        return
    values = array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array
    if as_type in (pa.time64("us"),) or pa.types.is_timestamp(as_type) or pa.types.is_date(as_type):
        assert got.equals(values.cast(as_type))
    else:
        assert got.to_pylist() == values.to_pylist()


def test_not_a_number_stays_one(server, name):
    got = back(server, name, pa.array([math.nan, 1.0], pa.float64()))
    assert math.isnan(got[0].as_py()) and got[1].as_py() == 1.0


@pytest.mark.parametrize("kind", EXACT)
def test_nothing_but_nulls_and_no_nulls_at_all(server, name, kind):
    """5,000 rows are more than one of DuckDB's vectors."""
    nulls = pa.nulls(5000, EXACT[kind].type)
    assert back(server, name, nulls).equals(nulls)
    values = EXACT[kind].drop_null()
    if values.nbytes < 10_000:
        values = pa.concat_arrays([values] * (5000 // len(values)))
    assert back(server, name + "b", values).equals(values)


def test_all_types_in_one_table(server, name):
    columns = {f"c {k}": three(a) for k, a in EXACT.items()}
    table = pa.table({"row": pa.array([0, 1, 2], pa.int64()), **columns})
    server.land(name, table)
    got = server.arrow(f"SELECT * FROM {name} ORDER BY row").combine_chunks()
    assert got.column_names == table.column_names
    for column in table.column_names:
        assert got[column].equals(table[column]), column


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_all_types_compressed(server, name, codec):
    from server import ipc

    columns = {k: three(a) for k, a in EXACT.items()}
    table = pa.table({"row": pa.array([0, 1, 2], pa.int64()), **columns})
    server.land(name, ipc(table, compression=codec))
    got = server.arrow(f"SELECT * FROM {name} ORDER BY row").combine_chunks()
    for column in table.column_names:
        assert got[column].equals(table[column]), column


def test_sliced_arrays_land_as_they_are_seen(server, name):
    array = EXACT["list<utf8>"].slice(1, 2)
    assert back(server, name, array).equals(array)
    bits = pa.array([True, False, None] * 100).slice(13, 77)
    assert back(server, name + "b", bits).equals(bits)


def dictionaries(**options):
    """A stream whose dictionary is another one in each batch, and its values."""
    sink = pa.BufferOutputStream()
    schema = pa.schema([("v", pa.dictionary(pa.int8(), pa.string()))])
    batches = [["a", "b"], ["a", "b", "c", None], ["z"], []]
    words = [["a", "b"], ["a", "b", "c"], ["z"], ["z"]]
    write_options = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(sink, schema, options=write_options) as writer:
        for values, dictionary in zip(batches, words, strict=True):
            indices = [None if v is None else dictionary.index(v) for v in values]
            column = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), dictionary)
            writer.write_batch(pa.record_batch([column], schema=schema))
    return sink.getvalue().to_pybytes(), [value for batch in batches for value in batch]


def test_a_dictionary_that_is_replaced_between_batches(server, name):
    body, values = dictionaries()
    server.land(name, body)
    got = server.arrow(f"SELECT v FROM {name}")["v"].to_pylist()
    assert sorted(got, key=str) == sorted(values, key=str)


def test_a_dictionary_that_grows_by_deltas(server, name):
    body, values = dictionaries(emit_dictionary_deltas=True)
    server.land(name, body)
    got = server.arrow(f"SELECT v FROM {name}")["v"].to_pylist()
    assert sorted(got, key=str) == sorted(values, key=str)


def test_an_enum_column_takes_its_own_words_and_no_others(server, name):
    server.rows(f"CREATE TYPE mood_{name} AS ENUM ('good', 'bad')")
    server.rows(f"CREATE TABLE {name} (v mood_{name})")
    server.land(name, pa.table({"v": ["bad", None, "good"]}))
    got = server.arrow(f"SELECT v FROM {name}")["v"].to_pylist()
    assert sorted(got, key=str) == [None, "bad", "good"]
    problem(server.ingest(name, pa.table({"v": ["good", "ugly"]})), 422)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 3


# ---- refused by name


def union():
    return pa.UnionArray.from_sparse(
        pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
    )


REFUSED = {
    "null": (pa.nulls(2), "null"),
    "timestamp[ns, UTC]": (pa.array([0, 1], pa.timestamp("ns", "UTC")), "timestamp[ns"),
    "duration[ns]": (pa.array([0, 1], pa.duration("ns")), "duration[ns"),
    "decimal256(39)": (pa.array([D(1), D(2)], pa.decimal256(39, 0)), "decimal"),
    "decimal128(5,-2)": (pa.array([D(100), D(200)], pa.decimal128(5, -2)), "decimal"),
    "union": (union(), "union"),
    "run_end_encoded": (pa.RunEndEncodedArray.from_arrays([2], ["a"]), "run"),
    "struct<>": (pa.array([{}, {}], pa.struct([])), "struct"),
    "list<null>": (pa.array([[], [None]], pa.list_(pa.null())), "null"),
    "list<duration[ns]>": (pa.array([[1], []], pa.list_(pa.duration("ns"))), "duration[ns"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_type_without_an_exact_place_is_refused_by_name(server, name, kind):
    array, word = REFUSED[kind]
    problem(
        server.ingest(name, pa.table({"fine": [1, 2], "the column": array})),
        501,
        word,
        "the column",
    )
    assert not server.has_table(name)


# Fits the type, not the value's place: the detail names the column.
REFUSED_VALUES = {
    "date32 infinity": raw([0, 2**31 - 1], pa.int32(), pa.date32()),
    "date64 within a day": raw([0, 1], pa.int64(), pa.date64()),
    "time32 after midnight": raw([0, 86_400], pa.int32(), pa.time32("s")),
    "time64 before midnight": raw([0, -1], pa.int64(), pa.time64("us")),
    "timestamp[s] beyond": raw([0, 2**62], pa.int64(), pa.timestamp("s")),
    "timestamp[ns] before 1677-09-22": raw([0, -(2**63) + 2], pa.int64(), pa.timestamp("ns")),
    "timestamp[us] infinity": raw([0, 2**63 - 1], pa.int64(), pa.timestamp("us")),
    "duration[s] beyond": raw([0, 2**62], pa.int64(), pa.duration("s")),
    "interval within a microsecond": pa.array([(0, 0, 0), (0, 0, 1)], MONTH_DAY_NANO),
    "decimal of more digits": pa.array([0, 10**4], pa.decimal128(38, 0))
    .view(pa.binary(16))
    .view(pa.decimal128(4, 0)),
    "map with a key twice": pa.array(
        [[("a", 1)], [("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int32())
    ),
    "text that is no UTF-8": pa.array([b"fine", b"\xff\xfe"], pa.binary()).view(pa.string()),
}


@pytest.mark.parametrize("kind", REFUSED_VALUES)
def test_a_value_that_would_change_is_refused_with_its_column(server, name, kind):
    array = REFUSED_VALUES[kind]
    answer = server.ingest(name, pa.table({"fine": [1, 2], "the column": array}))
    assert answer.status_code in (400, 422), answer.text
    problem(answer, answer.status_code, "the column")
    assert not server.has_table(name)
    # The first row alone is fine.
    server.land(name, pa.table({"fine": [1], "the column": array.slice(0, 1)}))


def test_nulls_land_in_any_column_that_allows_them(server, name):
    server.land(name, pa.table({"a": [1], "b": ["x"]}))
    server.land(name, pa.table({"a": pa.nulls(2), "b": pa.nulls(2)}))
    assert server.value(f"SELECT count(*) AS n FROM {name} WHERE a IS NULL AND b IS NULL") == 2


def test_what_fits_into_a_wider_column_lands_exactly(server, name):
    server.rows(f"CREATE TABLE {name} (i BIGINT, u BIGINT, f DOUBLE, d DECIMAL(20,5), t TIMESTAMP)")
    server.land(
        name,
        pa.table(
            {
                "i": pa.array([-128], pa.int8()),
                "u": pa.array([2**32 - 1], pa.uint32()),
                "f": pa.array([0.1], pa.float32()),
                "d": pa.array([D("1.5")], pa.decimal128(9, 3)),
                "t": pa.array([1], pa.timestamp("s")),
            }
        ),
    )
    got = server.arrow(f"SELECT * FROM {name}").to_pylist()
    assert got == [
        {
            "i": -128,
            "u": 2**32 - 1,
            "f": pa.scalar(0.1, pa.float32()).as_py(),
            "d": D("1.50000"),
            "t": datetime.datetime(1970, 1, 1, 0, 0, 1),
        }
    ]


def test_what_does_not_fit_into_a_narrower_column_is_refused(server, name):
    server.rows(f"CREATE TABLE {name} (i INTEGER, f FLOAT, d DECIMAL(9,3), t TIMESTAMP_S)")
    for column, array in (
        ("i", pa.array([1], pa.int64())),
        ("f", pa.array([0.1], pa.float64())),
        ("d", pa.array([D("1.5")], pa.decimal128(9, 4))),
        ("t", pa.array([1], pa.timestamp("us"))),
        ("i", pa.array([1], pa.uint32())),
    ):
        problem(server.ingest(name, pa.table({column: array})), 422, column)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 0
