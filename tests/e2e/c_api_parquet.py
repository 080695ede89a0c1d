"""include/arrowport/parquet.h for tests: what c_api.py is for ipc.h."""

import ctypes
import dataclasses
import os

import c_api
import pyarrow as pa
from c_api import _POINTER, CArray, CSchema, CStream, _Error, _export, _Function, _must, _release


class CColumnOptions(ctypes.Structure):
    _fields_ = [
        ("path", ctypes.c_char_p),
        ("encoding", ctypes.c_char_p),
        ("bloom", ctypes.c_bool),
    ]


class CSortColumn(ctypes.Structure):
    _fields_ = [
        ("path", ctypes.c_char_p),
        ("descending", ctypes.c_bool),
        ("nulls_first", ctypes.c_bool),
    ]


class CSetting(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_char_p)]


class COptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("compression", ctypes.c_char_p),
        ("level", ctypes.c_int),
        ("row_group_rows", ctypes.c_int64),
        ("row_group_bytes", ctypes.c_int64),
        ("page_values", ctypes.c_int64),
        ("page_bytes", ctypes.c_int64),
        ("dictionary_bytes_max", ctypes.c_int64),
        ("compatible", ctypes.c_bool),
        ("page_version", ctypes.c_int),
        ("always_compress", ctypes.c_bool),
        ("no_checksums", ctypes.c_bool),
        ("no_statistics", ctypes.c_bool),
        ("no_page_index", ctypes.c_bool),
        ("no_arrow_schema", ctypes.c_bool),
        ("bound_bytes_max", ctypes.c_int),
        ("bloom_false_positives", ctypes.c_double),
        ("bloom_bytes_max", ctypes.c_int64),
        ("columns", ctypes.POINTER(CColumnOptions)),
        ("column_count", ctypes.c_size_t),
        ("sorting", ctypes.POINTER(CSortColumn)),
        ("sorting_count", ctypes.c_size_t),
        ("metadata", ctypes.POINTER(CSetting)),
        ("metadata_count", ctypes.c_size_t),
        ("threads", ctypes.c_int),
        ("memory_bytes_max", ctypes.c_int64),
        ("is_checked", ctypes.c_bool),
        ("keep_existing", ctypes.c_bool),
    ]


