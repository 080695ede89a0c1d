"""Other people's readers of Parquet, and for each what it does not read, with the words in
which it says so, and as what it delivers the types that it does not have."""

import base64
import decimal
import functools
import re
import struct

import duckdb
import fastparquet
import parquet_cells
import polars
import pyarrow as pa
import pyarrow.parquet as pq
from parquet_cells import NAN
from parquet_data import LEAVES, NESTED

t = pa.types


def encoding_of(column):
    """ "int32__delta" is an int32 in that encoding."""
    kind, _, encoding = column.partition("__")
    return kind, encoding


def _physical(kind):
    """The physical type of a leaf, as far as readers differ by it."""
    kind = LEAVES[kind][0]
    if t.is_float32(kind) or t.is_float64(kind):
        return "float"
    is_wide = t.is_decimal(kind) and kind.precision > 18
    if is_wide or t.is_float16(kind) or t.is_fixed_size_binary(kind) and not t.is_decimal(kind):
        return "fixed"
    return "int64" if t.is_primitive(kind) and kind.bit_width > 32 else "int32"


class Reader:
    """`conversions`: type to the type that comes instead."""

    def __init__(self, name, read, conversions, unsupported):
        self.name, self.read = name, read
        self.conversions, self.unsupported = conversions, unsupported

    def __repr__(self):
        return self.name

    def expected(self, array):
        kind = self.conversions.get(array.type)
        return array if kind is None else array.cast(kind, safe=False)

    def assert_reads(self, table, path, where=""):
        """All columns that it supports, cell by cell."""
        names = [name for name in table.column_names if not self.unsupported(name)]
        got = self.read(path, names)
        assert got.column_names == names and got.num_rows == table.num_rows
        for name in names:
            wanted, came = self.expected(table[name]), got[name]
            left, right = parquet_cells.cells(wanted), parquet_cells.cells(came)
            if t.is_floating(came.type) and t.is_decimal(table[name].type):
                left, right = _about(left), _about(right)
            difference = parquet_cells.first_difference(left, right)
            assert difference is None, f"{self} {where} {name} as {came.type}: {difference}"

    def assert_refuses(self, path, column):
        said = self.unsupported(column)
        try:
            self.read(path, [column])
        except Exception as error:
            assert re.search(said, str(error)), f"{self}, {column}: {error}"
            return
        raise AssertionError(f"{self} reads {column} now: it was '{said}'")


def _about(cells):
    """Decimals that a reader makes floats of."""
    numbers = [float.fromhex(cell) if isinstance(cell, str) else cell for cell in cells]
    return [None if cell is None else f"{float(cell):.9e}" for cell in numbers]


# ---- pyarrow -------------------------------------------------------------------------------------


def _read_pyarrow(path, columns):
    return pq.read_table(path, columns=columns, page_checksum_verification=True)


_MILLISECONDS = {
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time32("ms"),
    pa.timestamp("s"): pa.timestamp("ms"),
}
PYARROW = Reader("pyarrow", _read_pyarrow, _MILLISECONDS, lambda column: None)

# ---- DuckDB --------------------------------------------------------------------------------------


@functools.cache
def duck():
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'; SET threads = 2")
    return connection


def _read_duckdb(path, columns):
    names = ", ".join(f'"{name}"' for name in columns)
    return duck().sql(f"SELECT {names} FROM read_parquet('{path}')").to_arrow_table()


def _not_by_duckdb(column):
    kind, encoding = encoding_of(column)
    if encoding == "split" and _physical(kind) != "float":
        return "BYTE_STREAM_SPLIT encoding is only supported for FLOAT or DOUBLE data"
    return None


DUCKDB = Reader(
    "duckdb",
    _read_duckdb,
    {
        pa.float16(): pa.float32(),
        pa.decimal256(76, 20): pa.decimal256(76, 20),  # compared as doubles, which it makes of them
        pa.date64(): pa.date32(),
        pa.time32("s"): pa.time64("us"),
        pa.time32("ms"): pa.time64("us"),
        pa.time64("ns"): pa.time64("us"),  # it cuts off
        pa.timestamp("s"): pa.timestamp("us"),
        pa.timestamp("ms"): pa.timestamp("us"),
        pa.timestamp("ms", "Europe/Paris"): pa.timestamp("us", "UTC"),
        **{pa.duration(unit): pa.int64() for unit in ("s", "ms", "us", "ns")},
    },
    _not_by_duckdb,
)

# ---- polars --------------------------------------------------------------------------------------


def _read_polars(path, columns):
    return polars.read_parquet(path, columns=columns).to_arrow()


def _not_by_polars(column):
    kind, encoding = encoding_of(column)
    if kind in LEAVES and _physical(kind) == "fixed" and encoding == "delta_bytes":
        return 'Decoding FixedLenByteArray.*"DeltaByteArray"-encoded .*pages not yet supported'
    if kind in ("fixed", "decimal_38", "decimal_76") and encoding == "split":
        return 'Decoding FixedLenByteArray.*"ByteStreamSplit"-encoded .*pages not yet supported'
    if kind == "decimal_76":
        return "precision must be between 1 and 38, got 76"
    return None


