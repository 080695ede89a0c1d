"""The structs of the Arrow C data interface: made from arrays of ours, and read.

Structs are handled as rows of 64-bit words, which is several times faster than ctypes'
own fields. What was exported stays in LIVE until it is released; what a consumer does
wrong with it is noted in FAULTS."""

import ctypes
import itertools
import struct

# The words of ArrowSchema,
FORMAT, NAME, METADATA, FLAGS, S_N_CHILDREN, S_CHILDREN, S_DICTIONARY, S_RELEASE = range(8)
S_PRIVATE = 8
# of ArrowArray,
LENGTH, NULL_COUNT, OFFSET, N_BUFFERS, N_CHILDREN, BUFFERS, CHILDREN, DICTIONARY = range(8)
RELEASE, PRIVATE = 8, 9
# and of ArrowArrayStream.
GET_SCHEMA, GET_NEXT, GET_LAST_ERROR, STREAM_RELEASE, STREAM_PRIVATE = range(5)

ORDERED, NULLABLE, SORTED = 1, 2, 4  # flags

Schema = ctypes.c_int64 * 9
Array = ctypes.c_int64 * 10
Stream = ctypes.c_int64 * 5
Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

EXTENSION = b"ARROW:extension:name"
EXTENSIONS = (b"arrow.uuid", b"arrow.bool8", b"arrow.json")  # those that pyarrow knows too

LIVE = {}  # private_data -> (the structs below it, what else it points to)
FAULTS = []

_keys = itertools.count(1)


def words(address, count):
    return (ctypes.c_int64 * count).from_address(address)[:] if count else []


def _released(address, layout, release):
    fields = layout.from_address(address)
    held = LIVE.pop(fields[len(fields) - 1], None)
    if not fields[release] or held is None:
        FAULTS.append("a struct was released again")
        return
    fields[release] = 0
    for child in held[0]:
        if child[release]:  # else it was moved out
            _released(ctypes.addressof(child), layout, release)


@Release
def _release_schema(address):
    _released(address, Schema, S_RELEASE)


@Release
def _release_array(address):
    _released(address, Array, RELEASE)


_RELEASE_SCHEMA = ctypes.cast(_release_schema, ctypes.c_void_p).value
_RELEASE_ARRAY = ctypes.cast(_release_array, ctypes.c_void_p).value


@Release
def _return_schema(address):
    Schema.from_address(address)[S_RELEASE] = 0


@Release
def _return_array(address):
    Array.from_address(address)[RELEASE] = 0


_RETURN_SCHEMA = ctypes.cast(_return_schema, ctypes.c_void_p).value
_RETURN_ARRAY = ctypes.cast(_return_array, ctypes.c_void_p).value


def lend_schema(address, into):
    """Another struct of what the first one keeps: to release it changes nothing."""
    lent = Schema.from_address(into)
    lent[:] = Schema.from_address(address)
    lent[S_RELEASE] = _RETURN_SCHEMA


def lend_array(address, into):
    lent = Array.from_address(into)
    lent[:] = Array.from_address(address)
    lent[RELEASE] = _RETURN_ARRAY


def release(released, at):
    """Calls a struct's release callback, if it holds anything."""
    if released[at]:
        Release(released[at])(ctypes.addressof(released))
        if released[at]:
            FAULTS.append("a release callback left its struct unreleased")


def _text(text, keep):
    if text is None:
        return 0
    keep.append(ctypes.create_string_buffer(text))
    return ctypes.addressof(keep[-1])


def _pointers(items, keep):
    if not items:
        return 0
    keep.append((ctypes.c_int64 * len(items))(*items))
    return ctypes.addressof(keep[-1])


def encode_metadata(pairs):
    """As ArrowSchema.metadata; None without any."""
    if not pairs:
        return None
    parts = [struct.pack("=i", len(pairs))]
    for pair in pairs:
        for text in pair:
            parts += [struct.pack("=i", len(text)), text]
    return b"".join(parts)


def decode_metadata(address):
    if not address:
        return ()
    count = ctypes.c_int32.from_address(address).value
    address += 4
    texts = []
    for _ in range(2 * count):
        size = ctypes.c_int32.from_address(address).value
        texts.append(ctypes.string_at(address + 4, size))
        address += 4 + size
    return tuple(sorted(zip(texts[::2], texts[1::2], strict=True)))


def export_schema(field, into=None):
    """A struct ArrowSchema of a types.Field, to be released by whoever gets it."""
    out = Schema() if into is None else into
    kind = field.type
    keep = []
    flags = (NULLABLE if field.nullable else 0) | kind.flags
    children = [export_schema(child) for child in kind.fields]
    dictionary = export_schema(kind.value) if kind.value else None
    key = next(_keys)
    out[:] = [
        _text(kind.format, keep),
        _text(field.name, keep),
        _text(encode_metadata(field.metadata), keep),
        flags,
        len(children),
        _pointers([ctypes.addressof(child) for child in children], keep),
        ctypes.addressof(dictionary) if dictionary else 0,
        _RELEASE_SCHEMA,
        key,
    ]
    LIVE[key] = [*children, dictionary] if dictionary else children, keep
    return out


def _buffer_address(buffer):
    if buffer is None:
        return 0
    if isinstance(buffer, bytes):
        return ctypes.cast(buffer, ctypes.c_void_p).value
    return buffer.__array_interface__["data"][0]


def export_array(node, into=None):
    """A struct ArrowArray of a values.Node, to be released by whoever gets it."""
    out = Array() if into is None else into
    keep = [node]
    children = [export_array(child) for child in node.children]
    dictionary = export_array(node.dictionary) if node.dictionary else None
    key = next(_keys)
    out[:] = [
        node.length,
        node.null_count,
        node.offset,
        len(node.buffers),
        len(children),
        _pointers([_buffer_address(buffer) for buffer in node.buffers], keep),
        _pointers([ctypes.addressof(child) for child in children], keep),
        ctypes.addressof(dictionary) if dictionary else 0,
        _RELEASE_ARRAY,
        key,
    ]
    LIVE[key] = [*children, dictionary] if dictionary else children, keep
    return out
