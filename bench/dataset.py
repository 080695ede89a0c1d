"""Typical rows, the same for whoever is measured: made once, kept as an IPC stream.

id int64, ts timestamp[us], user string (100,000 values), amount double,
category string (12 values), flag bool: about 48 bytes a row, in batches of 65,536.
"""

import pathlib

import numpy as np
import pyarrow as pa

BATCH_ROWS = 65_536
CATEGORIES = [
    "books",
    "clothing",
    "electronics",
    "food",
    "furniture",
    "garden",
    "health",
    "jewellery",
    "music",
    "sports",
    "tools",
    "toys",
]


def make(rows):
    chance = np.random.default_rng(20260301)
    ids = np.arange(rows, dtype=np.int64)
    users = pa.array([f"user-{i:06d}" for i in range(100_000)])
    return pa.table(
        {
            "id": ids,
            "ts": pa.array(
                1_770_000_000_000_000 + ids * 1_000 + chance.integers(0, 1_000, rows),
                pa.timestamp("us"),
            ),
            "user": users.take(pa.array(chance.integers(0, 100_000, rows))),
            "amount": np.round(chance.gamma(2.0, 40.0, rows), 2),
            "category": pa.array(CATEGORIES).take(
                pa.array(chance.integers(0, len(CATEGORIES), rows))
            ),
            "flag": pa.array(chance.random(rows) < 0.5),
        }
    )


def write(path, table):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=BATCH_ROWS)


def ensure(folder, rows):
    """The path of an IPC stream of so many rows, made if it is not there."""
    path = pathlib.Path(folder) / f"typical-{rows}.arrows"
    if not path.exists():
        part = path.with_suffix(".part")
        write(part, make(rows))
        part.rename(path)
    return path


def load(path):
    """The whole stream, in memory."""
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_stream(source.read_buffer()).read_all()


def frame(path):
    """Where the record batches of a stream lie: [first, last) byte offsets, with the
    schema before and the end-of-stream marker after."""
    data = pathlib.Path(path).read_bytes()
    metadata_bytes = int.from_bytes(data[4:8], "little")
    return 8 + metadata_bytes, len(data) - 8


if __name__ == "__main__":
    import sys

    print(ensure(sys.argv[1], int(sys.argv[2])))
