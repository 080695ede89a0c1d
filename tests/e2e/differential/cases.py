"""The cases. Each kind is a function of a random.Random; it returns when all held, and
raises otherwise. What a peer cannot do is left out here, by name and nowhere else."""

import contextlib
import ctypes
import io

import nanoarrow as na
import nanoarrow.ipc
import pyarrow as pa

from . import canon, cdata, ours, rewrite, types, values

V4, V5 = pa.ipc.MetadataVersion.V4, pa.ipc.MetadataVersion.V5
COMPRESSIONS = (None, None, "lz4", "zstd")


class Data:
    """A schema, batches of it, and what they hold: what every peer has to agree with."""

    def __init__(self, chance, schema=None, batches=None, **options):
        self.schema = schema or types.random_schema(chance)
        if batches is None:
            batches = values.random_batches(chance, self.schema, **options)
        self.batches = batches
        self._schema = cdata.export_schema(self.schema)
        self._batches = [cdata.export_array(batch) for batch in self.batches]
        self.fields = canon.read_schema(self.schema_address)
        self.values = [canon.read(self.fields, address) for address in self.batch_addresses]
        self.kinds = {kind.kind for kind in types.walk(self.schema.type)}

    @property
    def schema_address(self):
        return ctypes.addressof(self._schema)

    @property
    def batch_addresses(self):
        return [ctypes.addressof(batch) for batch in self._batches]

    def close(self):
        for batch in self._batches:
            cdata.release(batch, cdata.RELEASE)
        cdata.release(self._schema, cdata.S_RELEASE)

    def to_pyarrow(self):
        """(schema, record batches), which pyarrow wants without an offset."""
        struct = cdata.export_schema(self.schema)
        schema = pa.Schema._import_from_c(ctypes.addressof(struct))
        arrays = [cdata.export_array(values.without_offset(batch)) for batch in self.batches]
        return schema, [
            pa.RecordBatch._import_from_c(ctypes.addressof(array), schema) for array in arrays
        ]


def same_schema(found, expected, who):
    if found != expected:
        raise AssertionError(f"{who}: schema {found} instead of {expected}")


