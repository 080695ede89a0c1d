"""Who releases what, and when: producers that fail, that lie, and that count how often they
are released; and how long what we export lives."""

import ctypes
import gc
import random
import threading

import c_api
import numpy as np
import pyarrow as pa

from . import canon, cases, cdata, ours, samples, types, values
from .checks import CHECKS, check
from .interface import (
    Stopped,
    give_back,
    moved,
    nothing_held,
    pull,
    stream_address,
    taken_apart,
)


def number(format=b"i", name=b"a"):
    return types.Field(name, types.Type(types.FIXED, format, 4, detail="integer"))


def struct_of(*fields):
    return types.Field(b"", types.Type(types.STRUCT, b"+s", 0, fields), False)


NUMBERS = struct_of(number(), number(name=b"b"))


def numbers_batch(rows=3, columns=2):
    column = values.Node(rows, 0, 0, [None, np.arange(rows, dtype=np.int32)])
    return values.Node(rows, 0, 0, [None], (column,) * columns)


class Producer:
    """A C stream by callbacks of ours. `schema_error` and `error_at` (a batch's number) make
    it fail, with `message`; `spoil_schema` and `spoil` get a struct before it is handed out."""

    _errors = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
    _fills = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def __init__(
        self,
        batches=3,
        *,
        schema=NUMBERS,
        schema_error=0,
        error_at=None,
        message=b"the dog ate it",
        spoil_schema=None,
        spoil=None,
        make=numbers_batch,
    ):
        self.released = 0
        self.asked = 0
        self.keep = []
        text = ctypes.create_string_buffer(message or b"")

        def get_schema(_, out):
            if schema_error:
                return schema_error
            struct = cdata.export_schema(schema, cdata.Schema.from_address(out))
            if spoil_schema:
                spoil_schema(struct, self.keep)
            return 0

        def get_next(_, out):
            if self.released:
                cdata.FAULTS.append("asked for a batch after release")
            self.asked += 1
            if error_at is not None and self.asked > error_at:
                return 5
            if self.asked > batches:
                cdata.Array.from_address(out)[cdata.RELEASE] = 0
                return 0
            struct = cdata.export_array(make(), cdata.Array.from_address(out))
            if spoil:
                spoil(struct, self.keep)
            return 0

        def get_last_error(_):
            return ctypes.addressof(text) if message is not None else 0

        def release(address):
            self.released += 1
            cdata.Stream.from_address(address)[cdata.STREAM_RELEASE] = 0

        self.callbacks = [
            self._fills(get_schema),
            self._fills(get_next),
            self._errors(get_last_error),
            cdata.Release(release),
        ]
        self.keep += [text]
        self.stream = cdata.Stream()
        self.stream[:] = [
            *(ctypes.cast(each, ctypes.c_void_p).value for each in self.callbacks),
            0,
        ]


class _LoadOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("sink", ctypes.c_char_p),
        ("table", ctypes.c_char_p),
        ("settings", ctypes.c_void_p),
        ("setting_count", ctypes.c_size_t),
        ("must_exist", ctypes.c_bool),
    ]


_load = c_api._Function("load", *[ctypes.c_void_p] * 4)


def load(producer, sink=b"null"):
    """(status, text, rows) of arrowport_load."""
    options = _LoadOptions(ctypes.sizeof(_LoadOptions), sink, b"t", None, 0, False)
    result = (ctypes.c_int64 * 3)()
    error = c_api._Error()
    status = _load(
        ctypes.addressof(producer.stream),
        ctypes.addressof(options),
        ctypes.addressof(result),
        ctypes.addressof(error),
    )
    return c_api._status_name(status).decode(), error.said(), result[0]


def loaded(wanted, *args, **options):
    """Loads what a producer of these options gives; everything is released, once."""
    producer = Producer(*args, **options)
    status, text, rows = load(producer)
    said = f"{status}: {text} ({rows} rows)"
    assert producer.released == 1, f"the stream was released {producer.released} times; {said}"
    assert not cdata.LIVE, f"{len(cdata.LIVE)} structs were not released; {said}"
    assert not cdata.FAULTS, f"{cdata.FAULTS}; {said}"
    if wanted == "OK":
        assert status == "OK", said
    else:
        assert status != "OK" and text, said
        assert wanted in text, said
    return rows


@check("a stream is released once: whole")
def _():
    assert loaded("OK", 3) == 9
    assert loaded("OK", 0) == 0


@check("a stream is released once: get_schema fails")
def _():
    loaded("the dog ate it", schema_error=22)
    loaded("", schema_error=5, message=None)


@check("a stream is released once: get_next fails")
def _():
    for at in range(4):
        loaded("the dog ate it", 5, error_at=at)
    loaded("", 5, error_at=1, message=None)


