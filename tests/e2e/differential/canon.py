"""What an array holds, whatever its layout: pieces of bytes that are equal exactly when
the values are. Floats count bit by bit; what lies under a null does not count.

Read from the structs of the C data interface, which everybody exports, by numpy alone:
none of the libraries compared takes part in the comparison."""

import ctypes
import functools

import numpy as np

from . import cdata
from .values import spans

_FIXED = {
    **dict.fromkeys((b"c", b"C"), 1),
    **dict.fromkeys((b"s", b"S", b"e"), 2),
    **dict.fromkeys((b"i", b"I", b"f", b"tdD", b"tts", b"ttm", b"tiM"), 4),
    **dict.fromkeys((b"l", b"L", b"g", b"tdm", b"ttu", b"ttn", b"tiD"), 8),
    b"tin": 16,
}
_OFFSETS = {b"u": 4, b"z": 4, b"U": 8, b"Z": 8}
_LISTS = {b"+l": 4, b"+m": 4, b"+L": 8, b"+vl": 4, b"+vL": 8}


# ---- schemas ------------------------------------------------------------------------


def read_schema(address, is_value=False):
    """(format, name, flags, metadata, children, dictionary), equal for equal fields. A
    dictionary's values have a type, but neither name nor anything else of a field's."""
    fields = cdata.words(address, 9)
    format = ctypes.string_at(fields[cdata.FORMAT])
    name = ctypes.string_at(fields[cdata.NAME]) if fields[cdata.NAME] else b""
    flags, metadata = fields[cdata.FLAGS], cdata.decode_metadata(fields[cdata.METADATA])
    if is_value:
        name, flags, metadata = b"", flags & cdata.SORTED, ()
    if format.startswith(b"d:"):
        format = format.removesuffix(b",128")  # which need not be said
    if not fields[cdata.S_DICTIONARY]:
        flags &= ~cdata.ORDERED
    return (
        format,
        name,
        flags,
        metadata,
        tuple(
            read_schema(child)
            for child in cdata.words(fields[cdata.S_CHILDREN], fields[cdata.S_N_CHILDREN])
        ),
        read_schema(fields[cdata.S_DICTIONARY], True) if fields[cdata.S_DICTIONARY] else None,
    )


def as_pyarrow(schema):
    """What pyarrow leaves of a schema: it names the children of maps and of runs itself."""
    format, name, flags, metadata, children, dictionary = schema
    children = tuple(as_pyarrow(child) for child in children)
    if format == b"+m":
        key, value = children[0][4]
        key = (key[0], b"key", *key[2:])
        value = (value[0], b"value", *value[2:])
        children = ((*children[0][:4], (key, value), None),)
    if format == b"+r":
        format_, _, flags_, metadata_, *below = children[1]
        known = metadata_ if dict(metadata_).get(cdata.EXTENSION) in cdata.EXTENSIONS else ()
        values = (format_, b"values", flags_ | cdata.NULLABLE, known, *below)
        children = (children[0], values)
    return format, name, flags, metadata, children, dictionary and as_pyarrow(dictionary)


# ---- arrays -------------------------------------------------------------------------


def _memory(address, count, dtype):
    size = count * np.dtype(dtype).itemsize
    if not size or not address:
        return np.zeros(0, dtype)
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype)


@functools.lru_cache(maxsize=10_000)
def _reader(format):
    """(function, argument) of a format string."""
    if format in _FIXED:
        return _fixed, _FIXED[format]
    if format in _OFFSETS:
        return _binary, _OFFSETS[format]
    if format in (b"+l", b"+L", b"+m"):
        return _list, _LISTS[format]
    if format in (b"+vl", b"+vL"):
        return _list_view, _LISTS[format]
    head, _, rest = format.partition(b":")
    if head == b"d":
        parts = rest.split(b",")
        return _fixed, (int(parts[2]) if len(parts) == 3 else 128) // 8
    if format[:2] in (b"ts", b"tD"):
        return _fixed, 8
    if head == b"w":
        return _fixed, int(rest)
    if head == b"+w":
        return _fixed_list, int(rest)
    if head in (b"+ud", b"+us"):
        codes = [int(code) for code in rest.split(b",")] if rest else []
        return (_dense if head == b"+ud" else _sparse), codes
    return {
        b"n": _null,
        b"b": _bool,
        b"vu": _view,
        b"vz": _view,
        b"+s": _struct,
        b"+r": _runs,
    }[format], None


ROWS_MAX = 10_000_000  # of an array; lists of nulls can have any number for nothing


class TooLong(Exception):
    """An array has more rows than can be looked at one by one."""


def _bounded(rows):
    if rows > ROWS_MAX:
        raise TooLong(f"{rows} rows")
    return rows


def read(schema, address):
    """The pieces of the array at the address."""
    out = []
    length = _bounded(ctypes.c_int64.from_address(address).value)
    _read(schema, address, np.arange(length, dtype=np.int64), out)
    return out


