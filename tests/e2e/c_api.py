"""include/arrowport/ipc.h for tests: libarrowport.so by ctypes, data to and from pyarrow by the
addresses of C data interface structs, as a program in C would hand them over.

The library is ARROWPORT_LIBRARY, else the one beside ARROWPORT_BIN, else build/release's.
"""

import ctypes
import functools
import itertools
import os
import pathlib
import struct

import pyarrow as pa

ROOT = pathlib.Path(__file__).resolve().parents[2]


def library_path():
    named = os.environ.get("ARROWPORT_LIBRARY")
    if named:
        return pathlib.Path(named)
    program = os.environ.get("ARROWPORT_BIN", ROOT / "build" / "release" / "arrowport")
    return pathlib.Path(program).parent / "libarrowport.so"


@functools.cache
def _library():
    return ctypes.CDLL(str(library_path()))


_libc = ctypes.CDLL(None)
_libc.free.argtypes = [ctypes.c_void_p]
_libc.free.restype = None

# ---- structs and functions -----------------------------------------------------------------


class CSchema(ctypes.Structure):
    _fields_ = [
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_void_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


class CArray(ctypes.Structure):
    _fields_ = [
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.c_void_p),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


class CStream(ctypes.Structure):
    _fields_ = [
        ("get_schema", ctypes.c_void_p),
        ("get_next", ctypes.c_void_p),
        ("get_last_error", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


class CReaderOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("memory_bytes_max", ctypes.c_int64),
        ("metadata_bytes_max", ctypes.c_int64),
        ("body_bytes_max", ctypes.c_int64),
        ("decoded_bytes_max", ctypes.c_int64),
        ("threads", ctypes.c_int),
        ("eos_optional", ctypes.c_bool),
    ]


class CWriterOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("format", ctypes.c_int),
        ("compression", ctypes.c_int),
        ("level", ctypes.c_int),
        ("dictionary_deltas", ctypes.c_bool),
        ("threads", ctypes.c_int),
        ("memory_bytes_max", ctypes.c_int64),
    ]


class CLoadOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("sink", ctypes.c_char_p),
        ("table", ctypes.c_char_p),
        ("settings", ctypes.c_void_p),
        ("setting_count", ctypes.c_size_t),
        ("must_exist", ctypes.c_bool),
        ("mode", ctypes.c_char_p),
        ("keys", ctypes.c_void_p),
        ("key_count", ctypes.c_size_t),
        ("refuse_duplicates", ctypes.c_bool),
        ("schema_policy", ctypes.c_char_p),
        ("idempotency_key", ctypes.c_char_p),
        ("repeated", ctypes.c_void_p),
    ]


class CLoadResult(ctypes.Structure):
    _fields_ = [
        ("rows", ctypes.c_int64),
        ("batches", ctypes.c_int64),
        ("version", ctypes.c_int64),
    ]


FORMATS = {"stream": 0, "file": 1}
COMPRESSIONS = {None: 0, "lz4": 1, "zstd": 2}

_RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_READ = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_POINTER = ctypes.c_void_p
_INT64 = ctypes.c_int64


class _Function:
    """One of the library's, which is loaded with the first call: a library with a sanitizer
    in it cannot be loaded here, and tests that do not need it run all the same."""

    def __init__(self, name, *arguments, result=ctypes.c_int):
        self.name, self.arguments, self.result = "arrowport_" + name, arguments, result
        self.bound = None

    def __call__(self, *given):
        if self.bound is None:
            self.bound = getattr(_library(), self.name)
            self.bound.argtypes, self.bound.restype = self.arguments, self.result
        return self.bound(*given)


