"""What a file says of its types: ARROW:schema as pyarrow's own files have it, logical types
without it, field ids, key-values, sorting columns, the profile for old readers, and tables
of odd shapes."""

import base64
import json
import random
import uuid

import parquet_readers
import parquet_structure
import parquet_tool
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_cells import assert_same
from parquet_data import LEAVES, NESTED, coded, matrix

# ---- ARROW:schema --------------------------------------------------------------------------------


def fields_with_everything():
    fields = [pa.field(name, kind, metadata={"about": name}) for name, (kind, _) in LEAVES.items()]
    fields += [
        pa.field(f"{f.name}_required", f.type, nullable=False) for f in fields if f.name != "null"
    ]
    fields += [pa.field(name, kind) for name, kind in NESTED.items()]
    fields += [
        pa.field("uuid", pa.uuid()),
        pa.field("json", pa.json_()),
        pa.field("bool8", pa.bool8()),
        pa.field("zone", pa.timestamp("ns", "+02:00")),
        pa.field("map_sorted", pa.map_(pa.int32(), pa.utf8(), keys_sorted=True)),
        pa.field("required in list", pa.list_(pa.field("item", pa.int8(), nullable=False))),
        pa.field("names of lists", pa.list_(pa.field("odd", pa.int8(), metadata={"in": "list"}))),
        pa.field("dictionary", pa.dictionary(pa.int32(), pa.utf8())),
        pa.field("dictionary_ordered", pa.dictionary(pa.int8(), pa.utf8(), ordered=True)),
        pa.field("dictionary_of_bytes", pa.dictionary(pa.int16(), pa.binary())),
        pa.field("list_of_dictionary", pa.list_(pa.dictionary(pa.int32(), pa.utf8()))),
        pa.field("with.dots", pa.int32()),
        pa.field("ünïcode 日本", pa.int32()),
        pa.field("", pa.int32()),
    ]
    return fields


def empty_rows(schema):
    return pa.Table.from_batches([], schema=schema)


def both_ways(data, tmp_path, **options):
    """The table read back from our file and from pyarrow's own."""
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    parquet_tool.write(data, ours, **options)
    pq.write_table(data, theirs)
    return pq.read_table(ours), pq.read_table(theirs)


@pytest.mark.parametrize("field", fields_with_everything(), ids=lambda field: field.name)
def test_a_type_comes_back_from_pyarrow_as_from_its_own_files(tmp_path, field):
    schema = pa.schema([field], metadata={"of": "all"})
    ours, theirs = both_ways(empty_rows(schema), tmp_path)
    assert ours.schema.equals(theirs.schema, check_metadata=True), (ours.schema, theirs.schema)


def test_values_come_back_from_pyarrow_as_from_its_own_files(tmp_path):
    data, _ = matrix(seed=31, rows=60)
    data = data.replace_schema_metadata({"key": "value", "pandas": "{}"})
    ours, theirs = both_ways(data, tmp_path)
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert_same(theirs, ours)
    assert ours.schema.metadata == theirs.schema.metadata


def test_dictionaries_come_back_as_dictionaries(tmp_path):
    data = coded(seed=32, rows=60)
    data = data.select(
        [n for n in data.column_names if n in ("dictionary_utf8", "dictionary_binary")]
    )
    ours, theirs = both_ways(data, tmp_path)
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert_same(theirs, ours)


@pytest.mark.parametrize("kind", [pa.utf8(), pa.binary()], ids=str)
@pytest.mark.parametrize("dictionary_bytes", [0, 10_000, 1 << 21])
def test_a_large_dictionary_comes_back_as_one(tmp_path, kind, dictionary_bytes):
    """Also where the file's becomes too large: what is chosen then pyarrow can make one of."""
    for text in ("key-{:09d}", "https://example.org/{0}/{0}"):
        values = pa.array([text.format(n) for n in range(30_000)], kind)
        data = pa.table({"flat": values.dictionary_encode(), "list": one_each(values)})
        path = tmp_path / "dictionary.parquet"
        options = {"dictionary_bytes_max": dictionary_bytes, "page_values": 5000}
        parquet_tool.write(data, path, **options)
        read = pq.read_table(path)
        assert read.schema.field("flat").type == data.schema.field("flat").type
        assert_same(data, read)
        parquet_tool.write(data, path, no_arrow_schema=True, **options)
        assert_same(data, pq.read_table(path))


