"""Between our library and pyarrow, polars, DuckDB and nanoarrow: all take what we export,
and we take all that they export."""

import ctypes
import datetime
import decimal
import uuid

import duckdb
import nanoarrow as na
import numpy as np
import polars as pl
import pyarrow as pa
from nanoarrow.c_array_stream import CArrayStream

from . import canon, cases, cdata, ours, samples
from .checks import CHECKS, check
from .interface import Array, Stopped, Stream, give_back, pointer, pull


def pyarrow_stream(array):
    batch = pa.record_batch([array], ["a"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch.slice(1))
    return batch, sink.getvalue()


# ---- what we export --------------------------------------------------------------------


def to_pyarrow(source):
    table = pa.RecordBatchReader.from_stream(source).read_all()
    table.validate(full=True)
    return table.column(0)


def to_polars(source):
    return pl.DataFrame(source).to_arrow().column(0)


def to_duckdb(source):
    return duckdb.sql("select * from source").to_arrow_table().column(0)


def to_nanoarrow(source):
    """Read where they are: nanoarrow 0.9 cannot hand views on."""
    stream = na.c_array_stream(source)
    schema = stream.get_schema()
    fields = canon.read_schema(schema._addr())
    return [canon.read(fields, array._addr()) for array in stream]


CONSUMERS = {
    "pyarrow": to_pyarrow,
    "polars": to_polars,
    "duckdb": to_duckdb,
    "nanoarrow": to_nanoarrow,
}

# What a library says that it does not know, or, of polars 2.1, dies of.
NOT_TAKEN = {
    "pyarrow": set(),
    "nanoarrow": set(),
    "duckdb": {"float16", "decimal256", "dense_union"},
    "polars": {
        *("decimal32", "decimal64", "decimal256", "month_day_nano"),
        *("list_view", "large_list_view", "dense_union", "sparse_union"),
        *("runs_int16", "runs_int32", "runs_int64"),
    },
}


def plain(value):
    """A Python value as the poorest of the types has it that libraries turn it into."""
    if isinstance(value, datetime.datetime):
        midnight = value.replace(hour=0, minute=0, second=0, microsecond=0)
        return value.date() if value == midnight else value
    if isinstance(value, pa.MonthDayNano) and value.months == value.days == 0:
        return datetime.timedelta(microseconds=value.nanoseconds / 1000)
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, str) and len(value) == 36 and value.count("-") == 4:
        return uuid.UUID(value).bytes
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def exported(consumer, name):
    batch, data = pyarrow_stream(samples.ARRAYS[name])
    if consumer == "nanoarrow":
        wanted = cases.pyarrow_reads(data, file=False)[1]
        cases.same_values(to_nanoarrow(Stream(data)), wanted, "nanoarrow's")
        return
    wanted = batch.column(0).to_pylist()
    found = CONSUMERS[consumer](Stream(data)).to_pylist()
    wanted += wanted[1:]
    assert plain(found) == plain(wanted), f"{found} instead of {wanted}"
    if consumer == "pyarrow":
        kind = CONSUMERS[consumer](Stream(data)).type
        assert kind == batch.schema.field(0).type, f"{kind}"


for _consumer in CONSUMERS:
    for _name in samples.ARRAYS:
        if _name not in NOT_TAKEN[_consumer]:
            CHECKS[f"{_consumer} takes {_name}"] = lambda consumer=_consumer, name=_name: exported(
                consumer, name
            )


@check("a batch is taken as an array")
def _():
    for name, array in samples.ARRAYS.items():
        batch, data = pyarrow_stream(array)
        source = Array(data)
        taken = pa.record_batch(source)
        taken.validate(full=True)
        assert taken.schema == batch.schema and len(taken) == len(batch), name
        source.received.release()
        source = Array(data)
        taken = na.c_array(source)
        fields = canon.read_schema(taken.schema._addr())
        found = canon.read(fields, taken._addr())
        assert found == cases.pyarrow_reads(data, file=False)[1][0], name
        del taken
        source.received.release()


# ---- what others export -------------------------------------------------------------


def column_of(schema, arrays):
    """The structs of a struct with one column, which borrows what it is given."""
    children = (ctypes.c_int64 * 1)(ctypes.addressof(schema))
    format, name = ctypes.create_string_buffer(b"+s"), ctypes.create_string_buffer(b"")
    outer = cdata.Schema()
    outer[:] = [
        *(ctypes.addressof(format), ctypes.addressof(name), 0, 0, 1),
        *(ctypes.addressof(children), 0, 1, 0),
    ]
    keep, outers = [children, format, name], []
    for array in arrays:
        child = (ctypes.c_int64 * 1)(ctypes.addressof(array))
        nothing = (ctypes.c_int64 * 1)(0)
        keep += [child, nothing]
        struct = cdata.Array()
        struct[:] = [
            *(array[cdata.LENGTH], 0, 0, 1, 1),
            *(ctypes.addressof(nothing), ctypes.addressof(child), 0, 1, 0),
        ]
        outers.append(struct)
    return outer, outers, keep


