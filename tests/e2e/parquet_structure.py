"""A Parquet file taken apart byte by byte: footer, page headers, indexes, and whether they
say the same of the same bytes. An own reader of the Thrift compact protocol, since no
library shows all of it. What it says of values is checked by parquet_levels.

Fields keep the numbers of parquet.thrift; what tests look at has a name here."""

import dataclasses
import struct
import zlib

ENCODINGS = {
    0: "PLAIN",
    3: "RLE",
    5: "DELTA_BINARY_PACKED",
    6: "DELTA_LENGTH_BYTE_ARRAY",
    7: "DELTA_BYTE_ARRAY",
    8: "RLE_DICTIONARY",
    9: "BYTE_STREAM_SPLIT",
}
BOOLEAN, INT32, INT64, FLOAT, DOUBLE, BYTE_ARRAY, FIXED = 0, 1, 2, 4, 5, 6, 7


class Thrift:
    """Structs of the compact protocol as dictionaries by field number."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def _varint(self):
        number = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def _zigzag(self):
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _value(self, kind, in_list):
        if kind in (1, 2):
            if not in_list:
                return kind == 1
            self.at += 1
            return self.data[self.at - 1] == 1
        if kind == 3:
            self.at += 1
            return struct.unpack_from("b", self.data, self.at - 1)[0]
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            self.at += 8
            return struct.unpack_from("<d", self.data, self.at - 8)[0]
        if kind == 8:
            length = self._varint()
            self.at += length
            assert self.at <= len(self.data)
            return bytes(self.data[self.at - length : self.at])
        if kind in (9, 10):
            head = self.data[self.at]
            self.at += 1
            count = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15, True) for _ in range(count)]
        assert kind == 12, f"Thrift type {kind} at {self.at}"
        return self.struct()

    def struct(self):
        fields, field = {}, 0
        while True:
            head = self.data[self.at]
            self.at += 1
            if head == 0:
                return fields
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            assert field not in fields
            fields[field] = self._value(head & 15, False)


@dataclasses.dataclass
class Leaf:
    path: list
    type: int
    type_length: int
    max_def: int
    max_rep: int
    element: dict


@dataclasses.dataclass
class Page:
    offset: int
    header: dict
    header_bytes: int
    body: bytes

    @property
    def kind(self):
        return self.header[1]

    @property
    def size(self):
        return self.header_bytes + len(self.body)

    @property
    def data_header(self):
        return self.header.get(5) or self.header.get(8)

    @property
    def values(self):
        return self.data_header[1]

    @property
    def encoding(self):
        return ENCODINGS[self.data_header[4] if 8 in self.header else self.data_header[2]]


@dataclasses.dataclass
class Chunk:
    leaf: Leaf
    fields: dict  # ColumnChunk
    rows: int
    dictionary: Page | None
    pages: list
    offset_index: dict | None
    column_index: dict | None
    bloom: tuple | None  # (header, bitset)

    @property
    def metadata(self):
        return self.fields[3]

    @property
    def statistics(self):
        return self.metadata.get(12)

    @property
    def first_rows(self):
        return [location[3] for location in self.offset_index[1]]


def _leaves(elements):
    leaves, at = [], 1

    def walk(path, max_def, max_rep):
        nonlocal at
        element = elements[at]
        at += 1
        max_def += element[3] != 0
        max_rep += element[3] == 2
        path = [*path, element[4].decode()]
        if element.get(5):
            for _ in range(element[5]):
                walk(path, max_def, max_rep)
        else:
            leaves.append(Leaf(path, element[1], element.get(2, 0), max_def, max_rep, element))

    for _ in range(elements[0].get(5, 0)):
        walk([], 0, 0)
    assert at == len(elements)
    return leaves


class File:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        data = self.data
        assert data[:4] == data[-4:] == b"PAR1"
        length = struct.unpack("<I", data[-8:-4])[0]
        self.footer_offset = len(data) - 8 - length
        reader = Thrift(data, self.footer_offset)
        self.footer = reader.struct()
        assert reader.at == len(data) - 8
        self.ranges = [(0, 4, "magic"), (self.footer_offset, len(data), "footer")]
        self.leaves = _leaves(self.footer[2])
        self.groups = [self._group(group) for group in self.footer[4]]

    @property
    def key_values(self):
        return {pair[1].decode(): pair.get(2) for pair in self.footer.get(5, [])}

    def _struct(self, offset, length, what):
        reader = Thrift(self.data, offset)
        made = reader.struct()
        assert reader.at == offset + length, what
        self.ranges.append((offset, offset + length, what))
        return made

    def _page(self, at):
        reader = Thrift(self.data, at)
        header = reader.struct()
        body = self.data[reader.at : reader.at + header[3]]
        assert len(body) == header[3]
        return Page(at, header, reader.at - at, body)

    def _group(self, group):
        return [
            self._chunk(fields, leaf, group[3])
            for fields, leaf in zip(group[1], self.leaves, strict=True)
        ]

    def _chunk(self, fields, leaf, rows):
        metadata = fields[3]
        start = at = metadata.get(11, metadata[9])
        end = at + metadata[7]
        dictionary, pages = None, []
        while at < end:
            page = self._page(at)
            if page.kind == 2:
                assert dictionary is None and not pages, "a dictionary page comes first"
                dictionary = page
            else:
                pages.append(page)
            at += page.size
        assert at == end
        if end > start:
            self.ranges.append((start, end, f"pages of {leaf.path}"))
        offset_index = column_index = bloom = None
        if 4 in fields:
            offset_index = self._struct(fields[4], fields[5], f"offset index of {leaf.path}")
        if 6 in fields:
            column_index = self._struct(fields[6], fields[7], f"column index of {leaf.path}")
        if 14 in metadata:
            bloom = self._bloom(metadata, leaf)
        return Chunk(leaf, fields, rows, dictionary, pages, offset_index, column_index, bloom)

    def _bloom(self, metadata, leaf):
        reader = Thrift(self.data, metadata[14])
        header = reader.struct()
        end = reader.at + header[1]
        assert metadata[15] == end - metadata[14]
        self.ranges.append((metadata[14], end, f"Bloom filter of {leaf.path}"))
        return header, self.data[reader.at : end]

    def chunks(self):
        for group in self.groups:
            yield from group

    def column(self, path):
        """The column's chunks, one a row group."""
        index = [".".join(leaf.path) for leaf in self.leaves].index(path)
        return [group[index] for group in self.groups]