def one_each(values):
    offsets = pa.array(range(len(values) + 1), pa.int32())
    return pa.ListArray.from_arrays(offsets, values.dictionary_encode())


def test_timestamps_of_seconds_come_back_as_milliseconds(tmp_path):
    data = pa.table({"at": pa.array([0, -1, 10**11], pa.timestamp("s", "Asia/Tokyo"))})
    ours, _ = both_ways(data, tmp_path)
    assert ours.schema.field("at").type == pa.timestamp("ms", "Asia/Tokyo")
    assert ours["at"].cast(pa.int64()).to_pylist() == [0, -1000, 10**14]


def test_the_schema_in_the_file_is_the_arrow_schema(tmp_path):
    """Decoded by hand: an IPC message in base64."""
    data, _ = matrix(seed=33, rows=9)
    path = tmp_path / "schema.parquet"
    parquet_tool.write(data, path)
    text = parquet_structure.File(path).key_values["ARROW:schema"]
    read = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
    theirs = tmp_path / "theirs.parquet"
    pq.write_table(data, theirs)
    said = pq.read_metadata(theirs).metadata[b"ARROW:schema"]
    assert read.equals(
        pa.ipc.read_schema(pa.py_buffer(base64.b64decode(said))), check_metadata=True
    )


def test_without_it_types_are_those_of_parquet(tmp_path):
    data, encodings = matrix(seed=34, rows=30)
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    parquet_tool.write(data, ours, no_arrow_schema=True)
    pq.write_table(data, theirs, store_schema=False, store_decimal_as_integer=True)
    assert "ARROW:schema" not in parquet_structure.check(ours).key_values
    left, right = pq.read_table(ours), pq.read_table(theirs)
    assert left.schema.equals(right.schema), [
        (a, b) for a, b in zip(left.schema, right.schema, strict=True) if not a.equals(b)
    ]
    assert_same(right, left)


def test_the_schema_elements_are_those_of_pyarrow(tmp_path):
    """Names, repetition, physical, converted and logical types, element by element."""
    schema = pa.schema(fields_with_everything())
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    parquet_tool.write(empty_rows(schema), ours)
    pq.write_table(empty_rows(schema), theirs, store_decimal_as_integer=True)
    left, right = (parquet_structure.File(path).footer[2][1:] for path in (ours, theirs))
    for a, b in zip(left, right, strict=True):
        b.pop(9, None)  # pyarrow gives fields ids of its own accord
        a.pop(9, None)
        for kind in (
            7,
            8,
        ):  # TIME, TIMESTAMP: local ones need the old annotation too, it leaves it out
            if not a.get(10, {}).get(kind, {1: True})[1]:
                unit = next(iter(a[10][kind][2]))
                assert a.pop(6, None) == {(7, 1): 7, (7, 2): 8, (8, 1): 9, (8, 2): 10}.get(
                    (kind, unit)
                )
                b.pop(6, None)
        assert a == b


# ---- ids, key-values, sorting --------------------------------------------------------------------


def test_field_ids_are_kept(tmp_path):
    def field(name, kind, number, **more):
        return pa.field(name, kind, metadata={"PARQUET:field_id": str(number)}, **more)

    inner = pa.struct([field("x", pa.int32(), 7), field("y", pa.utf8(), 8)])
    schema = pa.schema(
        [
            field("a", pa.int64(), 1),
            field("b", pa.list_(field("element", inner, 3)), 2),
            field("c", inner, 2**31 - 1),
            pa.field("d", pa.int8()),
            field(
                "e",
                pa.map_(field("key", pa.utf8(), 11, nullable=False), field("value", pa.int8(), 12)),
                10,
            ),
        ]
    )
    path = tmp_path / "ids.parquet"
    told = parquet_tool.write(empty_rows(schema), path)
    elements = {e[4].decode(): e.get(9) for e in parquet_structure.File(path).footer[2][1:]}
    assert elements["a"] == 1 and elements["b"] == 2 and elements["c"] == 2**31 - 1
    assert (elements["element"], elements["d"], elements["e"]) == (3, None, 10)
    assert (elements["key"], elements["value"]) == (11, 12)
    assert [c.get("field_id") for c in told["columns"]][:3] == [1, 7, 8]
    read = pq.read_schema(path)
    assert read.field("a").metadata[b"PARQUET:field_id"] == b"1"
    assert read.field("b").type.value_field.metadata[b"PARQUET:field_id"] == b"3"