_status_name = _Function("status_name", ctypes.c_int, result=ctypes.c_char_p)
_load = _Function("load", *[_POINTER] * 4)
_reader_open = _Function("reader_open", _READ, *[_POINTER] * 4)
_reader_open_path = _Function("reader_open_path", ctypes.c_char_p, *[_POINTER] * 3)
_reader_open_memory = _Function("reader_open_memory", _POINTER, _INT64, _RELEASE, *[_POINTER] * 4)
_reader_schema = _Function("reader_schema", *[_POINTER] * 3)
_reader_next = _Function("reader_next", *[_POINTER] * 3)
_reader_metadata = _Function("reader_metadata", _POINTER, result=_POINTER)
_reader_export = _Function("reader_export", *[_POINTER] * 3)
_reader_close = _Function("reader_close", _POINTER, result=None)
_writer_open = _Function("writer_open", _POINTER, _WRITE, *[_POINTER] * 4)
_writer_write = _Function("writer_write", *[_POINTER] * 3)
_writer_metadata = _Function("writer_metadata", *[_POINTER] * 3)
_writer_finish = _Function("writer_finish", _POINTER, _POINTER)
_writer_close = _Function("writer_close", _POINTER, result=None)
_array_check = _Function("array_check", _POINTER, _POINTER, ctypes.c_bool, _POINTER)
_array_equal = _Function("array_equal", *[_POINTER] * 4, result=ctypes.c_bool)
_array_slice = _Function("array_slice", _POINTER, _POINTER, _INT64, _INT64, _POINTER, _POINTER)
_array_print = _Function(
    "array_print", _POINTER, _POINTER, _INT64, ctypes.c_size_t, _POINTER, _POINTER
)


class ArrowportError(Exception):
    """`status` is the name without its prefix ("INVALID"), `text` what was said."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class _Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 1024)]

    def said(self):
        return self.text.decode(errors="replace")


def _must(status, error):
    if status != 0:
        raise ArrowportError(_status_name(status).decode(), error.said())


def _release(made):
    """Calls a struct's release callback, if it holds anything."""
    if made.release:
        _RELEASE(made.release)(ctypes.addressof(made))


def _export(value, with_schema=True):
    """A batch, array, or schema as C structs, which the caller releases."""
    array, schema = CArray(), CSchema()
    if with_schema:
        value._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    else:
        value._export_to_c(ctypes.addressof(array))
    return array, schema


def _import(array, like, schema):
    """What `array` holds as the kind of thing that `like` is."""
    kind = pa.RecordBatch if isinstance(like, pa.RecordBatch) else pa.Array
    return kind._import_from_c(ctypes.addressof(array), schema)


def encode_metadata(pairs):
    """As ArrowSchema.metadata has it."""
    parts = [struct.pack("=i", len(pairs))]
    for key, value in pairs.items():
        parts += [struct.pack("=i", len(key)), key, struct.pack("=i", len(value)), value]
    return b"".join(parts)


def decode_metadata(address):
    if not address:
        return None
    place = address

    def take(size):
        nonlocal place
        place += size
        return ctypes.string_at(place - size, size)

    def number():
        return struct.unpack("=i", take(4))[0]

    return {take(number()): take(number()) for _ in range(number())}


# ---- reading -------------------------------------------------------------------------------

held = {}  # what C still points into, by the context that was given with it
_contexts = itertools.count(1)
_exported = []  # callbacks of readers that somebody else closes


@_RELEASE
def _let_go(context):
    del held[context]  # a second release for one context is a KeyError, which pytest reports


def _hold(value):
    context = next(_contexts)
    held[context] = value
    return context


def _options(kind, options, **codes):
    own = kind(struct_size=ctypes.sizeof(kind), **options)
    for name, value in codes.items():
        setattr(own, name, value)
    return ctypes.byref(own)


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.argtypes = [_POINTER, ctypes.c_char_p, _POINTER]
_capsule.restype = ctypes.py_object


class Exported:
    """A C stream for the PyCapsule interface, to be consumed while this lives."""

    def __init__(self, stream):
        self.stream = stream

    def __arrow_c_stream__(self, requested_schema=None):
        return _capsule(ctypes.addressof(self.stream), b"arrow_array_stream", None)

    def __del__(self):
        _release(self.stream)