def same_values(found, expected, who):
    if len(found) != len(expected):
        raise AssertionError(f"{who}: {len(found)} batches instead of {len(expected)}")
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one != other:
            at = next(
                (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
                min(len(one), len(other)),
            )
            raise AssertionError(
                f"{who}: batch {number}, piece {at}: {one[at : at + 1]} instead of "
                f"{other[at : at + 1]}"
            )


# ---- pyarrow --------------------------------------------------------------------------


def pyarrow_writes(data, chance, *, file, deltas, compression=None, legacy=False, v4=False):
    """(bytes, the custom metadata of each batch)"""
    schema, batches = data.to_pyarrow()
    options = pa.ipc.IpcWriteOptions(
        metadata_version=V4 if v4 else V5,
        compression=compression,
        use_legacy_format=legacy,
        emit_dictionary_deltas=deltas,
        use_threads=False,
    )
    sink = pa.BufferOutputStream()
    metadata = []
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(sink, schema, options=options) as writer:
        for batch in batches:
            metadata.append(types.random_metadata(chance) if chance.random() < 0.2 else ())
            writer.write_batch(batch, dict(metadata[-1]) if metadata[-1] else None)
    return sink.getvalue().to_pybytes(), [tuple(sorted(pairs)) for pairs in metadata]


# Values that a type cannot have, but its bytes can: pyarrow's full validation looks at
# them, ours does not.
OUT_OF_RANGE = (
    "does not fit in precision",
    "does not represent a whole number of days",
    "is not within the acceptable range",
)


def validate_but_for_ranges(batch):
    batch.validate()
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as invalid:
        if not any(reason in str(invalid) for reason in OUT_OF_RANGE):
            raise


def pyarrow_reads(stream, file, ranges=True):
    """(fields, values, metadata), everything validated by pyarrow; without `ranges`, values
    may be outside what their type allows"""
    if file:
        reader = pa.ipc.open_file(stream)
        pairs = [reader.get_batch_with_custom_metadata(n) for n in range(reader.num_record_batches)]
    else:
        reader = pa.ipc.open_stream(stream)
        pairs = list(reader.iter_batches_with_custom_metadata())
    schema = cdata.Schema()
    reader.schema._export_to_c(ctypes.addressof(schema))
    fields = canon.read_schema(ctypes.addressof(schema))
    cdata.release(schema, cdata.S_RELEASE)
    found = []
    for batch, _ in pairs:
        if ranges:
            batch.validate(full=True)
        else:
            validate_but_for_ranges(batch)
        array = cdata.Array()
        batch._export_to_c(ctypes.addressof(array))
        found.append(canon.read(fields, ctypes.addressof(array)))
        cdata.release(array, cdata.RELEASE)
    metadata = [tuple(sorted(dict(pairs or {}).items())) for _, pairs in pairs]
    return fields, found, metadata


def pyarrow_validates(received, full=True):
    """Moves what we gave into pyarrow."""
    schema = pa.Schema._import_from_c(received.schema)
    for address in received.batches:
        pa.RecordBatch._import_from_c(address, schema).validate(full=full)


def we_read(stream, steps=None, **options):
    """(fields, values, metadata), checked by ourselves and by pyarrow"""
    received = ours.read(stream, steps, **options)
    try:
        fields = canon.read_schema(received.schema)
        found = [canon.read(fields, address) for address in received.batches]
        for address in received.batches:
            ours.check(received.schema, address)
        pyarrow_validates(received)
    finally:
        received.release()
    return fields, found, received.metadata


def _steps(chance):
    """How many bytes at a time a stream comes; None: it is in memory."""
    return chance.choice((None, None, None, None, 7, 100, 4096))


def as_pyarrow_wrote(data, found, stream, file):
    """What a stream of pyarrow's holds: `data`'s values, but where it took a dictionary for
    the one before it. It compares them by ==, for which -0.0 is 0.0, so that a new dictionary
    which differs in that alone is never sent. Then it is what pyarrow reads itself."""
    if found == data.values or not any(
        kind.kind == types.DICTIONARY and any(map(types.is_float, types.walk(kind.value.type)))
        for kind in types.walk(data.schema.type)
    ):
        return data.values
    return pyarrow_reads(stream, file, ranges=False)[1]


# ---- the kinds ------------------------------------------------------------------------


def case_read(chance):
    """pyarrow writes, we read."""
    file = chance.random() < 0.4
    deltas = chance.random() < 0.5
    v4 = chance.random() < 0.25
    # V4 had no compression; pyarrow writes it all the same, and then cannot read it.
    compression = None if v4 else chance.choice(COMPRESSIONS)
    legacy = not file and chance.random() < 0.2
    data = Data(chance, replace=not file, grow=not file or deltas)
    try:
        stream, metadata = pyarrow_writes(
            data,
            chance,
            **dict(file=file, deltas=deltas, compression=compression, legacy=legacy, v4=v4),
        )
        if not file and chance.random() < 0.3:
            alignment = chance.choice((8, 64))
            stream = rewrite.realigned(stream, alignment, chance.choice((0, alignment)))
        steps = None if file else _steps(chance)
        threads = chance.choice((1, 1, 1, 2))
        fields, found, received = we_read(stream, steps, threads=threads)
        same_schema(fields, canon.as_pyarrow(data.fields), "read from pyarrow")
        same_values(found, as_pyarrow_wrote(data, found, stream, file), "read from pyarrow")
        assert received == metadata, f"metadata {received} instead of {metadata}"
    finally:
        data.close()


def pyarrow_can_append(type):
    """Whether pyarrow can read deltas: not of dictionaries with extension types in them."""
    return not any(
        kind.kind == types.DICTIONARY and any(map(_is_extension, _fields(kind.value.type)))
        for kind in types.walk(type)
    )


def _fields(type):
    for field in type.fields:
        yield field
        yield from _fields(field.type)


def _is_extension(field):
    return dict(field.metadata).get(cdata.EXTENSION) in cdata.EXTENSIONS


def case_write(chance):
    """We write, pyarrow reads."""
    file = chance.random() < 0.4
    schema = types.random_schema(chance)
    data = Data(chance, schema, replace=not file, grow=pyarrow_can_append(schema.type))
    try:
        metadata = [types.random_metadata(chance) for _ in data.batches]
        stream = we_write(data, chance, file, metadata)
        fields, found, received = pyarrow_reads(stream, file)
        same_schema(fields, canon.as_pyarrow(data.fields), "read by pyarrow")
        same_values(found, data.values, "read by pyarrow")
        metadata = [tuple(sorted(pairs)) for pairs in metadata]
        assert received == metadata, f"metadata {received} instead of {metadata}"
    finally:
        data.close()


def we_write(data, chance, file=False, metadata=()):
    compression = chance.choice(COMPRESSIONS)
    levels = {None: (0,), "lz4": (0, 1, 3, 9, 12), "zstd": (0, 1, 3, 9)}
    return ours.write(
        data.schema_address,
        data.batch_addresses,
        metadata,
        format="file" if file else "stream",
        compression=compression,
        level=chance.choice(levels[compression]),
        dictionary_deltas=chance.random() < 0.5,
        threads=chance.choice((1, 1, 1, 2)),
    )


def nanoarrow_can(type):
    """Whether nanoarrow 0.9 can read the type: no views, list views or runs, no fixed-size
    binary of 0 bytes, no dictionary of unions (which it takes for those of V4)."""
    below = list(types.walk(type))
    if type.kind == types.DICTIONARY and any(kind.kind == types.UNION for kind in below):
        return False
    return all(
        kind.kind not in (types.VIEW, types.LIST_VIEW, types.RUNS)
        and (kind.kind != types.DICTIONARY or kind is type or nanoarrow_can(kind))
        and kind.format != b"w:0"
        for kind in below
    )


def schema_for(can, chance):
    """A random schema that somebody can read."""
    while True:
        schema = types.random_schema(chance)
        if can(schema.type):
            return schema


def as_nanoarrow(schema):
    """What nanoarrow leaves of a schema: where there is a dictionary, there may be nulls."""
    format, name, flags, metadata, children, dictionary = schema
    children = tuple(as_nanoarrow(child) for child in children)
    if dictionary:
        flags |= cdata.NULLABLE
    return format, name, flags, metadata, children, dictionary and as_nanoarrow(dictionary)


def case_nanoarrow_reads(chance):
    """We write, nanoarrow reads."""
    data = Data(chance, schema_for(nanoarrow_can, chance))
    try:
        if types.DICTIONARY in data.kinds:  # of which it knows neither compressed ones nor deltas
            stream = ours.write(data.schema_address, data.batch_addresses)
        else:
            stream = we_write(data, chance)
        found = []
        source = na.c_array_stream(nanoarrow.ipc.InputStream.from_readable(io.BytesIO(stream)))
        schema = source.get_schema()
        fields = canon.read_schema(schema._addr())
        for array in source:
            found.append(canon.read(fields, array._addr()))
        same_schema(fields, as_nanoarrow(data.fields), "read by nanoarrow")
        same_values(found, data.values, "read by nanoarrow")
    finally:
        data.close()


def case_nanoarrow_writes(chance):
    """nanoarrow, which has no dictionaries and no offsets to write, writes, we read."""

    def can(type):
        below = list(types.walk(type))
        return nanoarrow_can(type) and all(kind.kind != types.DICTIONARY for kind in below)

    data = Data(chance, schema_for(can, chance), offsets=False)
    try:
        out = io.BytesIO()
        schema, batches = data.to_pyarrow()
        with nanoarrow.ipc.StreamWriter.from_writable(out) as writer:
            writer.write_stream(pa.RecordBatchReader.from_batches(schema, batches))
        fields, found, _ = we_read(out.getvalue(), _steps(chance))
        same_schema(fields, canon.as_pyarrow(data.fields), "read from nanoarrow")
        same_values(found, data.values, "read from nanoarrow")
    finally:
        data.close()


def case_big_endian(chance):
    """A big-endian machine writes, we read."""
    data = Data(chance)
    try:
        stream, _ = pyarrow_writes(data, chance, file=False, deltas=chance.random() < 0.5)
        fields, found, _ = we_read(rewrite.big_endian(stream, data.fields), _steps(chance))
        same_schema(fields, canon.as_pyarrow(data.fields), "read from big-endian")
        same_values(found, as_pyarrow_wrote(data, found, stream, False), "read from big-endian")
    finally:
        data.close()


def case_equal(chance):
    """We write, we read, and find all equal; and what was changed, where it shows."""
    file = chance.random() < 0.4
    data = Data(chance, replace=not file)
    changed = None
    try:
        for address in data.batch_addresses:
            ours.check(data.schema_address, address)
        received = ours.read(we_write(data, chance, file), None if file else _steps(chance))
        try:
            same_schema(canon.read_schema(received.schema), data.fields, "read by ourselves")
            found = [canon.read(data.fields, address) for address in received.batches]
            same_values(found, data.values, "read by ourselves")
            for one, other in zip(data.batch_addresses, received.batches, strict=True):
                difference = ours.equal(data.schema_address, one, other)
                assert not difference, f"our equality: {difference}"
            changed = Data(chance, data.schema, [_changed(chance, b, data) for b in data.batches])
            for number, (one, other) in enumerate(
                zip(received.batches, changed.batch_addresses, strict=True)
            ):
                difference = ours.equal(data.schema_address, one, other)
                same = data.values[number] == changed.values[number]
                assert same == (not difference), f"equal: {same}, but ours: {difference!r}"
        finally:
            received.release()
    finally:
        data.close()
        if changed:
            changed.close()


def _changed(chance, batch, data):
    """A copy of the batch in which one bit of a value or a validity differs."""
    spots = []
    copy = _copied(batch, data.schema.type, spots)
    if spots:
        buffers, number = chance.choice(spots)
        bytes_ = bytearray(bytes(buffers[number]))
        at = chance.randrange(max(1, len(bytes_)))
        if bytes_:
            bytes_[at] ^= 1 << chance.randrange(8)
        buffers[number] = bytes(bytes_) or b"\0"
    return copy


def _copied(node, type, spots):
    """`spots`: buffers where any bit may change and the array is still one."""
    copy = values.Node(node.length, node.null_count, node.offset, list(node.buffers))
    run_ends = type.fields[0] if type.kind == types.RUNS else None
    copy.children = tuple(
        # The ends of runs have to rise: nothing may change there.
        _copied(child, field.type, [] if field is run_ends else spots)
        for child, field in zip(node.children, type.fields, strict=True)
    )
    if node.dictionary:
        copy.dictionary = _copied(node.dictionary, type.value.type, spots)
    nullable = type.kind not in (types.NULL, types.UNION, types.RUNS)
    if nullable and node.buffers[0] is not None and type.kind != types.DICTIONARY:
        spots.append((copy.buffers, 0))
        copy.null_count = -1
    if type.kind in (types.BOOL, types.FIXED):
        spots += [(copy.buffers, 1)] * 3
    if type.kind == types.BINARY and type.detail == "bytes":
        spots += [(copy.buffers, 2)] * 3
    return copy


def case_damaged(chance):
    """What was written is damaged: it is refused, or what is read of it is sound."""
    file = chance.random() < 0.3
    data = Data(chance, replace=not file)
    try:
        if chance.random() < 0.5:
            stream = we_write(data, chance, file)
        else:
            deltas = file or chance.random() < 0.5
            compression = chance.choice(COMPRESSIONS)
            stream, _ = pyarrow_writes(
                data, chance, file=file, deltas=deltas, compression=compression
            )
    finally:
        data.close()
    stream = rewrite.damaged(chance, stream)
    try:
        received = ours.read(stream, None if file else _steps(chance))
    except ours.Refused as refused:
        assert refused.status in ("INVALID", "UNSUPPORTED", "TOO_LARGE"), refused
        assert str(refused), "refused without a word"
        return
    try:
        fields = canon.read_schema(received.schema)
        for address in received.batches:
            ours.check(received.schema, address)
            with contextlib.suppress(canon.TooLong):
                canon.read(fields, address)
        _validates_but_for_ranges(received)
    finally:
        received.release()


def _validates_but_for_ranges(received):
    try:
        schema = pa.Schema._import_from_c(received.schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return
    for address in received.batches:
        validate_but_for_ranges(pa.RecordBatch._import_from_c(address, schema))
