"""Our library by tests/e2e/c_api.py, on the structs of cdata.py: no other library stands
between it and the data."""

import ctypes

import c_api

from . import cdata

Refused = c_api.ArrowportError


class Lent:
    """Structs that stay their owner's, as c_api.py takes pyarrow's schemas, batches and
    arrays: by what it calls to export them."""

    def __init__(self, schema, array=None):
        self.schema = schema  # addresses
        self.array = array

    def _export_to_c(self, *into):
        if self.array is None:
            cdata.lend_schema(self.schema, into[0])
            return
        cdata.lend_array(self.array, into[0])
        if len(into) == 2:
            cdata.lend_schema(self.schema, into[1])


class Received:
    """What was read, as structs that it owns until release()."""

    def __init__(self):
        self._schema = cdata.Schema()
        self._batches = []
        self.metadata = []  # the custom metadata of each batch, sorted

    @property
    def schema(self):
        return ctypes.addressof(self._schema)

    @property
    def batches(self):
        return [ctypes.addressof(batch) for batch in self._batches]

    def release(self):
        for address in self.batches:
            cdata.release(cdata.Array.from_address(address), cdata.RELEASE)
        cdata.release(self._schema, cdata.S_RELEASE)


def _reader(data, steps, options):
    options = {"threads": 1, **options}
    if steps is None:
        return c_api.Reader.memory(data, **options)
    at = 0

    def read(room):
        nonlocal at
        part = data[at : at + min(room, steps)]
        at += len(part)
        return part

    return c_api.Reader.callback(read, **options)


def _schema(reader, into):
    """The schema as it is: `reader.schema` is what pyarrow makes of it."""
    error = c_api._Error()
    c_api._must(c_api._reader_schema(reader.handle, into, ctypes.byref(error)), error)


def read(data, steps=None, **options):
    """Reads a stream or a file that is in memory, or a stream that comes `steps` bytes at a
    time."""
    received = Received()
    try:
        with _reader(data, steps, options) as reader:
            _schema(reader, received.schema)
            while (batch := reader.next_c()) is not None:
                received._batches.append(batch)
                received.metadata.append(tuple(sorted((reader.metadata or {}).items())))
        return received
    except BaseException:
        received.release()
        raise


def write(schema, batches, metadata=(), **options):
    """The bytes of a stream or a file. `schema` and `batches`: addresses, whose structs stay
    the caller's; `metadata`: pairs for each batch, or nothing; options: those of c_api.Writer."""
    with c_api.Writer(Lent(schema), **options) as writer:
        for number, batch in enumerate(batches):
            pairs = dict(metadata[number]) if metadata else None
            writer.write(Lent(schema, batch), pairs or None)
        writer.finish()
        return writer.bytes()


def check(schema, array, full=True):
    c_api.check(Lent(schema, array), full)


def equal(schema, left, right):
    """Where they differ; an empty text when they do not."""
    same, where = c_api.equal(Lent(schema, left), Lent(schema, right))
    return "" if same else where or "they differ, and nothing says where"