# ---- what must hold of every file ----------------------------------------------------------------


def _check_page(page, checksums):
    header = page.header
    if checksums:
        crc = header[4] & 0xFFFFFFFF
        assert crc == zlib.crc32(page.body), f"page at {page.offset}"
    else:
        assert 4 not in header
    if page.kind == 3:
        assert header[8][5] + header[8][6] <= len(page.body)
        assert header[8].get(2) <= header[8][1]


def _check_levels(chunk):
    for page in chunk.pages:
        if page.kind == 3:
            assert (page.header[8][5] > 0) == (chunk.leaf.max_def > 0 and page.values > 0)
            assert (page.header[8][6] > 0) == (chunk.leaf.max_rep > 0 and page.values > 0)
        if chunk.leaf.max_rep == 0 and page.kind == 3:
            assert page.header[8][3] == page.values


def _check_chunk(chunk, checksums):
    metadata = chunk.metadata
    every = [*([chunk.dictionary] if chunk.dictionary else []), *chunk.pages]
    for page in every:
        _check_page(page, checksums)
    _check_levels(chunk)
    assert metadata[1] == chunk.leaf.type
    assert [name.decode() for name in metadata[3]] == chunk.leaf.path
    assert metadata[5] == sum(page.values for page in chunk.pages)
    assert metadata[6] == sum(page.header_bytes + page.header[2] for page in every)
    assert metadata[9] == chunk.pages[0].offset
    assert metadata.get(11) == (chunk.dictionary.offset if chunk.dictionary else None)
    used = {page.encoding for page in chunk.pages}
    said = {ENCODINGS[number] for number in metadata[2]}
    levels = {"RLE"} if chunk.leaf.max_def + chunk.leaf.max_rep > 0 else set()
    assert used | levels <= said <= used | {"RLE", "PLAIN"}
    assert (chunk.dictionary is not None) == ("RLE_DICTIONARY" in used)
    for page in every if 13 in metadata else []:
        wanted = (page.kind, page.header[7][2]) if page.kind == 2 else (page.kind, None)
        rows = [s for s in metadata[13] if s[1] == page.kind]
        assert any(wanted[1] in (None, s[2]) for s in rows)
    if 13 in metadata:
        counted = sum(s[3] for s in metadata[13] if s[1] != 2)
        assert counted == len(chunk.pages)


def _check_indexes(chunk):
    if chunk.offset_index is not None:
        locations = chunk.offset_index[1]
        assert [s[1] for s in locations] == [page.offset for page in chunk.pages]
        assert [s[2] for s in locations] == [page.size for page in chunk.pages]
        firsts = [*chunk.first_rows, chunk.rows]
        assert firsts[0] == 0 and all(a < b for a, b in zip(firsts, firsts[1:], strict=False))
        for page, a, b in zip(chunk.pages, firsts, firsts[1:], strict=False):
            if page.kind == 3:
                assert page.header[8][3] == b - a
            if chunk.leaf.max_rep == 0:
                assert page.values == b - a
    if chunk.column_index is not None:
        assert chunk.offset_index is not None
        for field in (1, 2, 3, 5, 8):
            if field in chunk.column_index:
                assert len(chunk.column_index[field]) == len(chunk.pages), field


def _check_tiling(file):
    at = 0
    for start, end, what in sorted(file.ranges):
        assert start == at, f"{what} begins at {start}, and what is before it ends at {at}"
        at = end
    assert at == len(file.data)


def check(path, checksums=True):
    """Asserts what must hold of any file of the writer's; returns it taken apart."""
    file = File(path)
    groups = file.footer[4]
    assert file.footer[3] == sum(group[3] for group in groups)
    assert len(file.footer.get(7, [])) == len(file.leaves)
    for number, (group, chunks) in enumerate(zip(groups, file.groups, strict=True)):
        assert group[3] > 0, "a row group without rows"
        assert group[2] == sum(chunk.metadata[6] for chunk in chunks)
        assert group.get(6) == sum(chunk.metadata[7] for chunk in chunks)
        assert group.get(7, number) == number
        for chunk in chunks:
            try:
                _check_chunk(chunk, checksums)
                _check_indexes(chunk)
            except AssertionError as error:
                error.add_note(f"row group {number}, column {'.'.join(chunk.leaf.path)}")
                raise
    _check_tiling(file)
    return file