def test_a_field_id_that_is_no_number_is_refused():
    for wrong in ("", "x", "1x", "99999999999", "1.5"):
        field = pa.field("a", pa.int64(), metadata={"PARQUET:field_id": wrong})
        code, text = parquet_tool.refused(empty_rows(pa.schema([field])))
        assert code == 2 and "a" in text and "PARQUET:field_id" in text, text


def test_key_values(tmp_path):
    data = pa.table({"a": [1]}).replace_schema_metadata({"own": "schema's", "both": "schema's"})
    path = tmp_path / "keys.parquet"
    said = {"iceberg.schema": json.dumps({"type": "struct"}), "empty": "", "ünï": "日本"}
    parquet_tool.write(data, path, metadata=said)
    read = pq.read_metadata(path).metadata
    for key, value in {**said, "own": "schema's", "both": "schema's"}.items():
        assert read[key.encode()] == value.encode()
    duck = parquet_readers.duck().execute(
        "SELECT key, value FROM parquet_kv_metadata(?)", [str(path)]
    )
    assert {key: value for key, value in duck.fetchall()}[
        b"iceberg.schema"
    ] == b'{"type": "struct"}'


def test_sorting_columns(tmp_path):
    data = pa.table({"a": [1, 1, 2], "s": [{"x": 3}, {"x": 2}, {"x": 1}], "b": ["z", "y", "x"]})
    path = tmp_path / "sorted.parquet"
    parquet_tool.write(data, path, sort=["a", "s.x:desc", "b:desc:nulls_first"], row_group_rows=2)
    metadata = pq.read_metadata(path)
    for number in range(2):
        assert metadata.row_group(number).sorting_columns == (
            pq.SortingColumn(0, False, False),
            pq.SortingColumn(1, True, False),
            pq.SortingColumn(2, True, True),
        )


def test_columns_that_are_not_there(tmp_path):
    data = pa.table({"amount": [1], "s": [{"x": 1, "y": 2}]})
    for option in ({"bloom": ["amuont"]}, {"encoding": {"amuont": "plain"}}, {"sort": ["amuont"]}):
        code, text = parquet_tool.refused(data, **option)
        assert code == 4 and "amuont" in text and "amount" in text, text
    code, text = parquet_tool.refused(data, sort=["s"])
    assert code > 0 and "s" in text, "a group is no sorting column"


# ---- profiles and shapes -------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_the_compatible_profile(tmp_path, codec):
    data, _ = matrix(seed=35, rows=40)
    path = tmp_path / "compatible.parquet"
    parquet_tool.write(data, path, compatible=True, codec=codec, row_group_rows=100)
    file = parquet_structure.check(path)
    for chunk in file.chunks():
        assert {page.kind for page in chunk.pages} == {0}
        assert {page.encoding for page in chunk.pages} <= {"PLAIN", "RLE_DICTIONARY"}
    for reader in parquet_readers.READERS:
        names = [n for n in data.column_names if n.split("__")[0] != "decimal_76"]
        plain = data.select(names).rename_columns([n.replace("__", "_as_") for n in names])
        parquet_tool.write(plain, path, compatible=True, codec=codec, row_group_rows=100)
        reader.assert_reads(plain, path)


