"""Levels and statistics made anew from Arrow data, in plain Python and as the specification
says it, to compare a file's with: null counts, bounds, NaN counts, histograms of levels,
sizes, page by page.

A leaf's rows are lists of (repetition level, definition level, value)."""

import struct

import parquet_structure as structure
import pyarrow as pa
from parquet_cells import cells
from parquet_data import decoded

t = pa.types


class _Node:
    """A field of the schema: what its cells become in leaves."""

    def __init__(self, field, path, max_def, max_rep):
        self.kind, self.nullable = field.type, field.nullable
        self.rep = max_rep
        self.children = []
        inner = max_def + field.nullable
        path = [*path, field.name]
        if t.is_struct(self.kind):
            self.children = [_Node(child, path, inner, max_rep) for child in self.kind]
        elif t.is_map(self.kind):
            entry = pa.field(
                "key_value",
                pa.struct(
                    [self.kind.key_field.with_name("key"), self.kind.item_field.with_name("value")]
                ),
                nullable=False,
            )
            self.children = [_Node(entry, path, inner + 1, max_rep + 1)]
        elif t.is_nested(self.kind):
            item = self.kind.value_field.with_name("element")
            self.children = [_Node(item, [*path, "list"], inner + 1, max_rep + 1)]
        self.path = ".".join(path)

    def leaves(self):
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def _missing(self, rep, level):
        for leaf in self.leaves():
            leaf.row.append((rep, level, None))

    def put(self, cell, rep, level):
        if cell is None and self.nullable:
            self._missing(rep, level)
            return
        level += self.nullable
        if t.is_struct(self.kind):
            for child, part in zip(self.children, cell, strict=True):
                child.put(part, rep, level)
        elif self.children:
            if not cell:
                self._missing(rep, level)
            for i, part in enumerate(cell):
                self.children[0].put(part, rep if i == 0 else self.rep + 1, level + 1)
        else:
            self.row.append((rep, level, _physical(self.kind, cell)))


def _physical(kind, cell):
    """The value that the file has: a number, or bytes."""
    if cell is None or t.is_boolean(kind):
        return None if cell is None else int(cell)
    if t.is_floating(kind):
        return float("nan") if cell == "nan" else float.fromhex(cell)
    if t.is_decimal(kind):
        sign, digits, _ = cell.as_tuple()
        number = int("".join(map(str, digits)))
        return -number if sign else number
    if t.is_date64(kind):
        return cell // 86_400_000
    if t.is_timestamp(kind) or t.is_time(kind):
        return cell * 1000 if kind.unit == "s" else cell
    return cell.encode() if isinstance(cell, str) else cell


def shred(table):
    """Leaf path to its rows."""
    rows = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        node = _Node(field, [], 0, 0)
        leaves = list(node.leaves())
        for leaf in leaves:
            rows[leaf.path] = []
        for cell in cells(column):
            for leaf in leaves:
                leaf.row = []
            node.put(cell, 0, 0)
            for leaf in leaves:
                rows[leaf.path].append(leaf.row)
    return rows


# ---- statistics ----------------------------------------------------------------------------------


def number(leaf, data):
    """A bound's bytes as a value that compares as the column's order says."""
    logical = leaf.element.get(10, {})
    if leaf.type == structure.BOOLEAN:
        return data[0]
    if leaf.type in (structure.INT32, structure.INT64):
        signed = logical.get(10, {}).get(2, True)
        assert len(data) == (4 if leaf.type == structure.INT32 else 8)
        return int.from_bytes(data, "little", signed=signed)
    if leaf.type == structure.FLOAT:
        return struct.unpack("<f", data)[0]
    if leaf.type == structure.DOUBLE:
        return struct.unpack("<d", data)[0]
    if 15 in logical:
        return struct.unpack("<e", data)[0]
    return int.from_bytes(data, "big", signed=True) if 5 in logical else data


def _expected_bounds(leaf, values, bound_bytes):
    """None where there can be none; or should be none: engines that order NaN above all numbers
    would skip it by the other values' bounds."""
    if not values or any(value != value for value in values):
        return None
    if leaf.type == structure.FIXED and leaf.type_length > 64:
        return None
    least, most = min(values), max(values)
    if leaf.type == structure.BYTE_ARRAY and len(most) > bound_bytes:
        raise_ = _raised_text if _is_text(leaf) else _raised_bytes
        return (least, most) if raise_(most, bound_bytes) is not None else None
    return least, most


def _is_text(leaf):
    return 1 in leaf.element.get(10, {})


def _raised_bytes(value, most_bytes):
    kept = value[:most_bytes].rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _raised_text(value, most_bytes):
    """The longest beginning of so many bytes whose last character can be raised."""
    text = value[:most_bytes].decode(errors="ignore")
    while text:
        code = ord(text[-1]) + 1
        code = 0xE000 if code == 0xD800 else code
        if code <= 0x10FFFF and len((text[:-1] + chr(code)).encode()) <= most_bytes:
            return (text[:-1] + chr(code)).encode()
        text = text[:-1]
    return None


