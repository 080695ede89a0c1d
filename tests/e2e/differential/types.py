"""Random schemas of every Arrow type.

A Type knows its format string, as the C data interface writes it, and what values.py
needs to make arrays of it."""

INDICES = (b"c", b"C", b"s", b"S", b"i", b"I", b"l", b"L")
WIDTHS = {b"c": 1, b"C": 1, b"s": 2, b"S": 2, b"i": 4, b"I": 4, b"l": 8, b"L": 8}
INTEGERS = tuple(WIDTHS)
FLOATS = {b"e": 2, b"f": 4, b"g": 8}
ZONES = (b"", b"UTC", b"Europe/Zurich", b"+07:30", b"America/Argentina/Buenos_Aires")
NAMES = ("", "a", "a", "b", "item", "id", "größe", "列", "n" * 70, "a.b c")
ORDERED, SORTED = 1, 4

# What arrays of a type are made of.
NULL, BOOL, FIXED, BINARY, VIEW, LIST, LIST_VIEW, FIXED_LIST, STRUCT, MAP = range(10)
UNION, DICTIONARY, RUNS = range(10, 13)


class Type:
    __slots__ = ("kind", "format", "width", "fields", "value", "flags", "detail")

    def __init__(self, kind, format, width=0, fields=(), value=None, flags=0, detail=None):
        self.kind = kind
        self.format = format
        self.width = width  # bytes of a value, of an offset or of an index
        self.fields = fields
        self.value = value  # of a dictionary: a Field, only its type matters
        self.flags = flags
        self.detail = detail  # what the values are drawn by


class Field:
    __slots__ = ("name", "type", "nullable", "metadata")

    def __init__(self, name, type, nullable=True, metadata=()):
        self.name = name
        self.type = type
        self.nullable = nullable
        self.metadata = metadata


# ---- types without children -------------------------------------------------------


def _integer(chance):
    code = chance.choice(INTEGERS)
    return Type(FIXED, code, WIDTHS[code], detail="integer")


def _float(chance):
    code = chance.choice(tuple(FLOATS))
    return Type(FIXED, code, FLOATS[code], detail="float")