def _set(at, value):
    def spoil(struct, keep):
        struct[at] = value

    return spoil


def _format(text):
    def spoil(struct, keep):
        keep.append(ctypes.create_string_buffer(text))
        child = ctypes.c_int64.from_address(struct[cdata.S_CHILDREN]).value
        cdata.Schema.from_address(child)[cdata.FORMAT] = ctypes.addressof(keep[-1])

    return spoil


def _child(at, value, layout=cdata.Array, children=cdata.CHILDREN):
    def spoil(struct, keep):
        child = ctypes.c_int64.from_address(struct[children]).value
        layout.from_address(child)[at] = value

    return spoil


BROKEN_SCHEMAS = {
    "no format": _set(cdata.FORMAT, 0),
    "children missing": _set(cdata.S_CHILDREN, 0),
    "negative children": _set(cdata.S_N_CHILDREN, -1),
    "a column of no type": _format(b""),
    "a column of no known type": _format(b"q"),
    "a decimal of no digits": _format(b"d:0,0"),
    "a fixed size that is none": _format(b"w:x"),
    "a list without values": _format(b"+l"),
    "a column without a format": _child(cdata.FORMAT, 0, cdata.Schema, cdata.S_CHILDREN),
}

BROKEN_ARRAYS = {
    "a negative length": _set(cdata.LENGTH, -1),
    "a negative offset": _set(cdata.OFFSET, -1),
    "too many columns": _set(cdata.N_CHILDREN, 3),
    "too few columns": _set(cdata.N_CHILDREN, 1),
    "no columns": _set(cdata.CHILDREN, 0),
    "no buffers": _set(cdata.N_BUFFERS, 0),
    "a short column": _child(cdata.LENGTH, 1),
    "a column of three buffers": _child(cdata.N_BUFFERS, 3),
    "a column of one buffer": _child(cdata.N_BUFFERS, 1),
    "a column without buffers": _child(cdata.BUFFERS, 0),
    "a released column": _child(cdata.RELEASE, 0),
    "more nulls than rows": _child(cdata.NULL_COUNT, 7),
    "a dictionary where there is none": _child(cdata.DICTIONARY, 1),
}

for _name, _spoil in BROKEN_SCHEMAS.items():
    CHECKS[f"a stream is released once: a schema with {_name}"] = lambda spoil=_spoil: loaded(
        "", spoil_schema=spoil
    )


def broken_array(spoil, in_check):
    """arrowport_array_check and arrowport_writer_write refuse what they can see is wrong, and
    leave it to its owner."""
    schema = cdata.export_schema(NUMBERS)
    array = cdata.export_array(numbers_batch())
    before, below = array[:], _below(array)
    spoil(array, [])
    addresses = ctypes.addressof(schema), ctypes.addressof(array)
    try:
        if in_check:
            ours.check(*addresses)
        else:
            ours.write(addresses[0], [addresses[1]])
        refused = None
    except ours.Refused as error:
        refused = error
    array[:] = before
    for child, words in below:
        child[:] = words
    give_back(schema, [array])
    assert refused, "it was believed"
    assert refused.status == "INVALID" and refused.text, refused


def _below(array):
    places = cdata.words(array[cdata.CHILDREN], array[cdata.N_CHILDREN])
    children = [cdata.Array.from_address(place) for place in places]
    return [(child, child[:]) for child in children]


for _name, _spoil in BROKEN_ARRAYS.items():
    CHECKS[f"refused by the check: {_name}"] = lambda spoil=_spoil: broken_array(spoil, True)
    CHECKS[f"refused by the writer: {_name}"] = lambda spoil=_spoil: broken_array(spoil, False)


@check("a stream is released once: a schema that is no struct")
def _():
    loaded("", schema=number())


@check("a stream is released once: a batch of other columns")
def _():
    loaded("", make=lambda: numbers_batch(columns=3))
    loaded("", make=lambda: numbers_batch(columns=1))


@check("a stream is released once: no such sink")
def _():
    producer = Producer()
    status, text, _ = load(producer, b"nosuchsink")
    assert status != "OK" and "nosuchsink" in text, (status, text)
    assert producer.released == 1
    assert not cdata.LIVE


# ---- how long what we export lives --------------------------------------------------------


