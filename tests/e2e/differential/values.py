"""Random arrays of a type, laid out in every way that the format allows: at an offset,
with room behind, garbage under nulls, offsets that do not begin at 0, views and list
views in any order, null counts that are known or not."""

import numpy as np

from . import types as t

_WORDS = ["", "a", "ab", "é", "日本語", "🦆", "twelve bytes", "thirteen byte"]
_WORDS += ["x" * 40, "ß" * 30, "0123456789" * 12]
_WORDS = [word.encode() for word in _WORDS]
_TEXT = np.frombuffer(b"".join(_WORDS), np.uint8)
_TEXT_LENGTHS = np.array([len(word) for word in _WORDS], np.int64)
_TEXT_STARTS = np.cumsum(_TEXT_LENGTHS) - _TEXT_LENGTHS

_FLOATS = {  # quiet and signalling NaN with a payload, -NaN, infinities, -0, 0, 1, a subnormal
    2: np.array([0x7E01, 0x7D00, 0xFE00, 0x7C00, 0xFC00, 0x8000, 0, 0x3C00, 1], np.uint16),
    4: np.array(
        [0x7FC00001, 0x7FA00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000, 0, 0x3F800000, 1],
        np.uint32,
    ),
    8: np.array(
        [
            0x7FF8000000000001,
            0x7FF4000000000000,
            0xFFF8000000000000,
            0x7FF0000000000000,
            0xFFF0000000000000,
            0x8000000000000000,
            0,
            0x3FF0000000000000,
            1,
        ],
        np.uint64,
    ),
}


class Node:
    """One array: as struct ArrowArray, but that buffers are numpy arrays, bytes or None."""

    __slots__ = ("length", "null_count", "offset", "buffers", "children", "dictionary")

    def __init__(self, length, null_count, offset, buffers, children=(), dictionary=None):
        self.length = length
        self.null_count = null_count
        self.offset = offset
        self.buffers = buffers
        self.children = children
        self.dictionary = dictionary

    def slice(self, offset, length):
        null_count = self.null_count
        if not self.buffers and not self.children:
            null_count = length  # of type null
        elif null_count > 0:
            null_count = -1
        # Not [3, 3): pyarrow believes that the buffers of such an array end at 0.
        offset = self.offset + offset if length else 0
        return Node(length, null_count, offset, self.buffers, self.children, self.dictionary)


def spans(starts, lengths):
    """The numbers start, start + 1, ... of each span, one after the other."""
    total = int(lengths.sum())
    if total == 0:
        return np.zeros(0, np.int64)
    ends = np.cumsum(lengths)
    return np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)


def without_offset(batch):
    """The batch with its offset in its columns, as some want it."""
    columns = tuple(column.slice(batch.offset, batch.length) for column in batch.children)
    return Node(batch.length, 0, 0, [None], columns)


