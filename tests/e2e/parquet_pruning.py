"""A table whose row groups and pages can be told apart by their bounds, and questions to
ask of it: what a reader skips must be none of what was asked for."""

import datetime
import decimal
import random

import pyarrow as pa

GROUPS, GROUP_ROWS, PAGE_ROWS = 6, 200, 40
ROWS = GROUPS * GROUP_ROWS

_LONG = "the same beginning of every value, which is longer than any bound may be: "


def _table(order, seed=11):
    """`order`: of the rows' levels, 0 to ROWS - 1."""
    rng = random.Random(seed)
    day = datetime.date(2024, 1, 1)
    moment = datetime.datetime(2024, 1, 1)

    def nulls(values):
        return [None if rng.random() < 0.1 else value for value in values]

    texts = [f"{n:05d}" + rng.choice(["", "é", "\U0010ffff", "\x7f", "ÿ"]) for n in order]
    columns = {
        "id": (pa.int64(), [n * 3 for n in order], False),
        "int8": (pa.int8(), nulls([n % 251 - 125 for n in order]), True),
        "int16": (pa.int16(), nulls([n * 20 - 12000 for n in order]), True),
        "int32": (pa.int32(), nulls([(n - 600) * 1_000_000 for n in order]), True),
        "uint8": (pa.uint8(), nulls([n // 5 for n in order]), True),
        "uint16": (pa.uint16(), nulls([30000 + n * 20 for n in order]), True),
        "uint32": (pa.uint32(), nulls([2**31 - 600 + n for n in order]), True),
        "uint64": (pa.uint64(), nulls([2**63 - 600 + n for n in order]), True),
        "float32": (pa.float32(), nulls([(n - 600) / 4 for n in order]), True),
        "float64": (pa.float64(), nulls([(n - 600) / 3 for n in order]), True),
        "zeros": (pa.float64(), [[0.0, -0.0, 1.0][n % 3] * (n // 300) for n in order], True),
        "nans": (pa.float64(), [float("nan") if n % 7 == 0 else n / 2 for n in order], True),
        "bool": (pa.bool_(), nulls([n >= 600 for n in order]), True),
        "text": (pa.utf8(), nulls(texts), True),
        "long": (pa.utf8(), nulls([_LONG + text for text in texts]), True),
        "bytes": (
            pa.binary(),
            nulls([n.to_bytes(2, "big") + b"\xff" * (n % 90) for n in order]),
            True,
        ),
        "fixed": (pa.binary(4), nulls([(n * 3_000_000).to_bytes(4, "big") for n in order]), True),
        "decimal9": (
            pa.decimal128(9, 2),
            nulls([decimal.Decimal(n - 600) / 4 for n in order]),
            True,
        ),
        "decimal38": (
            pa.decimal128(38, 5),
            nulls([decimal.Decimal(n - 600) * 10**20 for n in order]),
            True,
        ),
        "date": (pa.date32(), nulls([day + datetime.timedelta(n) for n in order]), True),
        "time": (pa.time64("us"), nulls([datetime.time(n // 60, n % 60) for n in order]), True),
        "ms": (
            pa.timestamp("ms"),
            nulls([moment + datetime.timedelta(hours=n) for n in order]),
            True,
        ),
        "us": (
            pa.timestamp("us", "UTC"),
            nulls([moment + datetime.timedelta(n) for n in order]),
            True,
        ),
        "only_nulls": (pa.int32(), [None] * len(order), True),
    }
    fields = [pa.field(name, kind, nullable=null) for name, (kind, _, null) in columns.items()]
    arrays = [pa.array(values, kind) for kind, values, _ in columns.values()]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def tables():
    """By how the rows lie: what an index says of its order."""
    order = list(range(ROWS))
    shuffled = order[:]
    random.Random(5).shuffle(shuffled)
    # Pages are told apart, but are in no order.
    blocks = [order[at : at + PAGE_ROWS] for at in range(0, ROWS, PAGE_ROWS)]
    random.Random(6).shuffle(blocks)
    return {
        "ascending": _table(order),
        "descending": _table(order[::-1]),
        "blocks": _table([n for block in blocks for n in block]),
        "shuffled": _table(shuffled),
    }


def literals(column):
    """Values that are there, the least, the most, and some between, as Arrow scalars."""
    values = [value for value in column if value.is_valid]
    if not values:
        return []
    picked = [values[0], values[len(values) // 2], values[-1]]
    kind = column.type
    plain = [value.as_py() for value in picked]
    if pa.types.is_integer(kind):
        return [*picked, *(pa.scalar(value + 1, kind) for value in plain[:2] if value < 120)]
    if pa.types.is_floating(kind):
        return [*picked, pa.scalar(0.0, kind), pa.scalar(-0.0, kind), pa.scalar(0.1, kind)]
    if pa.types.is_string(kind):
        return [*picked, pa.scalar(plain[1] + "\x00", kind), pa.scalar(plain[1][:40], kind)]
    if pa.types.is_binary(kind):
        return [*picked, pa.scalar(plain[1][:3], kind), pa.scalar(b"", kind)]
    return picked