def _check_bounds(leaf, values, low, high, low_exact, high_exact, bound_bytes, where):
    """What is said of the values is true, and as sharp as can be."""
    low, high = number(leaf, low), number(leaf, high)
    least, most = _expected_bounds(leaf, values, bound_bytes)
    if isinstance(least, float):
        assert (low, high) == (least, most), where
        if low == 0:
            assert struct.pack("<d", low) == struct.pack("<d", -0.0), f"{where}: -0.0 is less"
        if high == 0:
            assert struct.pack("<d", high) == struct.pack("<d", 0.0), f"{where}: +0.0 is more"
        return
    if not isinstance(least, bytes):
        assert (low, high) == (least, most), where
        return
    assert low <= least and high >= most, (where, low, least, high, most)
    cut = least
    if leaf.type == structure.BYTE_ARRAY and len(least) > bound_bytes:
        cut = least[:bound_bytes]
        cut = cut.decode(errors="ignore").encode() if _is_text(leaf) else cut
    assert low == cut and low_exact in (None, cut == least), where
    if leaf.type == structure.BYTE_ARRAY and len(most) > bound_bytes:
        raised = (_raised_text if _is_text(leaf) else _raised_bytes)(most, bound_bytes)
        assert high == raised and high_exact in (None, False), where
    else:
        assert high == most and high_exact in (None, True), where


def _counts(levels, at, most):
    counted = [0] * (most + 1)
    for level in levels:
        counted[level[at]] += 1
    return counted


def _check_page(chunk, number, levels, bound_bytes, where):
    leaf, index = chunk.leaf, chunk.column_index
    values = [v for _, level, v in levels if level == leaf.max_def and v is not None]
    assert chunk.pages[number].values == len(levels), where
    if leaf.type == structure.BYTE_ARRAY:
        assert chunk.offset_index[2][number] == sum(map(len, values)), where
    if chunk.pages[number].kind == 3:
        assert chunk.pages[number].header[8][2] == len(levels) - len(values), where
    if index is None:
        return
    assert index[1][number] == (not values), where
    assert index[5][number] == len(levels) - len(values), where
    if 8 in index:
        assert index[8][number] == sum(value != value for value in values), where
    if values:
        _check_bounds(
            leaf, values, index[2][number], index[3][number], None, None, bound_bytes, where
        )
    else:
        assert index[2][number] == index[3][number] == b"", where
    for field, at, most in ((6, 0, leaf.max_rep), (7, 1, leaf.max_def)):
        if field in index:
            part = index[field][number * (most + 1) : (number + 1) * (most + 1)]
            assert part == _counts(levels, at, most), where


def _check_order(chunk, where):
    """boundary_order is true; and said where it is."""
    index = chunk.column_index
    bounds = [
        (number(chunk.leaf, low), number(chunk.leaf, high))
        for low, high, is_null in zip(index[2], index[3], index[1], strict=True)
        if not is_null
    ]
    pairs = list(zip(bounds, bounds[1:], strict=False))
    ascending = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairs)
    descending = all(a[0] >= b[0] and a[1] >= b[1] for a, b in pairs)
    order = index[4]
    assert order != 1 or ascending, where
    assert order != 2 or descending, where
    assert order != 0 or len(bounds) < 2 or not (ascending or descending), where


def _check_chunk(chunk, rows, bound_bytes, where):
    leaf, statistics = chunk.leaf, chunk.statistics
    levels = [level for row in rows for level in row]
    values = [v for _, level, v in levels if level == leaf.max_def and v is not None]
    assert chunk.metadata[5] == len(levels), where
    assert statistics[3] == len(levels) - len(values), where
    is_float = leaf.type in (structure.FLOAT, structure.DOUBLE) or 15 in leaf.element.get(10, {})
    assert statistics.get(9) == (sum(v != v for v in values) if is_float else None), where
    if 4 in statistics:
        distinct = {struct.pack("<d", v) if isinstance(v, float) else v for v in values}
        assert statistics[4] == len(distinct), where
    if _expected_bounds(leaf, values, bound_bytes) is None:
        assert 5 not in statistics and 6 not in statistics, where
    else:
        exact = (statistics.get(8), statistics.get(7))
        _check_bounds(leaf, values, statistics[6], statistics[5], *exact, bound_bytes, where)
    sizes = chunk.metadata.get(16)
    if sizes is not None:
        if leaf.type == structure.BYTE_ARRAY:
            assert sizes[1] == sum(map(len, values)), where
        for field, at, most in ((2, 0, leaf.max_rep), (3, 1, leaf.max_def)):
            assert sizes.get(field) in (None, [], _counts(levels, at, most)), where


def check(file, table, bound_bytes=64):
    """Asserts that all that the file (structure.File) says of its values is so."""
    shredded = shred(decoded(table))
    assert [".".join(leaf.path) for leaf in file.leaves] == list(shredded)
    first = 0
    for ordinal, (group, fields) in enumerate(zip(file.groups, file.footer[4], strict=True)):
        for chunk in group:
            path = ".".join(chunk.leaf.path)
            rows = shredded[path][first : first + fields[3]]
            where = f"{path}, row group {ordinal}"
            _check_chunk(chunk, rows, bound_bytes, where)
            firsts = [*chunk.first_rows, len(rows)]
            for page, (a, b) in enumerate(zip(firsts, firsts[1:], strict=False)):
                levels = [level for row in rows[a:b] for level in row]
                _check_page(chunk, page, levels, bound_bytes, f"{where}, page {page}")
            if chunk.column_index is not None:
                _check_order(chunk, where)
        first += fields[3]
    assert first == table.num_rows