def test_by_default_encodings_are_chosen(tmp_path):
    """What suits the values: deltas of what grows, dictionaries of what repeats."""
    rows, rng = 50_000, random.Random(3)
    data = pa.table(
        {
            "grows": pa.array(range(10**9, 10**9 + rows * 3, 3), pa.int64()),
            "repeats": pa.array([f"city of {rng.randrange(50)}" for _ in range(rows)]),
            "same": pa.array([7] * rows),
            "unique": pa.array(
                [uuid.UUID(int=n * 2**90 + n).bytes for n in range(rows)], pa.binary(16)
            ),
        }
    )
    path, plain = tmp_path / "chosen.parquet", tmp_path / "plain.parquet"
    parquet_tool.write(data, path)
    file = parquet_structure.check(path)
    used = {name: {p.encoding for p in file.column(name)[0].pages} for name in data.column_names}
    assert used["grows"] == {"DELTA_BINARY_PACKED"}
    assert used["repeats"] == {"RLE_DICTIONARY"}
    assert "RLE_DICTIONARY" not in used["unique"]
    assert file.column("grows")[0].metadata[7] < rows / 20
    assert_same(data, pq.read_table(path))
    pq.write_table(data, plain, compression="zstd", compression_level=1)
    assert path.stat().st_size <= plain.stat().st_size


@pytest.mark.parametrize("version", [1, 2])
def test_zero_rows_and_zero_columns(tmp_path, version):
    path = tmp_path / "none.parquet"
    data, _ = matrix(rows=1)
    nothing = data.slice(0, 0)
    for reader in (parquet_readers.PYARROW, parquet_readers.DUCKDB):
        names = [n for n in nothing.column_names if not reader.unsupported(n)]
        parquet_tool.write(nothing.select(names), path, page_version=version)
        parquet_structure.check(path)
        assert reader.read(path, names).num_rows == 0
    parquet_tool.write([_empty_batch(data)] * 3, path)
    assert pq.read_table(path).num_rows == 0
    parquet_tool.write(pa.Table.from_batches([], schema=pa.schema([])), path)
    assert pq.read_table(path).shape == (0, 0)
    told = parquet_tool.write(
        [pa.RecordBatch.from_struct_array(pa.array([{}] * 5, pa.struct([])))], path
    )
    assert told["rows"] == 5 and pq.read_metadata(path).num_rows == 5


def _empty_batch(data):
    return pa.RecordBatch.from_arrays(
        [c.combine_chunks().slice(0, 0) for c in data.columns], schema=data.schema
    )


def test_one_row_and_empty_batches_between(tmp_path):
    data, _ = matrix(seed=36, rows=2)
    batches = [_empty_batch(data)]
    for row in range(data.num_rows):
        batches += [data.slice(row, 1).combine_chunks().to_batches()[0], _empty_batch(data)]
    path = tmp_path / "ones.parquet"
    parquet_tool.write(batches, path, row_group_rows=3)
    parquet_structure.check(path)
    parquet_readers.PYARROW.assert_reads(data, path)
    told = parquet_tool.write(batches, path, groups=True)
    assert told["row_groups"] == data.num_rows


def test_row_groups_end_by_rows_and_by_bytes(tmp_path):
    path = tmp_path / "groups.parquet"
    rng = random.Random(1)
    data = pa.table({"a": pa.array([rng.randbytes(1000) for _ in range(4000)], pa.binary(1000))})
    options = {"row_group_bytes": 500_000, "page_bytes": 50_000, "slice": 100}
    for encoding in ({}, {"a": "plain"}, {"a": "dictionary"}):
        parquet_tool.write(data, path, encoding=encoding, **options)
        groups = parquet_structure.check(path).footer[4]
        assert len(groups) >= 4 and all(group[3] >= 300 for group in groups[:-1]), encoding
    assert_same(data, pq.read_table(path))
    parquet_tool.write(data, path, row_group_rows=999)
    assert [g[3] for g in parquet_structure.check(path).footer[4]] == [999] * 4 + [4]