def imported(schema, arrays, column):
    """Checks what somebody exported, writes it, reads it back, and compares; releases it.
    `column`: the arrays are not batches, but each a column."""
    outer, outers, keep = schema, arrays, None
    try:
        if column:
            outer, outers, keep = column_of(schema, arrays)
        address, batches = ctypes.addressof(outer), [ctypes.addressof(array) for array in outers]
        fields = canon.read_schema(address)
        for one in [*batches, *map(ctypes.addressof, arrays)]:
            ours.check(address if one in batches else ctypes.addressof(schema), one)
        data = ours.write(address, batches)
        wanted = [canon.read(fields, batch) for batch in batches]
        received = ours.read(data)
        try:
            fields = (b"+s", b"", 0, *fields[3:])  # a batch has no name, and cannot be null
            cases.same_schema(canon.read_schema(received.schema), fields, "read back")
            cases.same_values([canon.read(fields, one) for one in received.batches], wanted, "ours")
            for one, other in zip(batches, received.batches, strict=True):
                assert not ours.equal(address, one, other), ours.equal(address, one, other)
        finally:
            received.release()
        _, found, _ = cases.pyarrow_reads(data, file=False, ranges=False)
        cases.same_values(found, wanted, "pyarrow's")
        return sum(array[cdata.LENGTH] for array in arrays)
    finally:
        give_back(schema, arrays)


def import_stream(source, column=False):
    held = source.__arrow_c_stream__()
    return imported(*pull(pointer(held, b"arrow_array_stream")), column)


def import_array(source):
    schema, array = source.__arrow_c_array__()
    moved = cdata.Schema.from_address(pointer(schema, b"arrow_schema"))
    return imported(moved, [cdata.Array.from_address(pointer(array, b"arrow_array"))], True)


def from_pyarrow(name):
    array = samples.ARRAYS[name]
    batch = pa.record_batch([array], ["a"])
    assert import_array(array) == len(array)
    assert import_array(array.slice(1)) == len(array) - 1
    assert import_array(array.slice(0, 0)) == 0
    assert import_stream(pa.table([pa.chunked_array([array, array.slice(1)])], ["a"])) > 0
    assert import_stream(pa.RecordBatchReader.from_batches(batch.schema, [batch, batch])) > 0
    assert import_stream(pa.chunked_array([], type=array.type), True) == 0


for _name in samples.ARRAYS:
    CHECKS[f"pyarrow gives {_name}"] = lambda name=_name: from_pyarrow(name)

_NOW = datetime.datetime(2026, 2, 28, 13, 14, 15)
POLARS = {
    "null": pl.Series([None, None]),
    "bool": pl.Series([True, None, False]),
    **{
        f"{kind}": pl.Series([1, None, 2], dtype=getattr(pl, kind))
        for kind in "Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float32 Float64".split()
    },
    "decimal": pl.Series([decimal.Decimal("1.25"), None], dtype=pl.Decimal(20, 2)),
    "string": pl.Series(["a", None, "longer than twelve bytes"]),
    "binary": pl.Series([b"a", None, b"longer than twelve bytes"]),
    "date": pl.Series([_NOW.date(), None]),
    "time": pl.Series([_NOW.time(), None]),
    **{
        f"datetime {unit} {zone}": pl.Series([_NOW, None], dtype=pl.Datetime(unit, zone))
        for unit in ("ms", "us", "ns")
        for zone in (None, "UTC", "Asia/Tokyo")
    },
    **{
        f"duration {unit}": pl.Series([datetime.timedelta(1), None], dtype=pl.Duration(unit))
        for unit in ("ms", "us", "ns")
    },
    "categorical": pl.Series(["a", None, "b", "a"], dtype=pl.Categorical),
    "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b", "c"])),
    "list": pl.Series([["a"], None, [], ["b", None]]),
    "array": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int32, 2)),
    "struct": pl.Series([{"x": 1, "y": ["a"]}, None]),
    "list of structs": pl.Series([[{"x": 1}], [], None]),
}


def from_polars(series):
    frame = series.alias("a").to_frame()
    assert import_stream(series, True) == len(series)
    assert import_stream(frame) == len(series)
    assert import_stream(frame.slice(1)) == len(series) - 1
    assert import_stream(pl.concat([frame, frame.slice(1)], rechunk=False)) == 2 * len(series) - 1
    assert import_stream(frame.filter(pl.lit(False))) == 0


for _name, _series in POLARS.items():
    CHECKS[f"polars gives {_name}"] = lambda series=_series: from_polars(series)

DUCKDB_SETTINGS = {
    "": (),
    ", lossless": ("arrow_lossless_conversion=true",),
    ", with views": ("produce_arrow_string_view=true", "arrow_output_list_view=true"),
    ", with large offsets": ("arrow_large_buffer_size=true",),
}