class Reader:
    """A reader's handle; made by memory, path or callback, whose options are those of
    arrowport_reader_options."""

    def __init__(self, open_, *arguments, **options):
        error, handle = _Error(), _POINTER()
        self.handle = None
        self._schema = None
        chosen = _options(CReaderOptions, options) if options else None
        status = open_(*arguments, chosen, ctypes.byref(handle), ctypes.byref(error))
        _must(status, error)
        self.handle = handle.value

    @classmethod
    def memory(cls, data, **options):
        """Anything with the buffer protocol. Held until C lets go of it."""
        buffer = pa.py_buffer(data)
        context = _hold(buffer)
        return cls(_reader_open_memory, buffer.address, buffer.size, _let_go, context, **options)

    @classmethod
    def path(cls, path, **options):
        return cls(_reader_open_path, os.fsencode(path), **options)

    @classmethod
    def callback(cls, read, **options):
        """`read(bytes)` gives at most so many, b"" at the end; what it raises is raised here."""
        raised = []

        @_READ
        def into(_, data, room):
            try:
                got = read(room)
                ctypes.memmove(data, bytes(got), min(len(got), room))
                return len(got)
            except Exception as reason:
                raised.append(reason)
                return -1

        try:
            made = cls(_reader_open, into, None, **options)
        except ArrowportError as refused:
            raise refused from (raised[0] if raised else None)
        made._keep = into
        return made

    @property
    def schema(self):
        if self._schema is None:
            error, schema = _Error(), CSchema()
            _must(_reader_schema(self.handle, ctypes.byref(schema), ctypes.byref(error)), error)
            self._schema = pa.Schema._import_from_c(ctypes.addressof(schema))
        return self._schema

    def next_c(self):
        """The next batch as its C struct, the caller's to release; None after the last."""
        error, array = _Error(), CArray()
        status = _reader_next(self.handle, ctypes.byref(array), ctypes.byref(error))
        _must(status, error)
        return array if array.release else None

    def next(self):
        array = self.next_c()
        if array is None:
            return None
        return pa.RecordBatch._import_from_c(ctypes.addressof(array), self.schema)

    def __iter__(self):
        return iter(self.next, None)

    @property
    def metadata(self):
        """Of the last batch, a dict of bytes; or None."""
        return decode_metadata(_reader_metadata(self.handle))

    def export_c(self):
        """The rest as a C stream; the reader belongs to it."""
        error, stream = _Error(), CStream()
        _must(_reader_export(self.handle, ctypes.byref(stream), ctypes.byref(error)), error)
        self.handle = None
        if hasattr(self, "_keep"):
            _exported.append(self._keep)
        return stream

    def capsule(self):
        """The rest as an object that consumers of C streams take as it is."""
        return Exported(self.export_c())

    def export(self):
        stream = self.export_c()
        return pa.RecordBatchReader._import_from_c(ctypes.addressof(stream))

    def close(self):
        _reader_close(self.handle)
        self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "handle", None):
            self.close()


def _read(reader):
    with reader:
        return reader.schema, list(reader)


def read_memory(data, **options):
    """(schema, batches), which live on without the reader."""
    return _read(Reader.memory(data, **options))


def read_path(path, **options):
    return _read(Reader.path(path, **options))


def read_callback(read, **options):
    return _read(Reader.callback(read, **options))


# ---- writing -------------------------------------------------------------------------------