def _decimal(chance):
    bits, most = chance.choice(((32, 9), (64, 18), (128, 38), (256, 76)))
    precision = chance.choice((1, most, chance.randint(1, most)))
    scale = chance.randint(-3, precision)
    format = b"d:%d,%d" % (precision, scale)
    if bits != 128:
        format += b",%d" % bits
    return Type(FIXED, format, bits // 8, detail=("decimal", precision))


def _day_or_time(chance):
    format, width, most, unit = chance.choice(
        (
            (b"tdD", 4, 0, 1),
            (b"tdm", 8, 0, 86_400_000),
            (b"tts", 4, 86_400, 1),
            (b"ttm", 4, 86_400_000, 1),
            (b"ttu", 8, 86_400_000_000, 1),
            (b"ttn", 8, 86_400_000_000_000, 1),
        )
    )
    return Type(FIXED, format, width, detail=("clock", most, unit))


def _timestamp(chance):
    format = b"ts" + chance.choice((b"s", b"m", b"u", b"n")) + b":" + chance.choice(ZONES)
    return Type(FIXED, format, 8, detail="integer")


def _duration(chance):
    return Type(FIXED, b"tD" + chance.choice((b"s", b"m", b"u", b"n")), 8, detail="integer")


def _interval(chance):
    format, width = chance.choice(((b"tiM", 4), (b"tiD", 8), (b"tin", 16)))
    return Type(FIXED, format, width, detail="bytes")


def _fixed_binary(chance):
    width = chance.choice((0, 1, 3, 7, 16, 40))
    return Type(FIXED, b"w:%d" % width, width, detail="bytes")


def _binary(chance):
    format, width = chance.choice(((b"u", 4), (b"u", 4), (b"z", 4), (b"U", 8), (b"Z", 8)))
    return Type(BINARY, format, width, detail="text" if format in b"uU" else "bytes")


def _view(chance):
    format = chance.choice((b"vu", b"vz"))
    return Type(VIEW, format, 16, detail="text" if format == b"vu" else "bytes")


LEAVES = (
    (lambda _: Type(NULL, b"n"), 1),
    (lambda _: Type(BOOL, b"b"), 2),
    (_integer, 4),
    (_float, 3),
    (_decimal, 3),
    (_day_or_time, 2),
    (_timestamp, 2),
    (_duration, 1),
    (_interval, 1),
    (_fixed_binary, 1),
    (_binary, 5),
    (_view, 3),
)

# ---- types with children ----------------------------------------------------------


def _list(chance, depth):
    format, width = chance.choice(((b"+l", 4), (b"+L", 8)))
    return Type(LIST, format, width, (_field(chance, depth, b"item"),))


def _list_view(chance, depth):
    format, width = chance.choice(((b"+vl", 4), (b"+vL", 8)))
    return Type(LIST_VIEW, format, width, (_field(chance, depth, b"item"),))


def _fixed_list(chance, depth):
    width = chance.choice((0, 1, 2, 3))
    return Type(FIXED_LIST, b"+w:%d" % width, width, (_field(chance, depth, b"item"),))


def _struct(chance, depth):
    count = chance.choice((0, 1, 1, 2, 2, 3))
    return Type(STRUCT, b"+s", 0, tuple(_field(chance, depth) for _ in range(count)))


def _map(chance, depth):
    key = Field(b"key", chance.choice((_binary, _integer, _fixed_binary))(chance), False)
    value = _field(chance, depth, b"value")
    entries = Field(b"entries", Type(STRUCT, b"+s", 0, (key, value)), False)
    return Type(MAP, b"+m", 4, (entries,), flags=chance.choice((0, SORTED)))


def _union(chance, depth):
    count = chance.choice((1, 2, 2, 3))
    codes = chance.choice((range(count), chance.sample(range(128), count)))
    dense = chance.random() < 0.5
    format = (b"+ud:" if dense else b"+us:") + b",".join(b"%d" % code for code in codes)
    fields = tuple(_field(chance, depth) for _ in range(count))
    return Type(UNION, format, 4 if dense else 0, fields, detail=tuple(codes))


def _dictionary(chance, depth):
    index = chance.choice(INDICES)
    value = Field(b"", _type(chance, depth))
    while value.type.kind == DICTIONARY:  # a Field of the IPC format cannot say it
        value = Field(b"", _type(chance, depth))
    flags = chance.choice((0, 0, ORDERED))
    return Type(DICTIONARY, index, WIDTHS[index], value=value, flags=flags)


def _runs(chance, depth):
    code = chance.choice((b"s", b"i", b"l"))
    ends = Field(b"run_ends", Type(FIXED, code, WIDTHS[code], detail="integer"), False)
    values = _field(chance, depth, b"values")
    while values.type.kind == RUNS:  # runs of runs are nobody's
        values = _field(chance, depth, b"values")
    return Type(RUNS, b"+r", 0, (ends, values))


NESTED = (
    (_list, 3),
    (_list_view, 2),
    (_fixed_list, 2),
    (_struct, 3),
    (_map, 2),
    (_union, 3),
    (_dictionary, 5),
    (_runs, 2),
)

_LEAF_MAKERS, _LEAF_WEIGHTS = zip(*LEAVES, strict=True)
_NESTED_MAKERS, _NESTED_WEIGHTS = zip(*NESTED, strict=True)


def _type(chance, depth):
    if depth > 0 and chance.random() < 0.45:
        return chance.choices(_NESTED_MAKERS, _NESTED_WEIGHTS)[0](chance, depth - 1)
    return chance.choices(_LEAF_MAKERS, _LEAF_WEIGHTS)[0](chance)


def random_metadata(chance):
    pairs = []
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        key = chance.choice((b"", b"k", b"key", "schlüssel".encode(), b"x" * 40))
        if key not in (known for known, _ in pairs):
            pairs.append((key, chance.choice((b"", b"v", "wert: ß".encode(), b"y" * 300))))
    if chance.random() < 0.4:
        pairs.append((b"ARROW:extension:name", b"arrowport.test"))
        pairs.append((b"ARROW:extension:metadata", chance.choice((b"", b'{"a": 1}'))))
    return tuple(pairs)


# Extension types that implementations know, and what stores them.
EXTENSIONS = (
    (b"arrow.uuid", b"", lambda _: Type(FIXED, b"w:16", 16, detail="bytes")),
    (b"arrow.bool8", b"", lambda _: Type(FIXED, b"c", 1, detail="integer")),
    (b"arrow.json", b"", lambda _: Type(BINARY, b"u", 4, detail="text")),
)


def _field(chance, depth, name=None):
    draw = chance.random()
    if name is None or draw < 0.1:
        name = chance.choice(NAMES).encode()
    if draw < 0.02:
        known, parameters, storage = chance.choice(EXTENSIONS)
        metadata = ((b"ARROW:extension:metadata", parameters), (b"ARROW:extension:name", known))
        return Field(name, storage(chance), True, metadata)
    metadata = random_metadata(chance) if draw > 0.9 else ()
    kind = _type(chance, depth)
    return Field(name, kind, chance.random() > 0.1 or kind.kind == NULL, metadata)


def random_schema(chance):
    """A struct's Field whose children are the columns."""
    count = chance.choice((0, 1, 1, 2, 2, 3, 3, 4, 6))
    columns = tuple(_field(chance, 2) for _ in range(count))
    metadata = random_metadata(chance) if chance.random() < 0.2 else ()
    return Field(b"", Type(STRUCT, b"+s", 0, columns), False, metadata)


def is_float(type):
    return type.format in FLOATS


def walk(type):
    """The type and all below it, dictionaries' values too."""
    yield type
    for field in type.fields:
        yield from walk(field.type)
    if type.value:
        yield from walk(type.value.type)