class Values:
    """Makes the batches of one stream. `replace` and `grow`: dictionaries may; `offsets`:
    arrays may have one."""

    def __init__(self, chance, replace=True, grow=True, offsets=True):
        self.chance = chance
        self.offsets = offsets
        self.changes = ["same"] * 2 + ["replace"] * replace + ["grow"] * 2 * grow
        self.dictionaries = {}  # id of the type -> [all values, how many are known]
        self.batch = 0

    # ---- numbers ----

    def _bytes(self, count, dtype):
        return np.frombuffer(
            self.chance.randbytes(count * np.dtype(dtype).itemsize), dtype, count=count
        )

    def _below(self, count, limit):
        return (self._bytes(count, np.uint32) % np.uint32(limit)).astype(np.int64)

    def _range(self, rows):
        """(offset, rows in the buffers)"""
        chance = self.chance
        if rows == 0 or not self.offsets or chance.random() < 0.7:
            return 0, rows
        offset = chance.choice((1, 3, 7, 8, 13))
        return offset, offset + rows + chance.choice((0, 1, 9))

    def _validity(self, rows, offset, total, nullable):
        """(buffer, null count)"""
        chance = self.chance
        draw = chance.random()
        if draw < 0.4 or (not nullable and draw < 0.8):
            return None, chance.choice((0, 0, 0, -1))
        size = (total + 7) // 8 + chance.choice((0, 1))
        if not nullable or draw < 0.5:
            bits = np.full(max(size, 1), 255, np.uint8)
        elif draw < 0.57:
            bits = np.zeros(max(size, 1), np.uint8)
        else:
            bits = np.frombuffer(chance.randbytes(max(size, 1)), np.uint8)
            if chance.random() < 0.5:
                bits = bits | np.frombuffer(chance.randbytes(max(size, 1)), np.uint8)
        if chance.random() < 0.3:
            return bits, -1
        valid = np.unpackbits(bits, bitorder="little")[offset : offset + rows]
        return bits, rows - int(valid.sum())

    # ---- arrays ----

    def make(self, type, rows, nullable=True):
        return self._MAKERS[type.kind](self, type, rows, nullable)

    def _null(self, type, rows, nullable):
        return Node(rows, rows, 0, [])

    def _bool(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        return Node(rows, nulls, offset, [validity, self.chance.randbytes((total + 7) // 8 + 1)])

    def _fixed(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        return Node(rows, nulls, offset, [validity, self._numbers(type, total)])

    def _numbers(self, type, count):
        chance, width, detail = self.chance, type.width, type.detail
        if detail == "float" and chance.random() < 0.5:
            return _FLOATS[width][self._below(count, 9)]
        if detail == "integer" and chance.random() < 0.5:
            return self._below(count, 100).astype(f"i{width}")
        if isinstance(detail, tuple) and detail[0] == "decimal":
            return self._decimals(count, width, detail[1])
        if isinstance(detail, tuple) and detail[0] == "clock":
            _, most, unit = detail
            numbers = self._bytes(count, np.uint64 if width == 8 else np.uint32)
            if most:
                return (numbers % most).astype(f"i{width}")
            numbers = numbers.view(f"i{width}")
            return numbers if unit == 1 else numbers // (unit * 2) * unit
        return chance.randbytes(count * width or 1)

    def _decimals(self, count, width, precision):
        """Digits that fit, of both signs: fewer bits than the largest has."""
        if self.chance.random() < 0.1:
            most = 10**precision - 1
            values = [self.chance.choice((most, -most, 0, -1)) for _ in range(count)]
            return b"".join(value.to_bytes(width, "little", signed=True) for value in values)
        bits = (10**precision).bit_length() - 1
        numbers = self._bytes(count * width, np.uint8).reshape(count, width).copy()
        negative = numbers[:, -1] >= 128
        whole, rest = divmod(bits, 8)
        if whole < width:
            numbers[:, whole] &= (1 << rest) - 1
            numbers[:, whole + 1 :] = 0
        numbers[negative] ^= 255
        return numbers

    def _lengths(self, type, count):
        """(starts in the pool, lengths, pool)"""
        if type.detail == "text":
            picks = self._below(count, len(_WORDS) if self.chance.random() < 0.7 else 7)
            return _TEXT_STARTS[picks], _TEXT_LENGTHS[picks], _TEXT
        pool = np.frombuffer(self.chance.randbytes(300), np.uint8)
        longest = self.chance.choice((1, 12, 14, 60))
        return self._below(count, 200), self._below(count, longest + 1), pool

    def _offsets(self, type, lengths):
        """Offsets of the lengths; the first need not be 0."""
        offsets = np.empty(len(lengths) + 1, f"i{type.width}")
        first = self.chance.choice((0, 0, 0, 1, 5))
        offsets[0] = first
        np.cumsum(lengths, out=offsets[1:])
        offsets[1:] += first
        return offsets

    def _binary(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        starts, lengths, pool = self._lengths(type, total)
        offsets = self._offsets(type, lengths)
        data = np.concatenate(
            (np.full(offsets[0], 63, np.uint8), pool[spans(starts, lengths)], [63])
        ).astype(np.uint8)
        return Node(rows, nulls, offset, [validity, offsets, data])

    def _view(self, type, rows, nullable):
        """Long values lie in one of several buffers, all in the same place, or shared."""
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        starts, lengths, pool = self._lengths(type, total)
        views = np.zeros((max(total, 1), 4), np.uint32)
        raw = views.view(np.uint8).reshape(-1, 16)
        views[:total, 0] = lengths
        short = np.flatnonzero(lengths <= 12)
        at = np.repeat(short * 16 + 4, lengths[short])
        at += spans(np.zeros(len(short), np.int64), lengths[short])
        raw.reshape(-1)[at] = pool[spans(starts[short], lengths[short])]
        long = np.flatnonzero(lengths > 12)
        buffers = self.chance.choice((1, 1, 2, 3)) if len(long) else self.chance.choice((0, 0, 1))
        if len(long):
            raw[long, 4:8] = pool[starts[long, None] + np.arange(4)]
            views[long, 2] = self._below(len(long), buffers)
            views[long, 3] = starts[long]
        return Node(
            rows,
            nulls,
            offset,
            [validity, views, *([pool] * buffers), np.full(max(buffers, 1), len(pool), np.int64)],
        )

    def _list(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        lengths = self._below(total, self.chance.choice((1, 2, 4, 4, 7)))
        offsets = self._offsets(type, lengths)
        child = type.fields[0]
        length = int(offsets[-1]) + self.chance.choice((0, 0, 2))
        below = self.make(child.type, length, child.nullable)
        return Node(rows, nulls, offset, [validity, offsets], (below,))

    def _list_view(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        child = type.fields[0]
        below = self.make(child.type, rows + self.chance.choice((0, 1, 5)), child.nullable)
        starts = self._below(total, below.length + 1)
        sizes = np.minimum(self._below(total, 4), below.length - starts)
        dtype = f"i{type.width}"
        return Node(
            rows, nulls, offset, [validity, starts.astype(dtype), sizes.astype(dtype)], (below,)
        )

    def _fixed_list(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        child = type.fields[0]
        below = self.make(child.type, total * type.width, child.nullable)
        return Node(rows, nulls, offset, [validity], (below,))

    def _struct(self, type, rows, nullable):
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        below = tuple(self.make(child.type, total, child.nullable) for child in type.fields)
        return Node(rows, nulls, offset, [validity], below)

    def _union(self, type, rows, nullable):
        offset, total = self._range(rows)
        picks = self._below(total, len(type.fields))
        ids = np.array(type.detail, np.int8)[picks]
        if not type.width:
            below = tuple(self.make(child.type, total, child.nullable) for child in type.fields)
            return Node(rows, 0, offset, [ids], below)
        offsets = np.zeros(total, np.int32)
        below = []
        for number, child in enumerate(type.fields):
            mine = np.flatnonzero(picks == number)
            steps = self._below(len(mine), 3) if self.chance.random() < 0.3 else np.ones(len(mine))
            places = (np.cumsum(steps) - 1).clip(0)
            offsets[mine] = places
            length = int(places[-1]) + 1 if len(mine) else self.chance.choice((0, 2))
            below.append(self.make(child.type, length, child.nullable))
        return Node(rows, 0, offset, [ids, offsets], tuple(below))

    def _dictionary(self, type, rows, nullable):
        values = self._dictionary_values(type)
        offset, total = self._range(rows)
        validity, nulls = self._validity(rows, offset, total, nullable)
        dtype = ("i" if type.format.islower() else "u") + str(type.width)
        if values.length == 0:
            if rows and not nullable:
                values = self._new_dictionary(type, 1)
                indices = np.zeros(total, dtype)
            else:  # nothing but nulls
                validity, nulls = np.zeros((total + 7) // 8 + 1, np.uint8), rows
                indices = self._bytes(total, dtype)
        else:
            indices = self._below(total, values.length).astype(dtype)
            if validity is not None and self.chance.random() < 0.3:
                null = np.unpackbits(validity, count=total, bitorder="little") == 0
                indices[null] = self._bytes(int(null.sum()), dtype)
        return Node(rows, nulls, offset, [validity, indices], (), values)

    def _new_dictionary(self, type, known):
        full = self.make(type.value.type, max(known, 1) + self.chance.choice((0, 4, 20)))
        self.dictionaries[id(type)] = [full, known, self.batch]
        return full.slice(0, known)

    def _dictionary_values(self, type):
        state = self.dictionaries.get(id(type))
        if state is None:
            sizes = (0, 1, 2, 5, 20, 60) if "replace" in self.changes else (1, 2, 5, 20, 60)
            return self._new_dictionary(type, self.chance.choice(sizes))
        if state[2] == self.batch:
            return state[0].slice(0, state[1])
        state[2] = self.batch
        change = self.chance.choice(self.changes)
        if change == "replace":
            return self._new_dictionary(type, self.chance.choice((1, 2, 5, 20)))
        if change == "grow" and state[0].length > state[1]:
            state[1] = self.chance.randint(state[1] + 1, state[0].length)
        return state[0].slice(0, state[1])

    def _runs(self, type, rows, nullable):
        offset, total = self._range(rows)
        ends_type = type.fields[0].type
        longest = self.chance.choice((1, 3, 40))
        lengths = self._below(total or 1, longest) + 1
        ends = np.cumsum(lengths)
        runs = int(np.searchsorted(ends, offset + rows, "left")) + 1 if offset + rows else 0
        runs = min(runs + self.chance.choice((0, 0, 2)), len(ends))
        ends = ends[:runs].clip(max=2 ** (8 * ends_type.width - 1) - 1)
        value = type.fields[1]
        below = (
            Node(runs, 0, 0, [None, ends.astype(f"i{ends_type.width}")]),
            self.make(value.type, runs, value.nullable),
        )
        return Node(rows, 0, offset, [], below)

    _MAKERS = {
        t.NULL: _null,
        t.BOOL: _bool,
        t.FIXED: _fixed,
        t.BINARY: _binary,
        t.VIEW: _view,
        t.LIST: _list,
        t.MAP: _list,
        t.LIST_VIEW: _list_view,
        t.FIXED_LIST: _fixed_list,
        t.STRUCT: _struct,
        t.UNION: _union,
        t.DICTIONARY: _dictionary,
        t.RUNS: _runs,
    }

    # ---- batches ----

    def make_batch(self, schema, rows):
        """A struct array without nulls; its columns may be slices, and so may it be."""
        self.batch += 1
        extra = self.chance.choice((0, 0, 0, 0, 2, 9)) if self.offsets else 0
        columns = tuple(
            self.make(field.type, rows + extra, field.nullable) for field in schema.type.fields
        )
        offset = self.chance.randint(0, extra)
        return Node(rows, 0, offset, [None], columns)


def random_rows(chance):
    draw = chance.random()
    if draw < 0.06:
        return 0
    if draw < 0.7:
        return chance.randint(1, 20)
    if draw < 0.998:
        return chance.randint(20, 200)
    return 5000


def random_batches(chance, schema, **options):
    """Options: as those of Values."""
    values = Values(chance, **options)
    count = chance.choice((0, 1, 1, 1, 2, 2, 3))
    return [values.make_batch(schema, random_rows(chance)) for _ in range(count)]