def test_pages_end_by_values_and_by_bytes(tmp_path):
    path = tmp_path / "pages.parquet"
    rows = 10_000
    data = pa.table(
        {
            "flat": pa.array(range(rows), pa.int64()),
            "list": pa.array([[n] * (n % 7) for n in range(rows)], pa.list_(pa.int32())),
            "text": pa.array(["x" * (n % 50) for n in range(rows)]),
        }
    )
    parquet_tool.write(data, path, page_values=500, encoding={"list": "plain"}, threads=2)
    file = parquet_structure.check(path)
    for chunk in file.chunks():
        assert all(page.values <= 506 for page in chunk.pages)
        assert len(chunk.pages) < 200
    asked = {"flat": "plain", "list": "plain", "text": "plain"}
    parquet_tool.write(data, path, page_bytes=4000, encoding=asked, codec="none")
    file = parquet_structure.check(path)
    for chunk in file.chunks():
        assert all(page.header[2] <= 4000 + 3000 for page in chunk.pages), chunk.leaf.path
    assert_same(data, pq.read_table(path))


def test_pages_without_gain_are_not_compressed(tmp_path):
    noise = random.Random(2).randbytes(8 * 20_000)
    column = pa.Array.from_buffers(pa.int64(), 20_000, [None, pa.py_buffer(noise)])
    data = pa.table({"noise": column, "zeros": pa.array([0] * 20_000)})
    path = tmp_path / "noise.parquet"
    asked = {"noise": "plain", "zeros": "plain"}
    parquet_tool.write(data, path, encoding=asked)
    codecs = {c.leaf.path[0]: c.metadata[4] for c in parquet_structure.check(path).groups[0]}
    assert codecs == {"noise": 0, "zeros": 6}
    parquet_tool.write(data, path, encoding=asked, always_compress=True)
    codecs = {c.leaf.path[0]: c.metadata[4] for c in parquet_structure.check(path).groups[0]}
    assert codecs == {"noise": 6, "zeros": 6}
    assert_same(data, pq.read_table(path, page_checksum_verification=True))


def test_one_row_of_100_megabytes(tmp_path):
    path = tmp_path / "large.parquet"
    block = b"0123456789abcdef" * 65536
    data = pa.table(
        {"a": pa.array([b"x", block * 100, b"y"]), "b": pa.array([[1], [2] * 10**6, []])}
    )
    parquet_tool.write(data, path, codec="snappy")
    file = parquet_structure.check(path)
    assert file.column("a")[0].statistics.get(8) is not None
    read = pq.read_table(path, page_checksum_verification=True)
    assert read.equals(data)
    assert (
        parquet_readers.duck().execute(f"SELECT max(length(a::VARCHAR)) FROM '{path}'").fetchone()
    )


def test_100_000_columns(tmp_path):
    """As many fields as a schema may have; the footer is most of the file."""
    path = tmp_path / "wide.parquet"
    count = 100_000
    column = pa.array([1, None], pa.int32())
    schema = pa.schema([(f"c{n}", pa.int32()) for n in range(count)])
    batch = pa.RecordBatch.from_arrays([column] * count, schema=schema)
    told = parquet_tool.write([batch], path, threads=2)
    assert len(told["columns"]) == count
    metadata = pq.read_metadata(path)
    assert (metadata.num_columns, metadata.num_rows) == (count, 2)
    read = pq.read_table(path, columns=["c0", "c50000", "c99999"])
    assert read.to_pydict() == {name: [1, None] for name in ("c0", "c50000", "c99999")}


def test_deep_nesting(tmp_path):
    """As deep as 40 levels; deeper than levels of a byte can say is refused."""
    kind, value = pa.int32(), 5
    for _ in range(20):
        kind, value = pa.list_(pa.struct([("x", kind)])), [{"x": value}]
    data = pa.table({"deep": pa.array([value, None, [None], []], kind)})
    path = tmp_path / "deep.parquet"
    parquet_tool.write(data, path)
    parquet_structure.check(path)
    assert_same(data, pq.read_table(path))


def test_rows_hold_together_whatever_the_page(tmp_path):
    data = pa.table({"a": pa.array([list(range(1000))] * 10 + [None, []])})
    path = tmp_path / "rows.parquet"
    for version in (1, 2):
        parquet_tool.write(data, path, page_values=10, page_version=version)
        file = parquet_structure.check(path)
        assert len(file.groups[0][0].pages) >= 10
        assert_same(data, pq.read_table(path))