POLARS = Reader(
    "polars",
    _read_polars,
    {
        pa.date64(): pa.timestamp("ms"),
        **{kind: pa.time64("ns") for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"))},
        pa.timestamp("s"): pa.timestamp("ms"),
        pa.duration("s"): pa.duration("ms"),
    },
    _not_by_polars,
)

# ---- fastparquet ---------------------------------------------------------------------------------


# What it does is tried by test_parquet_readers. It gives wrong values of, or crashes on, what is
# "no" here: deltas (it writes whole miniblocks, past the end of its memory), booleans by RLE (it
# takes their length for runs), structs, and lists and maps but the simplest.
def not_by_fastparquet(column):
    """What it says, "no", or None."""
    kind, encoding = encoding_of(column)
    if kind in NESTED:
        return None if kind == "list" else "no"
    said = {"split": "Encoding 9", "delta_length": "Encoding 6", "delta_bytes": "Encoding 7"}
    return "no" if encoding in ("delta", "rle") else said.get(encoding)


def read_fastparquet(path, columns):
    """A pandas frame."""
    return fastparquet.ParquetFile(str(path)).to_pandas(columns=list(columns))


def _plain(value):
    """A pandas cell as parquet_cells has it; NaN stands for nulls in floats and texts."""
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return [(_plain(key), _plain(item)) for key, item in value.items()]
    value = value.item() if hasattr(value, "item") else value
    return value.hex() if isinstance(value, float) else value


def fastparquet_cells(series, kind):
    """What came, and what it should be made of, of a column of type `kind`."""
    if str(series.dtype).startswith("datetime64"):
        unit = series.dt.unit
        numbers = series.astype("int64").tolist()
        missing = series.isna().tolist()
        scale = (
            86400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit] if t.is_date(kind) else 1
        )
        return [None if m else n // scale for n, m in zip(numbers, missing, strict=True)]
    if t.is_time(kind) and str(series.dtype).startswith("timedelta64"):
        unit = "ms" if kind.unit == "s" else kind.unit
        numbers = series.astype(f"timedelta64[{unit}]").astype("int64").tolist()
        return [None if m else n for n, m in zip(numbers, series.isna().tolist(), strict=True)]
    cells = [_plain(value) for value in series.tolist()]
    if t.is_fixed_size_binary(kind) and not t.is_decimal(kind) or t.is_float16(kind):
        cells = [None if cell is None else cell.rstrip(b"\0") for cell in cells]
    return _about(cells) if t.is_decimal(kind) else cells


def fastparquet_expected(array):
    """It has no types for times and durations, and decimals are floats."""
    kind = array.type
    array = PYARROW.expected(array)
    cells = parquet_cells.cells(array)
    if t.is_decimal(kind):
        return _about(cells)
    if t.is_float16(kind):
        cells = [None if v is None else struct.pack("<e", v) for v in array.to_pylist()]
    if t.is_fixed_size_binary(kind) or t.is_float16(kind):
        return [None if cell is None else cell.rstrip(b"\0") for cell in cells]  # as numpy has them
    return [None if cell == NAN else cell for cell in cells]


READERS = [PYARROW, POLARS, DUCKDB]

# ---- Spark ---------------------------------------------------------------------------------------


def not_by_spark(column, vectorized=True):
    """A type that it does not know ends the reading of the whole file."""
    kind, encoding = encoding_of(column)
    if kind == "float16":
        return "NullPointerException"  # its schema converter's, from a fixed type of no known kind
    if kind.startswith("time_"):
        return "Illegal Parquet type: INT.*TIME"
    if kind == "decimal_76":
        return "Decimal precision 76 exceeds max precision 38"
    if encoding == "split" and vectorized:
        return "Unsupported encoding: BYTE_STREAM_SPLIT"
    if encoding == "split" and _physical(kind) != "float":
        return "no byte stream split reader for type"
    return None


def spark_expression(name, kind):
    """What of a column comes through JSON unharmed."""
    if t.is_decimal(kind) or kind == pa.uint64():
        return f"cast(`{name}` as string)"
    if t.is_date(kind):
        return f"unix_date(`{name}`)"
    if t.is_timestamp(kind) and kind.unit != "ns":
        return f"unix_micros(cast(`{name}` as timestamp))"
    return f"`{name}`"


def spark_cell(value, kind):
    """A value of Spark's JSON as parquet_cells has it."""
    if value is None:
        return None
    if t.is_floating(kind):
        number = (
            struct.unpack("f", struct.pack("f", float(value)))[0] if kind == pa.float32() else 0
        )
        number = number if kind == pa.float32() else float(value)
        return NAN if number != number else number.hex()
    if t.is_struct(kind):
        return tuple(spark_cell(value.get(field.name), field.type) for field in kind)
    if t.is_map(kind):
        return [(key, spark_cell(item, kind.item_type)) for key, item in value.items()]
    if t.is_nested(kind):
        return [spark_cell(item, kind.value_type) for item in value]
    if _is_bytes(kind):
        return base64.b64decode(value)
    if t.is_decimal(kind):
        return decimal.Decimal(value)
    return int(value) if kind == pa.uint64() else value


def _is_bytes(kind):
    is_variable = t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind)
    return is_variable or t.is_fixed_size_binary(kind) and not t.is_decimal(kind)


def spark_expected(array):
    kind = array.type
    if t.is_date64(kind):
        array = array.cast(pa.date32())
    elif t.is_timestamp(kind) and kind.unit != "ns":
        array = array.cast(pa.timestamp("us", kind.tz))
    return parquet_cells.cells(array)