class Writer:
    """Collects what it writes in `bytes()`, or hands it to `write(bytes)`, which raises to
    fail. Options are those of arrowport_writer_options, format and compression by name."""

    def __init__(self, schema, write=None, format="stream", compression=None, **options):
        self.handle = None
        self.parts = []
        take = write or self.parts.append

        @_WRITE
        def out(_, data, size):
            try:
                take(ctypes.string_at(data, size))
                return 0
            except Exception:
                return -1

        self._keep = out
        error, handle, c_schema = _Error(), _POINTER(), CSchema()
        chosen = _options(
            CWriterOptions,
            options,
            format=FORMATS.get(format, format),
            compression=COMPRESSIONS.get(compression, compression),
        )
        schema._export_to_c(ctypes.addressof(c_schema))
        status = _writer_open(
            ctypes.byref(c_schema), out, None, chosen, ctypes.byref(handle), ctypes.byref(error)
        )
        _release(c_schema)
        _must(status, error)
        self.handle = handle.value

    def write(self, batch, metadata=None):
        if metadata is not None:
            self.metadata(metadata)
        array, _ = _export(batch, with_schema=False)
        try:
            self.write_c(array)
        finally:
            _release(array)

    def write_c(self, array):
        error = _Error()
        _must(_writer_write(self.handle, ctypes.byref(array), ctypes.byref(error)), error)

    def metadata(self, pairs):
        error = _Error()
        _must(_writer_metadata(self.handle, encode_metadata(pairs), ctypes.byref(error)), error)

    def finish(self):
        error = _Error()
        _must(_writer_finish(self.handle, ctypes.byref(error)), error)

    def bytes(self):
        return b"".join(self.parts)

    def close(self):
        _writer_close(self.handle)
        self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "handle", None):
            self.close()


def write(schema, batches, **options):
    """A whole stream or file; a batch may be a pair of it and its metadata."""
    with Writer(schema, **options) as writer:
        for batch in batches:
            if isinstance(batch, tuple):
                writer.write(*batch)
            else:
                writer.write(batch)
        writer.finish()
        return writer.bytes()


# ---- arrays --------------------------------------------------------------------------------


def check(value, full=True):
    """Raises ArrowportError when the batch or array is not what its schema says."""
    error = _Error()
    array, schema = _export(value)
    status = _array_check(ctypes.byref(schema), ctypes.byref(array), full, ctypes.byref(error))
    _release(array)
    _release(schema)
    _must(status, error)


def equal(left, right):
    """(whether they hold the same, where they do not), by the schema of `left`."""
    error = _Error()
    left_array, schema = _export(left)
    right_array, _ = _export(right, with_schema=False)
    same = _array_equal(
        ctypes.byref(schema),
        ctypes.byref(left_array),
        ctypes.byref(right_array),
        ctypes.byref(error),
    )
    for made in (left_array, right_array, schema):
        _release(made)
    return same, error.said()


def slice(value, offset, rows):
    error, out = _Error(), CArray()
    array, schema = _export(value)
    status = _array_slice(
        ctypes.byref(schema),
        ctypes.byref(array),
        offset,
        rows,
        ctypes.byref(out),
        ctypes.byref(error),
    )
    _release(array)  # after success there is nothing left in it
    _release(schema)
    _must(status, error)
    schema = value.schema if isinstance(value, pa.RecordBatch) else value.type
    return _import(out, value, schema)


def print_table(value, rows_max=10, width=100):
    error, text = _Error(), _POINTER()
    array, schema = _export(value)
    status = _array_print(
        ctypes.byref(schema),
        ctypes.byref(array),
        rows_max,
        width,
        ctypes.byref(text),
        ctypes.byref(error),
    )
    _release(array)
    _release(schema)
    _must(status, error)
    said = ctypes.string_at(text.value).decode()
    _libc.free(text)
    return said


# ---- loading -------------------------------------------------------------------------------


def load(stream, **options):
    """arrowport_load of a CStream (None: NULL), which is released; (rows, batches)."""
    error, result = _Error(), CLoadResult()
    own = CLoadOptions(struct_size=ctypes.sizeof(CLoadOptions))
    for name, value in options.items():
        setattr(own, name, value)
    status = _load(
        stream and ctypes.byref(stream),
        ctypes.byref(own) if options else None,
        ctypes.byref(result),
        ctypes.byref(error),
    )
    _must(status, error)
    return result.rows, result.batches
