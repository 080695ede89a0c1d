"""include/arrowport/parquet.h for tests, by ctypes: batches go over as C structs, and may
be broken on their way, as no Arrow library would let them be."""

import ctypes

import pyarrow as pa
from c_api import CArray, _Error, _export, _Function, _must, _release

_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_POINTER = ctypes.c_void_p
_open = _Function("parquet_writer_open", _POINTER, _WRITE, *[_POINTER] * 4)
_add = _Function("parquet_writer_add", *[_POINTER] * 3)
_finish = _Function("parquet_writer_finish", *[_POINTER] * 2)
_close = _Function("parquet_writer_close", _POINTER, result=None)


def batch_of(**arrays):
    """A batch of arrays that nobody has looked at: pyarrow checks nothing but lengths here."""
    return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))


def raw(kind, length, buffers, **more):
    """An array of these buffers (bytes or None) as they are."""
    made = [None if data is None else pa.py_buffer(data) for data in buffers]
    return pa.Array.from_buffers(kind, length, made, **more)


later = []  # changes of buffers that pyarrow would refuse if it saw them


def spoil(_):
    """All of them: for `change` of `write`."""
    while later:
        data, bad = later.pop()
        data[:] = bad


def spoiled(kind, length, buffers, at, bad, **more):
    """The array whose buffer number `at` will be `bad` when it is given away."""
    data = bytearray(buffers[at])
    later.append((data, bad))
    return raw(kind, length, [*buffers[:at], data, *buffers[at + 1 :]], **more)


class Child:
    """One array struct below an exported batch's, to be changed in place."""

    def __init__(self, address):
        self.array = CArray.from_address(address)

    def child(self, index):
        pointers = ctypes.cast(self.array.children, ctypes.POINTER(ctypes.c_void_p))
        return Child(pointers[index])

    def drop_buffer(self, index):
        pointers = ctypes.cast(self.array.buffers, ctypes.POINTER(ctypes.c_void_p))
        pointers[index] = None


def write(batches, change=None):
    """The file's bytes; ArrowportError as the library says it. `change(child)` gets each batch's
    struct before it is given away."""
    parts, handle, error = [], _POINTER(), _Error()

    @_WRITE
    def take(_, data, size):
        parts.append(ctypes.string_at(data, size))
        return 0

    _, schema = _export(batches[0])
    _release(_)
    try:
        _must(
            _open(
                ctypes.byref(schema), take, None, None, ctypes.byref(handle), ctypes.byref(error)
            ),
            error,
        )
        for batch in batches:
            array, unused = _export(batch)
            _release(unused)
            if change:
                change(Child(ctypes.addressof(array)))
            status = _add(handle, ctypes.byref(array), ctypes.byref(error))
            if status != 0:
                _release(array)
            _must(status, error)
        _must(_finish(handle, ctypes.byref(error)), error)
        return b"".join(parts)
    finally:
        _close(handle)
        _release(schema)