def sample_bytes():
    """A stream with columns of every shape, in several batches."""
    names = ["int32", "string", "string_view", "list", "struct", "map", "list_of_dictionaries"]
    names += ["dense_union", "runs_int32", "dictionary_of_lists", "fixed_list", "list_view"]
    arrays = [samples.ARRAYS[name].slice(0, 3) for name in names]
    rows = min(map(len, arrays))
    batch = pa.record_batch([array.slice(0, rows) for array in arrays], names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(3):
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


@check("batches outlive their stream")
def _():
    schema, arrays = pull(stream_address(sample_bytes()))
    fields = canon.read_schema(ctypes.addressof(schema))
    assert c_api.held, "the bytes went with the stream"
    contents = [canon.read(fields, ctypes.addressof(array)) for array in arrays]
    cdata.release(schema, cdata.S_RELEASE)
    while arrays:
        assert c_api.held, "the bytes went before the last batch"
        assert canon.read(fields, ctypes.addressof(arrays[-1])) == contents[len(arrays) - 1]
        cdata.release(arrays.pop(), cdata.RELEASE)
    nothing_held()


@check("batches are moved, and released where they are then")
def _():
    schema, arrays = pull(stream_address(sample_bytes()))
    others = [moved(array, cdata.RELEASE) for array in arrays]
    other = moved(schema, cdata.S_RELEASE)
    del arrays, schema
    gc.collect()
    fields = canon.read_schema(ctypes.addressof(other))
    for array in others:
        canon.read(fields, ctypes.addressof(array))
    give_back(other, others)
    nothing_held()


@check("children are moved out, outlive their parent, and are released last")
def _():
    schema, arrays = pull(stream_address(sample_bytes()))
    fields = canon.read_schema(ctypes.addressof(schema))
    children = []
    for array in arrays:
        below = cdata.words(array[cdata.CHILDREN], array[cdata.N_CHILDREN])
        mine = [moved(cdata.Array.from_address(address), cdata.RELEASE) for address in below]
        wanted = [
            canon.read(field, ctypes.addressof(child))
            for field, child in zip(fields[4], mine, strict=True)
        ]
        cdata.release(array, cdata.RELEASE)
        children.append((mine, wanted))
    cdata.release(schema, cdata.S_RELEASE)
    for mine, wanted in children:
        assert c_api.held
        for field, child, pieces in zip(fields[4], mine, wanted, strict=True):
            assert canon.read(field, ctypes.addressof(child)) == pieces
            cdata.release(child, cdata.RELEASE)
    nothing_held()


@check("all children of all depths are moved out, and released in any order")
def _():
    for order in (1, -1):
        schema, arrays = pull(stream_address(sample_bytes()))
        parts = [part for array in arrays for part in taken_apart(array)][::order]
        assert len(parts) > 60, len(parts)
        for part in parts:
            assert c_api.held
            cdata.release(part, cdata.RELEASE)
        cdata.release(schema, cdata.S_RELEASE)
        nothing_held()


@check("a schema's children are moved out")
def _():
    schema, arrays = pull(stream_address(sample_bytes()))
    below = cdata.words(schema[cdata.S_CHILDREN], schema[cdata.S_N_CHILDREN])
    children = [moved(cdata.Schema.from_address(address), cdata.S_RELEASE) for address in below]
    give_back(schema, arrays)
    nothing_held()
    for child in children:
        canon.read_schema(ctypes.addressof(child))
        cdata.release(child, cdata.S_RELEASE)


@check("what we export is released on other threads, many at once")
def _():
    for _ in range(20):
        schema, arrays = pull(stream_address(sample_bytes()))
        parts = [part for array in arrays for part in taken_apart(array)]
        start = threading.Barrier(4)

        def give(mine, start=start):
            start.wait()
            for part in mine:
                cdata.release(part, cdata.RELEASE)

        threads = [threading.Thread(target=give, args=(parts[n::4],)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cdata.release(schema, cdata.S_RELEASE)
        nothing_held()


@check("a stream that was not asked for anything is released")
def _():
    cdata.release(cdata.Stream.from_address(stream_address(sample_bytes())), cdata.STREAM_RELEASE)
    nothing_held()


@check("a stream gives its schema as often as it is asked, and its end too")
def _():
    address = stream_address(sample_bytes())
    stream = cdata.Stream.from_address(address)
    signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    schemas = [cdata.Schema(), cdata.Schema()]
    for schema in schemas:
        assert signature(stream[cdata.GET_SCHEMA])(address, ctypes.addressof(schema)) == 0
    first, second = (canon.read_schema(ctypes.addressof(schema)) for schema in schemas)
    assert first == second
    cdata.release(schemas[0], cdata.S_RELEASE)
    assert canon.read_schema(ctypes.addressof(schemas[1])) == first
    arrays = []
    for _ in range(6):
        arrays.append(cdata.Array())
        assert signature(stream[cdata.GET_NEXT])(address, ctypes.addressof(arrays[-1])) == 0
    assert [bool(array[cdata.RELEASE]) for array in arrays] == [True] * 3 + [False] * 3
    cdata.release(stream, cdata.STREAM_RELEASE)
    give_back(schemas[1], arrays)
    nothing_held()


@check("a stream that breaks says so, and what it gave before lives on")
def _():
    whole = sample_bytes()
    for cut in range(8, len(whole) - 8, 97):
        try:
            address = stream_address(whole[:cut])
        except c_api.ArrowportError as refused:
            assert refused.status == "INVALID" and refused.text
            nothing_held()
            continue
        try:
            schema, arrays = pull(address)
        except Stopped as stopped:
            assert stopped.args[0] > 0 and stopped.args[1], stopped.args
        else:
            give_back(schema, arrays)
            raise AssertionError(f"{cut} of {len(whole)} bytes are a stream")
        nothing_held()


@check("bytes that are no stream are released, once")
def _():
    for data in (b"", b"x", b"\xff" * 100, b"ARROW1\0\0", b"ARROW1\0\0" + bytes(100)):
        try:
            stream_address(data)
        except c_api.ArrowportError as refused:
            assert refused.status == "INVALID", refused
        else:
            raise AssertionError("that is no stream")
        nothing_held()


@check("what the writer is given stays its owner's, whatever comes of it")
def _():
    schema = cdata.export_schema(NUMBERS)
    array = cdata.export_array(numbers_batch())
    live = len(cdata.LIVE)
    addresses = ctypes.addressof(schema), [ctypes.addressof(array)]
    ours.write(*addresses)
    other = cdata.export_schema(struct_of(number(b"l")))
    for wrong in (lambda: ours.write(ctypes.addressof(other), addresses[1]),):
        try:
            wrong()
        except ours.Refused as refused:
            assert refused.status == "INVALID", refused
        else:
            raise AssertionError("a batch of another schema was written")

    def full(_):
        raise OSError("the disk is full")

    try:
        with c_api.Writer(ours.Lent(addresses[0]), write=full) as writer:
            writer.write(ours.Lent(addresses[0], addresses[1][0]))
            writer.finish()
    except ours.Refused as refused:
        assert refused.status == "IO", refused
    else:
        raise AssertionError("nobody noticed that nothing was written")
    cdata.release(other, cdata.S_RELEASE)
    assert len(cdata.LIVE) == live
    give_back(schema, [array])


def sliced(schema, array, offset, rows):
    out, error = cdata.Array(), c_api._Error()
    status = c_api._array_slice(
        *(ctypes.addressof(schema), ctypes.addressof(array), offset, rows),
        *(ctypes.addressof(out), ctypes.addressof(error)),
    )
    return c_api._status_name(status).decode(), out


@check("a slice takes what it is of, or nothing when it fails")
def _():
    schema = cdata.export_schema(NUMBERS)
    array = cdata.export_array(numbers_batch(5))
    live = len(cdata.LIVE)
    for offset, rows in ((6, 0), (0, 6), (-1, 2), (3, -1), (2, 2**62), (2**63 - 1, 1)):
        status, out = sliced(schema, array, offset, rows)
        assert status == "INVALID" and not out[cdata.RELEASE], (status, offset, rows)
        assert len(cdata.LIVE) == live and array[cdata.RELEASE]
    status, out = sliced(schema, array, 1, 3)
    assert status == "OK" and not array[cdata.RELEASE] and out[cdata.RELEASE], status
    ours.check(ctypes.addressof(schema), ctypes.addressof(out))
    status, again = sliced(schema, out, 1, 1)
    assert status == "OK" and not out[cdata.RELEASE]
    assert len(cdata.LIVE) == live
    fields = canon.read_schema(ctypes.addressof(schema))
    two = np.array([2], np.int32).tobytes()
    assert canon.read(fields, ctypes.addressof(again)) == [1, 1, two, 1, two]
    give_back(schema, [again])


@check("a slice's children are moved out of it, and keep what they are of")
def _():
    chance = random.Random(5)
    for _ in range(100):
        data = cases.Data(chance)
        for node, pieces in zip(data.batches, data.values, strict=True):
            schema, array = cdata.export_schema(data.schema), cdata.export_array(node)
            live = len(cdata.LIVE)
            status, out = sliced(schema, array, 0, node.length)
            assert status == "OK", status
            assert canon.read(data.fields, ctypes.addressof(out)) == pieces
            for part in taken_apart(out):
                cdata.release(part, cdata.RELEASE)
            assert len(cdata.LIVE) < live or live == 0
            cdata.release(schema, cdata.S_RELEASE)
        data.close()


def leak():
    """Opens a reader and loses it."""
    schema = cdata.export_schema(NUMBERS)
    data = ours.write(ctypes.addressof(schema), [])
    cdata.release(schema, cdata.S_RELEASE)
    reader = c_api.Reader.memory(data, threads=1)
    reader.handle = None