def from_duckdb(settings):
    database = duckdb.connect()
    for setting in settings:
        database.execute(f"set {setting}")
    columns = database.sql("select * from test_all_types()").columns
    taken = 0
    for column in columns:
        quoted = '"' + column + '"'
        try:
            relation = database.sql(f"select {quoted} from test_all_types()")
            held = relation.__arrow_c_stream__()
            schema, arrays = pull(pointer(held, b"arrow_array_stream"))
        except (duckdb.Error, Stopped):
            continue  # this one DuckDB does not export
        try:
            rows = imported(schema, arrays, False)
        except Exception as error:
            error.add_note(column)
            raise
        assert rows == 3, f"{column}: {rows} rows"
        taken += 1
    assert taken >= len(columns) - 3, f"only {taken} of {len(columns)} types were exported"
    assert import_stream(database.sql("select i, i::varchar s from range(5000) r(i)")) == 5000
    assert import_stream(database.sql("select i, i::varchar s from range(0) r(i)")) == 0


for _name, _settings in DUCKDB_SETTINGS.items():
    CHECKS[f"duckdb gives every type{_name}"] = lambda settings=_settings: from_duckdb(settings)

# No views: nanoarrow 0.9 ends the process when it exports one.
NANOARROW = {
    "bool": ([True, None], na.bool_()),
    **{
        kind: ([1, None, 2], getattr(na, kind)())
        for kind in "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
    },
    "float16": ([1.5, None], na.float16()),
    "string": (["a", None, "ß"], na.string()),
    "large_string": (["a", None], na.large_string()),
    "binary": ([b"a", None], na.binary()),
    "large_binary": ([b"a", None], na.large_binary()),
    "fixed_size_binary": ([b"abc", None], na.fixed_size_binary(3)),
}


def from_nanoarrow(values_, schema):
    assert import_array(na.c_array(values_, schema)) == len(values_)
    stream = CArrayStream.from_c_arrays([na.c_array(values_, schema)] * 2, na.c_schema(schema))
    assert import_stream(stream, True) == 2 * len(values_)


for _name, _given in NANOARROW.items():
    CHECKS[f"nanoarrow gives {_name}"] = lambda given=_given: from_nanoarrow(*given)

# Those that it has no way to make from Python values, it makes from buffers.
NANOARROW_BUFFERS = {
    "date32": (na.date32(), 4),
    "date64": (na.date64(), 8),
    **{f"time32 {unit}": (na.time32(unit), 4) for unit in ("s", "ms")},
    **{f"time64 {unit}": (na.time64(unit), 8) for unit in ("us", "ns")},
    **{f"timestamp {u}": (na.timestamp(u, z), 8) for u, z in (("s", ""), ("ns", "UTC"))},
    **{f"duration {unit}": (na.duration(unit), 8) for unit in ("s", "ms", "us", "ns")},
    "interval_months": (na.interval_months(), 4),
    "interval_day_time": (na.interval_day_time(), 8),
    "interval_month_day_nano": (na.interval_month_day_nano(), 16),
    "decimal128": (na.decimal128(10, 2), 16),
    "decimal256": (na.decimal256(40, 2), 32),
}


def from_nanoarrow_buffers(schema, width):
    numbers = np.zeros(3 * width, np.uint8)
    numbers[::width] = (1, 2, 3)
    valid = np.array([5], np.uint8)
    assert import_array(na.c_array_from_buffers(schema, 3, [valid, numbers], null_count=1)) == 3


for _name, _given in NANOARROW_BUFFERS.items():
    CHECKS[f"nanoarrow gives {_name}"] = lambda given=_given: from_nanoarrow_buffers(*given)


@check("nanoarrow gives nested arrays")
def _():
    def numbers():
        return na.c_array([1, 2, 3], na.int32())

    def words():
        return na.c_array(["a", None, "c"], na.string())

    offsets, ids = np.array([0, 2, 3], np.int32), np.array([0, 1, 1], np.int8)
    places = np.array([0, 0, 1], np.int32)
    pair = {"n": na.int32(), "t": na.string()}
    for schema, length, buffers, children in (
        (na.list_(na.int32()), 2, [None, offsets], [numbers()]),
        (na.large_list(na.int32()), 2, [None, offsets.astype(np.int64)], [numbers()]),
        (na.fixed_size_list(na.int32(), 3), 1, [None], [numbers()]),
        (na.struct(pair), 3, [None], [numbers(), words()]),
        (na.sparse_union(list(pair.values())), 3, [ids], [numbers(), words()]),
        (na.dense_union(list(pair.values())), 3, [ids, places], [numbers(), words()]),
    ):
        array = na.c_array_from_buffers(schema, length, buffers, children=children)
        assert import_array(array) == length, schema
