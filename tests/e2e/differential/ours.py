"""Our library (include/arrowport/ipc.h) on the structs of cdata.py: no other library stands
between it and the data."""

import ctypes
import os
import pathlib

from . import cdata

STATUS = {
    name: number
    for number, name in enumerate(
        "OK INVALID SCHEMA NOT_FOUND DENIED CONFLICT BUDGET UNAVAILABLE UNKNOWN UNSUPPORTED "
        "NOMEM IO TOO_LARGE TIMEOUT CANCELLED INTERNAL".split()
    )
}
NAMES = {number: name for name, number in STATUS.items()}
COMPRESSIONS = {None: 0, "lz4": 1, "zstd": 2}


class Refused(Exception):
    """A call that did not return ARROWPORT_OK."""

    def __init__(self, status, text):
        super().__init__(f"{NAMES.get(status, status)}: {text}")
        self.status = NAMES.get(status, status)


class _Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 1024)]


class _ReaderOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("memory_bytes_max", ctypes.c_int64),
        ("metadata_bytes_max", ctypes.c_int64),
        ("body_bytes_max", ctypes.c_int64),
        ("decoded_bytes_max", ctypes.c_int64),
        ("threads", ctypes.c_int),
        ("eos_optional", ctypes.c_bool),
    ]


class _WriterOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("format", ctypes.c_int),
        ("compression", ctypes.c_int),
        ("level", ctypes.c_int),
        ("dictionary_deltas", ctypes.c_bool),
        ("threads", ctypes.c_int),
        ("memory_bytes_max", ctypes.c_int64),
    ]


_Read = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


def path():
    """The library beside the program under test."""
    root = pathlib.Path(__file__).resolve().parents[3]
    program = os.environ.get("ARROWPORT_BIN", str(root / "build" / "release" / "arrowport"))
    return pathlib.Path(program).resolve().parent / "libarrowport.so"


def _load():
    library = ctypes.CDLL(str(path()))
    p, i64 = ctypes.c_void_p, ctypes.c_int64
    for name, result, arguments in (
        ("reader_open", ctypes.c_int, (_Read, p, p, p, p)),
        ("reader_open_memory", ctypes.c_int, (p, i64, p, p, p, p, p)),
        ("reader_schema", ctypes.c_int, (p, p, p)),
        ("reader_next", ctypes.c_int, (p, p, p)),
        ("reader_metadata", p, (p,)),
        ("reader_export", ctypes.c_int, (p, p, p)),
        ("reader_close", None, (p,)),
        ("writer_open", ctypes.c_int, (p, _Write, p, p, p, p)),
        ("writer_write", ctypes.c_int, (p, p, p)),
        ("writer_metadata", ctypes.c_int, (p, ctypes.c_char_p, p)),
        ("writer_finish", ctypes.c_int, (p, p)),
        ("writer_close", None, (p,)),
        ("array_check", ctypes.c_int, (p, p, ctypes.c_bool, p)),
        ("array_equal", ctypes.c_bool, (p, p, p, p)),
        ("array_slice", ctypes.c_int, (p, p, i64, i64, p, p)),
    ):
        function = getattr(library, f"arrowport_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


_library = _load()
_error = _Error()


def _call(name, *arguments):
    status = getattr(_library, f"arrowport_{name}")(*arguments, ctypes.addressof(_error))
    if status:
        raise Refused(status, _error.text.decode(errors="replace"))


class Received:
    """What was read. `schema` and `batches` are addresses; release() gives all back."""

    def __init__(self):
        self._schema = cdata.Schema()
        self._batches = []
        self.metadata = []  # the custom metadata of each batch

    @property
    def schema(self):
        return ctypes.addressof(self._schema)

    @property
    def batches(self):
        return [ctypes.addressof(batch) for batch in self._batches]

    def release(self):
        for batch in self._batches:
            cdata.release(batch, cdata.RELEASE)
        cdata.release(self._schema, cdata.S_RELEASE)


def _opened(data, steps, options):
    """(reader, what has to be kept until everything is released)"""
    reader = ctypes.c_void_p()
    options = _ReaderOptions(ctypes.sizeof(_ReaderOptions), **options)
    if steps is None:
        address = ctypes.cast(data, ctypes.c_void_p)
        _call(
            "reader_open_memory",
            *(address, len(data), None, None),
            ctypes.addressof(options),
            ctypes.addressof(reader),
        )
        return reader, data
    at = 0

    @_Read
    def read(_, into, room):
        nonlocal at
        part = data[at : at + min(room, steps)]
        ctypes.memmove(into, part, len(part))
        at += len(part)
        return len(part)

    _call("reader_open", read, None, ctypes.addressof(options), ctypes.addressof(reader))
    return reader, read


def read(data, steps=None, **options):
    """Reads a stream or a file that is in memory, or a stream that comes `steps` bytes at a
    time. The batches point into `data`, which the caller keeps."""
    received = Received()
    reader, kept = _opened(data, steps, {"threads": 1, **options})
    try:
        _call("reader_schema", reader, received.schema)
        while True:
            batch = cdata.Array()
            _call("reader_next", reader, ctypes.addressof(batch))
            if not batch[cdata.RELEASE]:
                return received
            received._batches.append(batch)
            metadata = _library.arrowport_reader_metadata(reader)
            received.metadata.append(cdata.decode_metadata(metadata))
    except BaseException:
        received.release()
        raise
    finally:
        _library.arrowport_reader_close(reader)
        del kept


def export(data, stream, **options):
    """Opens a reader over `data`, which the caller keeps, and exports it as a C stream."""
    reader, _ = _opened(data, None, {"threads": 1, **options})
    try:
        _call("reader_export", reader, ctypes.addressof(stream))
    except BaseException:
        _library.arrowport_reader_close(reader)
        raise


def write(
    schema, batches, *, file=False, compression=None, level=0, deltas=False, threads=1, metadata=()
):
    """The bytes of a stream or a file. `schema` and `batches`: addresses, which stay the
    caller's; `metadata`: encoded, one for each batch or nothing."""
    parts = []

    @_Write
    def collect(_, data, size):
        parts.append(ctypes.string_at(data, size))
        return 0

    options = _WriterOptions(
        *(ctypes.sizeof(_WriterOptions), int(file), COMPRESSIONS[compression], level),
        *(deltas, threads, 0),
    )
    writer = ctypes.c_void_p()
    _call(
        "writer_open",
        *(schema, collect, None, ctypes.addressof(options), ctypes.addressof(writer)),
    )
    try:
        for number, batch in enumerate(batches):
            if metadata and metadata[number]:
                _call("writer_metadata", writer, metadata[number])
            _call("writer_write", writer, batch)
        _call("writer_finish", writer)
    finally:
        _library.arrowport_writer_close(writer)
    return b"".join(parts)


def check(schema, array, full=True):
    _call("array_check", schema, array, full)


def equal(schema, left, right):
    """Where they differ; an empty text when they do not."""
    _error.text = b""
    if _library.arrowport_array_equal(schema, left, right, ctypes.addressof(_error)):
        return ""
    return _error.text.decode(errors="replace") or "they differ, and nothing says where"


def slice(schema, array, offset, rows, out):
    _call("array_slice", schema, array, offset, rows, out)
