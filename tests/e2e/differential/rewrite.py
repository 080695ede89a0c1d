"""Streams of other writers, laid out anew: what pyarrow's writer cannot be asked for.

A message's flatbuffer is changed in place where a number changes, and gets other tables in
front where one has to be added; so this needs to know the tables' slots, but no compiler."""

import struct

import numpy as np

SCHEMA, DICTIONARY_BATCH, RECORD_BATCH = 1, 2, 3
CONTINUATION = 0xFFFFFFFF


def _u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def _slot(data, table, number):
    """Where a table's field lies; None when it has its default."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    if 4 + 2 * number >= size:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else None


def _below(data, table, number):
    """Where the table or vector is that a field points to."""
    at = _slot(data, table, number)
    return None if at is None else at + _u32(data, at)


def _vector(data, at):
    """Where the elements of a vector of tables are."""
    if at is None:
        return []
    places = (at + 4 + 4 * number for number in range(_u32(data, at)))
    return [place + _u32(data, place) for place in places]


class Message:
    """One encapsulated message of a stream, its flatbuffer open to change."""

    def __init__(self, metadata, body):
        self.metadata = bytearray(metadata)
        self.body = body
        root = _u32(self.metadata, 0)
        self.type = self.metadata[_slot(self.metadata, root, 1)]
        self.header = _below(self.metadata, root, 2)

    @property
    def batch(self):
        """The RecordBatch table; in a dictionary batch it is that of the values."""
        if self.type == DICTIONARY_BATCH:
            return _below(self.metadata, self.header, 1)
        return self.header if self.type == RECORD_BATCH else None

    def buffers(self):
        """(where in the flatbuffer, offset, length) of each buffer"""
        at = self.batch and _below(self.metadata, self.batch, 2)
        if not at:
            return []
        places = (at + 4 + 16 * number for number in range(_u32(self.metadata, at)))
        return [(place, *struct.unpack_from("<qq", self.metadata, place)) for place in places]

    def set_body_bytes(self, size):
        at = _slot(self.metadata, _u32(self.metadata, 0), 3)
        struct.pack_into("<q", self.metadata, at, size)


def cut(stream):
    """(messages, whether they begin with the continuation marker)"""
    messages, at, modern = [], 0, _u32(stream, 0) == CONTINUATION
    while at < len(stream):
        at += 4 if modern else 0
        size = _u32(stream, at)
        at += 4
        if size == 0:
            break
        metadata = stream[at : at + size]
        at += size
        place = _slot(metadata, _u32(metadata, 0), 3)
        body_bytes = struct.unpack_from("<q", metadata, place)[0] if place else 0
        messages.append(Message(metadata, stream[at : at + body_bytes]))
        at += body_bytes
    return messages, modern


def joined(messages, modern=True, alignment=8):
    """The stream of the messages; bodies begin at multiples of the alignment."""
    out, size = [], 0
    for message in messages:
        prefix = 8 if modern else 4
        padding = -(size + prefix + len(message.metadata)) % alignment
        metadata = bytes(message.metadata) + bytes(padding)
        head = struct.pack("<I", CONTINUATION) if modern else b""
        out += [head, struct.pack("<I", len(metadata)), metadata, message.body]
        size += prefix + len(metadata) + len(message.body)
    out.append(struct.pack("<II", CONTINUATION, 0) if modern else struct.pack("<I", 0))
    return b"".join(out)


def realigned(stream, alignment, gap):
    """The same stream, each buffer at a multiple of the alignment, and `gap` unused bytes
    (a multiple of it, too) before each."""
    messages, modern = cut(stream)
    for message in messages:
        if not message.body:
            continue
        parts, size = [], 0
        for place, offset, length in message.buffers():
            parts.append(b"\xa5" * gap)
            size += gap
            struct.pack_into("<q", message.metadata, place, size)
            data = message.body[offset : offset + length]
            parts.append(data + bytes(-length % alignment))
            size += len(parts[-1])
        message.body = b"".join(parts)
        message.set_body_bytes(size)
    return joined(messages, modern, alignment)


# ---- byte order -----------------------------------------------------------------------


def _big_schema(message):
    """The schema message with its `endianness` set to big: other Message and Schema tables
    in front of the old ones, whose fields they share."""
    old = message.metadata
    root = _u32(old, 0)
    version = struct.unpack_from("<h", old, _slot(old, root, 0))[0]
    fields, metadata = _below(old, message.header, 1), _below(old, message.header, 2)
    new = bytearray(56)
    struct.pack_into("<I", new, 0, 16)
    struct.pack_into("<HHHHH", new, 4, 10, 12, 4, 6, 8)  # version, type, header
    struct.pack_into("<ihBBI", new, 16, 12, version, SCHEMA, 0, 40 - 24)
    struct.pack_into("<HHHHH", new, 28, 10, 14, 12, 4, 8 if metadata else 0)
    struct.pack_into("<iIIh", new, 40, 12, 56 + fields - 44, 56 + (metadata or 0) - 48, 1)
    return Message(bytes(new + old), b"")


def _swap(data, width):
    usable = len(data) // width * width
    numbers = np.frombuffer(data[:usable], f"V{width}").view(np.uint8).reshape(-1, width)
    return numbers[:, ::-1].tobytes() + data[usable:]


def _swap_views(data):
    views = np.frombuffer(data, np.uint32).reshape(-1, 4).copy()
    long = views[:, 0] > 12
    views[:, 0].byteswap(inplace=True)
    views[long, 2:] = views[long, 2:].byteswap()
    return views.tobytes()


def _swap_parts(widths):
    def swap(data):
        rows = np.frombuffer(data, np.uint8).reshape(-1, sum(widths))
        parts = np.split(rows, np.cumsum(widths)[:-1], axis=1)
        return np.concatenate([part[:, ::-1] for part in parts], axis=1).tobytes()

    return swap


_WIDTHS = {
    **dict.fromkeys((b"s", b"S", b"e"), 2),
    **dict.fromkeys((b"i", b"I", b"f", b"tdD", b"tts", b"ttm", b"tiM"), 4),
    **dict.fromkeys((b"l", b"L", b"g", b"tdm", b"ttu", b"ttn"), 8),
}


def _same(data):
    return data


def _by(width):
    return lambda data: _swap(data, width)


def _swaps(schema, variadic):
    """A function for each buffer of a field, depth first. Field: see canon.read_schema."""
    format, _, _, _, children, _ = schema
    head = format.partition(b":")[0]
    own = {
        b"n": [],
        b"b": [_same, _same],
        b"c": [_same, _same],
        b"C": [_same, _same],
        b"w": [_same, _same],
        b"u": [_same, _by(4), _same],
        b"z": [_same, _by(4), _same],
        b"U": [_same, _by(8), _same],
        b"Z": [_same, _by(8), _same],
        b"tiD": [_same, _swap_parts((4, 4))],
        b"tin": [_same, _swap_parts((4, 4, 8))],
        b"+l": [_same, _by(4)],
        b"+m": [_same, _by(4)],
        b"+L": [_same, _by(8)],
        b"+vl": [_same, _by(4), _by(4)],
        b"+vL": [_same, _by(8), _by(8)],
        b"+s": [_same],
        b"+w": [_same],
        b"+us": [_same],
        b"+ud": [_same, _by(4)],
        b"+r": [],
    }
    if head in own:
        yield from own[head]
    elif head in (b"vu", b"vz"):
        yield from [_same, _swap_views] + [_same] * next(variadic)
    elif head == b"d":
        parts = format[2:].split(b",")
        yield from [_same, _by((int(parts[2]) if len(parts) == 3 else 128) // 8)]
    elif head in _WIDTHS:
        yield from [_same, _by(_WIDTHS[head])]
    else:  # timestamps and durations
        yield from [_same, _by(8)]
    if not schema[5]:  # a dictionary's indices have no children
        for child in children:
            yield from _swaps(child, variadic)


def _dictionaries(message, tables, schemas, found):
    """The schema of the values of each dictionary id."""
    for table, schema in zip(tables, schemas, strict=True):
        encoding = _below(message.metadata, table, 4)
        if encoding is not None:
            at = _slot(message.metadata, encoding, 0)
            found[struct.unpack_from("<q", message.metadata, at)[0] if at else 0] = schema[5]
            schema = schema[5]
        children = _vector(message.metadata, _below(message.metadata, table, 5))
        _dictionaries(message, children, schema[4], found)
    return found


def big_endian(stream, schema):
    """The stream as a big-endian writer would have written it; not for compressed ones, nor
    for V4 ones with unions. `schema`: see canon.read_schema."""
    messages, modern = cut(stream)
    fields = _vector(messages[0].metadata, _below(messages[0].metadata, messages[0].header, 1))
    dictionaries = _dictionaries(messages[0], fields, schema[4], {})
    for message in messages[1:]:
        data = message.metadata
        at = _below(data, message.batch, 4)
        variadic = iter(np.frombuffer(data, "<i8", _u32(data, at), at + 4) if at else ())
        if message.type == DICTIONARY_BATCH:
            at = _slot(data, message.header, 0)
            of = [dictionaries[struct.unpack_from("<q", data, at)[0] if at else 0]]
        else:
            of = schema[4]
        swaps = [swap for field in of for swap in _swaps(field, variadic)]
        body = bytearray(message.body)
        for swap, (_, offset, length) in zip(swaps, message.buffers(), strict=True):
            body[offset : offset + length] = swap(bytes(body[offset : offset + length]))
        message.body = bytes(body)
    return joined([_big_schema(messages[0]), *messages[1:]], modern)


# ---- damage ---------------------------------------------------------------------------


def _damaged_byte(chance, byte):
    return chance.choice(
        (byte ^ 1 << chance.randrange(8), byte + 1 & 255, byte - 1 & 255, 0, 255, 127, 128)
    )


def damaged(chance, data):
    """The bytes with a few changed (numbers of the metadata more often than values), some
    taken out, or some there twice."""
    data = bytearray(data)
    draw = chance.random()
    if draw < 0.1:
        return bytes(data[: chance.randrange(len(data))])
    if draw < 0.2:
        begin = chance.randrange(len(data))
        end = min(len(data), begin + chance.choice((1, 4, 8, 64, 500)))
        return bytes(data[:begin] + data[begin:end] * chance.choice((0, 2)) + data[end:])
    spots = [0, chance.randrange(len(data))]
    spots += [at for at in _metadata_spots(data)] * 2
    for _ in range(chance.randint(1, 8)):
        at = chance.choice(spots) + chance.randrange(300)
        if at < len(data):
            data[at] = _damaged_byte(chance, data[at])
    return bytes(data)


def _metadata_spots(data):
    """Where metadata seems to begin: behind each continuation marker."""
    at, found = 0, []
    while (at := data.find(b"\xff\xff\xff\xff", at)) >= 0 and len(found) < 50:
        found.append(at)
        at += 4
    return found
