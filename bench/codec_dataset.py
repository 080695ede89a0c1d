"""Rows of the shapes that bench/codec measures, kept as Arrow IPC streams.

typical     dataset.py's: int64, timestamp, two texts, double, flag       ~48 bytes a row
nested      decimals, dates, binary, zoned timestamps, a dictionary, lists of texts and
            doubles, a struct of a list; one of twenty is null           ~170 bytes a row
wide        64 columns of six types, every second with nulls             ~330 bytes a row
dictionary  eight dictionaries of 12 to 100,000 texts, indices of 8 to 32 bits, and one
            inside a list                                                 ~34 bytes a row
views       views of texts that fit into them, that do not, and of binary ~90 bytes a row
small       typical rows, ten to a batch
"""

import pathlib

import dataset
import numpy as np
import pyarrow as pa

SHAPES = ("typical", "nested", "wide", "dictionary", "views")
SMALL_ROWS = 10


def typical(rows, _chance):
    return dataset.make(rows)


def _offsets(chance, rows, most):
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(chance.integers(0, most + 1, rows), out=offsets[1:])
    return pa.array(offsets), int(offsets[-1])


def _words(chance, words, rows, mask=None):
    return pa.array(words).take(pa.array(chance.integers(0, len(words), rows), mask=mask))


def nested(rows, chance):
    null = chance.random(rows) < 0.05
    ids = np.arange(rows, dtype=np.int64)
    offsets, items = _offsets(chance, rows, 4)
    tags = pa.ListArray.from_arrays(offsets, _words(chance, dataset.CATEGORIES, items))
    offsets, items = _offsets(chance, rows, 4)
    numbers = pa.ListArray.from_arrays(offsets, pa.array(chance.standard_normal(items)))
    ends = pa.array(np.arange(0, 16 * (rows + 1), 16, dtype=np.int32))
    keys = pa.py_buffer(chance.bytes(rows * 16))
    parts = [
        pa.array(chance.integers(0, 1000, rows).astype(np.int32)),
        _words(chance, [f"part-{i}" for i in range(1000)], rows, null),
        numbers,
    ]
    indices = pa.array(chance.integers(0, 12, rows).astype(np.int32))
    return pa.table(
        {
            "id": ids,
            "price": pa.array(chance.integers(-(10**9), 10**9, rows)).cast(pa.decimal128(19, 0)),
            "day": pa.array((ids % 3650).astype(np.int32)).cast(pa.date32()),
            "key": pa.Array.from_buffers(pa.binary(), rows, [None, ends.buffers()[1], keys]),
            "at": pa.array(1_770_000_000_000_000 + ids, pa.timestamp("us", "UTC"), mask=null),
            "category": pa.DictionaryArray.from_arrays(indices, pa.array(dataset.CATEGORIES)),
            "tags": tags,
            "numbers": numbers,
            "part": pa.StructArray.from_arrays(
                parts, ["count", "name", "sizes"], mask=pa.array(null)
            ),
        }
    )


def wide(rows, chance):
    words = [f"word-{i:04d}" for i in range(5000)]
    kinds = [
        lambda mask: pa.array(chance.integers(0, 1 << 40, rows), mask=mask),
        lambda mask: pa.array(chance.integers(0, 1 << 20, rows).astype(np.int32), mask=mask),
        lambda mask: pa.array(chance.standard_normal(rows), mask=mask),
        lambda mask: pa.array(chance.standard_normal(rows).astype(np.float32), mask=mask),
        lambda mask: pa.array(chance.random(rows) < 0.5, mask=mask),
        lambda mask: _words(chance, words, rows, mask),
    ]
    masks = [chance.random(rows) < 0.02 if i % 2 else None for i in range(64)]
    return pa.table({f"c{i:02d}": kinds[i % 6](masks[i]) for i in range(64)})


def dictionary(rows, chance):
    def encoded(values, number, name):
        words = pa.array([f"{name}-{i:06d}" for i in range(values)])
        mask = chance.random(rows) < 0.02
        indices = pa.array(chance.integers(0, values, rows), number, mask=mask)
        return pa.DictionaryArray.from_arrays(indices, words)

    offsets, items = _offsets(chance, rows, 3)
    labels = pa.array([f"label-{i}" for i in range(100)])
    inside = pa.DictionaryArray.from_arrays(
        pa.array(chance.integers(0, 100, items), pa.int8()), labels
    )
    return pa.table(
        {
            "kind": encoded(12, pa.int8(), "kind"),
            "country": encoded(200, pa.uint8(), "country"),
            "city": encoded(5_000, pa.int16(), "city"),
            "shop": encoded(30_000, pa.uint16(), "shop"),
            "user": encoded(100_000, pa.int32(), "user"),
            "device": encoded(1_000, pa.int32(), "device"),
            "agent": encoded(2_000, pa.int32(), "agent"),
            "labels": pa.ListArray.from_arrays(offsets, inside),
        }
    )


def views(rows, chance):
    short = _words(chance, [f"s-{i}" for i in range(10_000)], rows, chance.random(rows) < 0.02)
    long = _words(chance, [f"longer than a view holds {i:05d}" for i in range(10_000)], rows)
    mixed = _words(chance, ["x" * (i % 25) for i in range(10_000)], rows)
    return pa.table(
        {
            "id": np.arange(rows, dtype=np.int64),
            "short": short.cast(pa.string_view()),
            "long": long.cast(pa.string_view()),
            "mixed": mixed.cast(pa.binary()).cast(pa.binary_view()),
        }
    )


def _write(path, table, batch_rows, compression):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    part = path.with_suffix(".part")
    with (
        pa.OSFile(str(part), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema, options=options) as writer,
    ):
        writer.write_table(table.combine_chunks(), max_chunksize=batch_rows)
    part.rename(path)


def ensure(folder, shape, rows, compression=None):
    """The path of a stream of so many rows, made if it is not there; `small`: of so many
    batches."""
    path = pathlib.Path(folder) / f"codec-{shape}-{rows}-{compression or 'none'}.arrows"
    if path.exists():
        return path
    chance = np.random.default_rng(20260301)
    if shape == "small":
        _write(path, typical(rows * SMALL_ROWS, chance), SMALL_ROWS, compression)
    else:
        _write(path, globals()[shape](rows, chance), dataset.BATCH_ROWS, compression)
    return path