def _read(schema, address, rows, out):
    """`rows`: which of the array, from its own offset on."""
    fields = cdata.words(address, 10)
    if fields[cdata.OFFSET]:
        rows = rows + fields[cdata.OFFSET]
    out.append(len(rows))
    if not len(rows):
        return  # nothing is left to compare, and buffers may be absent
    function, argument = _reader(schema[0])
    buffers = cdata.words(fields[cdata.BUFFERS], fields[cdata.N_BUFFERS])
    if function not in (_null, _sparse, _dense, _runs) and buffers[0]:
        valid = _bits(buffers[0], rows)
        if not valid.all():
            out.append(("valid", valid.tobytes()))  # not to be taken for values
            rows = rows[valid]
            if not len(rows):
                return
    if schema[5]:
        dtype = ("i" if schema[0].islower() else "u") + str(argument)
        indices = _memory(buffers[1], int(rows.max()) + 1, dtype)[rows].astype(np.int64)
        _read(schema[5], fields[cdata.DICTIONARY], indices, out)
        return
    children = cdata.words(fields[cdata.CHILDREN], fields[cdata.N_CHILDREN])
    function(schema, argument, buffers, children, rows, out)


def _bits(address, rows):
    last = int(rows.max()) + 1
    bits = np.unpackbits(_memory(address, (last + 7) // 8, np.uint8), bitorder="little")
    return bits[rows].astype(bool)


def _null(schema, _, buffers, children, rows, out):
    pass


def _bool(schema, _, buffers, children, rows, out):
    out.append(_bits(buffers[1], rows).tobytes())


def _fixed(schema, width, buffers, children, rows, out):
    if width:
        last = int(rows.max()) + 1
        out.append(_memory(buffers[1], last, f"V{width}")[rows].tobytes())


def _binary(schema, width, buffers, children, rows, out):
    offsets = _memory(buffers[1], int(rows.max()) + 2, f"i{width}")
    starts = offsets[rows].astype(np.int64)
    lengths = offsets[rows + 1] - starts
    out.append(lengths.astype(np.int64).tobytes())
    if lengths.any():
        data = _memory(buffers[2], int((starts + lengths).max()), np.uint8)
        out.append(data[spans(starts, lengths)].tobytes())


def _view(schema, _, buffers, children, rows, out):
    views = _memory(buffers[1], (int(rows.max()) + 1) * 4, np.uint32).reshape(-1, 4)
    raw = views.view(np.uint8).reshape(-1)
    lengths = views[rows, 0].astype(np.int64)
    out.append(lengths.tobytes())
    short = lengths <= 12
    inline = spans(rows[short] * 16 + 4, lengths[short])
    out.append(raw[inline].tobytes())
    long = rows[~short]
    if not len(long):
        return
    lengths = lengths[~short]
    where = views[long, 2]
    starts = views[long, 3].astype(np.int64)
    sizes = [0] * len(buffers)
    for number in np.unique(where).tolist():
        sizes[number] = int((starts + lengths)[where == number].max())
    data = np.concatenate(
        [_memory(buffers[2 + number], size, np.uint8) for number, size in enumerate(sizes) if size]
    )
    before = np.cumsum(sizes) - sizes
    out.append(data[spans(starts + before[where], lengths)].tobytes())


def _list(schema, width, buffers, children, rows, out):
    offsets = _memory(buffers[1], int(rows.max()) + 2, f"i{width}")
    starts = offsets[rows].astype(np.int64)
    lengths = offsets[rows + 1].astype(np.int64) - starts
    out.append(lengths.tobytes())
    _bounded(int(lengths.sum()))
    _read(schema[4][0], children[0], spans(starts, lengths), out)


def _list_view(schema, width, buffers, children, rows, out):
    last = int(rows.max()) + 1
    starts = _memory(buffers[1], last, f"i{width}")[rows].astype(np.int64)
    lengths = _memory(buffers[2], last, f"i{width}")[rows].astype(np.int64)
    out.append(lengths.tobytes())
    _bounded(int(lengths.sum()))
    _read(schema[4][0], children[0], spans(starts, lengths), out)


def _fixed_list(schema, width, buffers, children, rows, out):
    _bounded(len(rows) * width)
    below = (rows[:, None] * width + np.arange(width)).reshape(-1)
    _read(schema[4][0], children[0], below, out)


def _struct(schema, _, buffers, children, rows, out):
    for field, child in zip(schema[4], children, strict=True):
        _read(field, child, rows, out)


def _sparse(schema, codes, buffers, children, rows, out):
    ids = _memory(buffers[0], int(rows.max()) + 1, np.int8)[rows]
    out.append(ids.tobytes())
    for code, field, child in zip(codes, schema[4], children, strict=True):
        _read(field, child, rows[ids == code], out)


def _dense(schema, codes, buffers, children, rows, out):
    last = int(rows.max()) + 1
    ids = _memory(buffers[0], last, np.int8)[rows]
    offsets = _memory(buffers[1], last, np.int32)[rows].astype(np.int64)
    out.append(ids.tobytes())
    for code, field, child in zip(codes, schema[4], children, strict=True):
        _read(field, child, offsets[ids == code], out)


def _runs(schema, _, buffers, children, rows, out):
    ends = cdata.words(children[0], 10)
    width = _FIXED[schema[4][0][0]]
    buffer = cdata.words(ends[cdata.BUFFERS], 2)[1]
    stop = ends[cdata.OFFSET] + ends[cdata.LENGTH]
    places = _memory(buffer, stop, f"i{width}")[ends[cdata.OFFSET] :]
    _read(schema[4][1], children[1], np.searchsorted(places, rows, "right"), out)
