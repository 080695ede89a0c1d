"""Rows of the shapes that bench/parquet measures, kept as Arrow IPC streams.

typical  id int64, ts timestamp[us], user string (100,000 values), amount double in cents,
         category string (12 values), flag bool                           ~48 bytes a row
nulls    typical rows, 2 % of each column null
narrow   id int64, value double of any kind                                16 bytes a row
nested   id, decimal128, date32, binary of 16, timestamp[us, UTC], dictionary, list of
         strings, list of doubles, a struct of a list; two of them 5 % null    ~170 bytes a row
wide     64 columns of int64, int32, double, float, bool, string; 2 % null in
         every second                                                    ~300 bytes a row
"""

import pathlib

import numpy as np
import pyarrow as pa

SHAPES = ("typical", "nulls", "narrow", "nested", "wide")
# Of the rows that are asked for: the large rows are fewer, so that all programs fit into memory.
SHARE = {"nested": 0.4, "wide": 0.4}
BATCH_ROWS = 65_536
CATEGORIES = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()
START_US = 1_700_000_000_000_000


def rows_of(shape, rows):
    return int(rows * SHARE.get(shape, 1))


def _words(chance, words, rows, mask=None):
    return pa.array(words).take(pa.array(chance.integers(0, len(words), rows), mask=mask))


def narrow(rows, chance):
    return pa.table({"id": np.arange(rows, dtype=np.int64), "value": chance.standard_normal(rows)})


def typical(rows, chance, null=lambda: None):
    ids = np.arange(rows, dtype=np.int64)
    times = START_US + ids * 1000 + chance.integers(0, 999, rows)
    users = [f"user_{i:06d}" for i in range(100_000)]
    return pa.table(
        {
            "id": pa.array(ids, mask=null()),
            "ts": pa.array(times, pa.timestamp("us"), mask=null()),
            "user": _words(chance, users, rows, null()),
            "amount": pa.array(np.round(chance.gamma(2.0, 50.0, rows), 2), mask=null()),
            "category": _words(chance, CATEGORIES, rows, null()),
            "flag": pa.array(chance.integers(0, 2, rows).astype(bool), mask=null()),
        }
    )


def nulls(rows, chance):
    return typical(rows, chance, lambda: chance.random(rows) < 0.02)


def nested(rows, chance):
    null = chance.random(rows) < 0.05
    ids = np.arange(rows, dtype=np.int64)
    ends = np.zeros(rows + 1, np.int32)
    np.cumsum(chance.integers(0, 5, rows), out=ends[1:])
    items = int(ends[-1])
    tags = pa.ListArray.from_arrays(pa.array(ends), _words(chance, CATEGORIES, items))
    numbers = pa.ListArray.from_arrays(pa.array(ends), pa.array(chance.standard_normal(items)))
    parts = [
        pa.array(chance.integers(0, 1000, rows).astype(np.int32)),
        _words(chance, [f"s{i}" for i in range(1000)], rows),
        numbers,
    ]
    keys = pa.py_buffer(chance.bytes(rows * 16))
    key_ends = pa.array(np.arange(0, 16 * (rows + 1), 16, dtype=np.int32))
    indices = pa.array(chance.integers(0, len(CATEGORIES), rows).astype(np.int32))
    return pa.table(
        {
            "id": ids,
            "price": pa.array(chance.integers(-(10**9), 10**9, rows)).cast(pa.decimal128(19, 0)),
            "day": pa.array((ids % 3650).astype(np.int32)).cast(pa.date32()),
            "uid": pa.Array.from_buffers(pa.binary(), rows, [None, key_ends.buffers()[1], keys]),
            "at": pa.array(START_US + ids * 1000, pa.timestamp("us", "UTC"), mask=null),
            "cat": pa.DictionaryArray.from_arrays(indices, pa.array(CATEGORIES)),
            "tags": tags,
            "nums": numbers,
            "attrs": pa.StructArray.from_arrays(parts, ["a", "b", "c"], mask=pa.array(null)),
        }
    )


def wide(rows, chance):
    words = [f"w{i:04d}" for i in range(5000)]
    kinds = [
        lambda mask: pa.array(chance.integers(0, 1 << 40, rows), mask=mask),
        lambda mask: pa.array(chance.integers(0, 1 << 20, rows).astype(np.int32), mask=mask),
        lambda mask: pa.array(chance.standard_normal(rows), mask=mask),
        lambda mask: pa.array(chance.standard_normal(rows).astype(np.float32), mask=mask),
        lambda mask: pa.array(chance.integers(0, 2, rows).astype(bool), mask=mask),
        lambda mask: _words(chance, words, rows, mask),
    ]
    columns = {}
    for i in range(64):
        mask = chance.random(rows) < 0.02 if i % 2 else None
        columns[f"c{i:02d}"] = kinds[i % 6](mask)
    columns["c00"] = pa.array(np.arange(rows, dtype=np.int64))
    return pa.table(columns)


def ensure(folder, shape, rows, columns=()):
    """The path of a stream of so many rows, made if it is not there; of some columns only."""
    name = "-".join(["parquet", shape, str(rows), *columns])
    path = pathlib.Path(folder) / f"{name}.arrows"
    if path.exists():
        return path
    table = globals()[shape](rows, np.random.default_rng(42))
    table = table.select(list(columns) or table.schema.names)
    part = path.with_suffix(".part")
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=BATCH_ROWS)
    part.rename(path)
    return path