class CProgress(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("rows", ctypes.c_int64),
        ("row_groups", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("kept_bytes", ctypes.c_int64),
    ]


class CColumn(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("path", ctypes.c_char_p),
        ("field_id", ctypes.c_int32),
        ("type", ctypes.c_char_p),
        ("compressed_bytes", ctypes.c_int64),
        ("values", ctypes.c_int64),
        ("nulls", ctypes.c_int64),
        ("nans", ctypes.c_int64),
        ("has_bounds", ctypes.c_bool),
        ("min_is_exact", ctypes.c_bool),
        ("max_is_exact", ctypes.c_bool),
        ("min", ctypes.c_void_p),
        ("max", ctypes.c_void_p),
        ("min_bytes", ctypes.c_int32),
        ("max_bytes", ctypes.c_int32),
    ]


@dataclasses.dataclass
class Column:
    path: str
    field_id: int | None
    type: str
    compressed_bytes: int
    values: int
    nulls: int
    nans: int | None
    min: bytes | None
    max: bytes | None
    is_exact: bool


_open = _Function("parquet_writer_open", _POINTER, c_api._WRITE, *[_POINTER] * 4)
_open_path = _Function("parquet_writer_open_path", _POINTER, ctypes.c_char_p, *[_POINTER] * 3)
_add = _Function("parquet_writer_add", *[_POINTER] * 3)
_add_stream = _Function("parquet_writer_add_stream", *[_POINTER] * 3)
_end_row_group = _Function("parquet_writer_end_row_group", _POINTER, _POINTER)
_finish = _Function("parquet_writer_finish", _POINTER, _POINTER)
_close = _Function("parquet_writer_close", _POINTER, result=None)
_progress = _Function("parquet_writer_progress", *[_POINTER] * 3)
_column_count = _Function("parquet_writer_column_count", _POINTER, result=ctypes.c_int32)
_column = _Function("parquet_writer_column", _POINTER, ctypes.c_int32, _POINTER, _POINTER)


def options(columns=(), sorting=(), metadata=(), **more):
    """`columns`: (path, encoding, bloom), `sorting`: (path, descending, nulls_first), `metadata`:
    pairs; texts as str."""

    def struct_of(kind, values):
        return kind(*[v.encode() if isinstance(v, str) else v for v in values])

    made = COptions(struct_size=ctypes.sizeof(COptions))
    for name, kind, values in (
        ("column", CColumnOptions, columns),
        ("sorting", CSortColumn, sorting),
        ("metadata", CSetting, metadata),
    ):
        array = (kind * len(values))(*[struct_of(kind, value) for value in values])
        setattr(made, "columns" if name == "column" else name, array if values else None)
        setattr(made, f"{name}_count", len(values))
    for name, value in more.items():
        setattr(made, name, value.encode() if isinstance(value, str) else value)
    return made


class Writer:
    """Into `path`, or into bytes (`write(bytes)` raises to fail)."""

    def __init__(self, schema, path=None, write=None, chosen=None, **more):
        self.handle = None
        self.parts = []
        take = write or self.parts.append

        @c_api._WRITE
        def out(_, data, size):
            try:
                take(ctypes.string_at(data, size))
                return 0
            except Exception:
                return -1

        self._keep = out
        error, handle, c_schema = _Error(), _POINTER(), CSchema()
        chosen = chosen or options(**more)
        schema._export_to_c(ctypes.addressof(c_schema))
        rest = (ctypes.byref(chosen), ctypes.byref(handle), ctypes.byref(error))
        if path is None:
            status = _open(ctypes.byref(c_schema), out, None, *rest)
        else:
            status = _open_path(ctypes.byref(c_schema), os.fsencode(path), *rest)
        _release(c_schema)
        _must(status, error)
        self.handle = handle.value

    def add(self, batch):
        array, _ = _export(batch, with_schema=False)
        try:
            self.add_c(array)
        finally:
            _release(array)  # what was taken holds nothing

    def add_c(self, array):
        error = _Error()
        _must(_add(self.handle, ctypes.byref(array), ctypes.byref(error)), error)

    def add_stream(self, reader):
        error, stream = _Error(), CStream()
        reader._export_to_c(ctypes.addressof(stream))
        status = _add_stream(self.handle, ctypes.byref(stream), ctypes.byref(error))
        assert not stream.release
        _must(status, error)

    def end_row_group(self):
        error = _Error()
        _must(_end_row_group(self.handle, ctypes.byref(error)), error)

    def finish(self):
        error = _Error()
        _must(_finish(self.handle, ctypes.byref(error)), error)

    def progress(self):
        error, about = _Error(), CProgress(struct_size=ctypes.sizeof(CProgress))
        _must(_progress(self.handle, ctypes.byref(about), ctypes.byref(error)), error)
        return about

    def column_count(self):
        return _column_count(self.handle)

    def column(self, number):
        error, about = _Error(), CColumn(struct_size=ctypes.sizeof(CColumn))
        _must(_column(self.handle, number, ctypes.byref(about), ctypes.byref(error)), error)
        has = about.has_bounds
        return Column(
            path=about.path.decode(),
            field_id=None if about.field_id == -(2**31) else about.field_id,
            type=about.type.decode(),
            compressed_bytes=about.compressed_bytes,
            values=about.values,
            nulls=about.nulls,
            nans=None if about.nans < 0 else about.nans,
            min=ctypes.string_at(about.min, about.min_bytes) if has else None,
            max=ctypes.string_at(about.max, about.max_bytes) if has else None,
            is_exact=about.min_is_exact and about.max_is_exact,
        )

    def bytes(self):
        return b"".join(self.parts)

    def close(self):
        _close(self.handle)
        self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "handle", None):
            self.close()


def write(schema, batches, **more):
    with Writer(schema, **more) as writer:
        for batch in batches:
            writer.add(batch)
        writer.finish()
        return writer.bytes()


def export(batch):
    """A CArray of it, the caller's."""
    return _export(batch, with_schema=False)[0]


__all__ = ["CArray", "Column", "Writer", "export", "options", "pa", "write"]
