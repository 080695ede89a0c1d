"""The Arrow C data and stream interface as the Python libraries speak it: structs in
capsules, taken out of them, moved, and given back."""

import ctypes

import c_api

from . import cdata, ours

# ---- capsules -------------------------------------------------------------------------

_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype = ctypes.c_void_p
pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_raw_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_streams = {}  # by address: whose memory that is
_structs = {}  # by address: what capsules and streams point to
_RELEASES = {
    b"arrow_schema": cdata.S_RELEASE,
    b"arrow_array": cdata.RELEASE,
    b"arrow_array_stream": cdata.STREAM_RELEASE,
}


def _destructor(name):
    """As the interface demands: what nobody took is released with its capsule."""

    @ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
    def destroy(object_):
        address = _raw_pointer(object_, name)
        cdata.release(_structs.pop(address), _RELEASES[name])
        _streams.pop(address, None)

    return destroy


_destructors = {name: _destructor(name) for name in _RELEASES}


def stream_address(data):
    """Where the C stream is that we export of the bytes."""
    stream = c_api.Reader.memory(data, threads=1).export_c()
    address = ctypes.addressof(stream)
    _structs[address] = cdata.Stream.from_address(address)
    _streams[address] = stream
    return address


def capsule(struct, name):
    address = ctypes.addressof(struct)
    _structs[address] = struct
    return _new_capsule(address, name, ctypes.cast(_destructors[name], ctypes.c_void_p))


class Stream:
    """What the Python libraries take: our stream, a new one each time that they ask."""

    def __init__(self, data):
        self.data = data

    def __arrow_c_stream__(self, requested_schema=None):
        return capsule(_structs[stream_address(self.data)], b"arrow_array_stream")


class Array:
    """The first batch that we read of the bytes."""

    def __init__(self, data):
        self.received = ours.read(data)

    def __arrow_c_array__(self, requested_schema=None):
        schema, array = self.received.schema, self.received.batches[0]
        _streams[schema] = _streams[array] = self.received
        return (
            capsule(cdata.Schema.from_address(schema), b"arrow_schema"),
            capsule(cdata.Array.from_address(array), b"arrow_array"),
        )


# ---- taking -------------------------------------------------------------------------


class Stopped(Exception):
    pass


def pull(address):
    """(schema, arrays) of a C stream, which is released."""
    stream = cdata.Stream.from_address(address)
    signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    get_schema = signature(stream[cdata.GET_SCHEMA])
    get_next = signature(stream[cdata.GET_NEXT])
    schema, arrays = cdata.Schema(), []
    try:
        if code := get_schema(address, ctypes.addressof(schema)):
            raise Stopped(code, last_error(address))
        while True:
            array = cdata.Array()
            if code := get_next(address, ctypes.addressof(array)):
                raise Stopped(code, last_error(address))
            if not array[cdata.RELEASE]:
                return schema, arrays
            arrays.append(array)
    except BaseException:
        give_back(schema, arrays)
        raise
    finally:
        cdata.release(stream, cdata.STREAM_RELEASE)


def last_error(address):
    stream = cdata.Stream.from_address(address)
    asked = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(stream[cdata.GET_LAST_ERROR])
    return (asked(address) or b"").decode()


def give_back(schema, arrays):
    for array in arrays:
        cdata.release(array, cdata.RELEASE)
    cdata.release(schema, cdata.S_RELEASE)


def moved(struct, release):
    """The struct as a consumer moves it: another one, and the first is left released."""
    other = type(struct)()
    other[:] = struct
    struct[release] = 0
    return other


def taken_apart(array):
    """The array's children, moved out of it, and theirs, and dictionaries; the array last."""
    below = cdata.words(array[cdata.CHILDREN], array[cdata.N_CHILDREN])
    below += [array[cdata.DICTIONARY]] if array[cdata.DICTIONARY] else []
    parts = []
    for address in below:
        child = cdata.Array.from_address(address)
        if child[cdata.RELEASE]:
            parts += taken_apart(moved(child, cdata.RELEASE))
    return [*parts, array]


def nothing_held():
    assert not c_api.held, "the bytes are still held"
