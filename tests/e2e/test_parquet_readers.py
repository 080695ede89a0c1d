"""Every type in every encoding, with nulls in every pattern, by every codec and page
version, in every reader; what a reader does not support is in a table of parquet_readers,
and is tried too."""

import parquet_readers
import parquet_structure
import parquet_tool
import pyarrow as pa
import pytest
from parquet_cells import assert_same, first_difference
from parquet_data import NESTED, PATTERNS, ROWS, VARIANTS, coded, matrix
from parquet_readers import POLARS, PYARROW, READERS


@pytest.fixture(scope="module")
def table():
    return matrix()


@pytest.fixture(scope="module")
def written(table, tmp_path_factory):
    """`written(variant)`: the file, made when it is first wanted."""
    directory, made = tmp_path_factory.mktemp("matrix"), {}

    def path_of(variant):
        if variant not in made:
            data, encodings = table
            made[variant] = directory / f"{variant}.parquet"
            options = {"row_group_rows": ROWS, "page_values": 80, **VARIANTS[variant]}
            parquet_tool.write(data, made[variant], encoding=encodings, **options)
        return made[variant]

    return path_of


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_is_what_its_footer_says(written, table, variant):
    said = VARIANTS[variant]
    file = parquet_structure.check(written(variant), not said.get("no_checksums", False))
    data, encodings = table
    assert file.footer[3] == data.num_rows
    assert [len(group) for group in file.groups] == [len(file.leaves)] * len(file.groups)
    for chunk in file.chunks():
        asked = encodings.get(".".join(chunk.leaf.path))
        if asked is not None and asked != "dictionary":
            assert {page.encoding for page in chunk.pages} == {NAMES[asked]}, chunk.leaf.path
        if asked == "dictionary":
            assert "RLE_DICTIONARY" in {page.encoding for page in chunk.pages}, chunk.leaf.path
        kinds = {page.kind for page in chunk.pages}
        assert kinds == {3 if said["page_version"] == 2 else 0}
        assert len(chunk.pages) >= 3
        assert (chunk.statistics is None) == said.get("no_statistics", False)
        lacks_index = "no_page_index" in said or "no_statistics" in said
        assert (chunk.offset_index is None) == lacks_index


NAMES = {
    "plain": "PLAIN",
    "delta": "DELTA_BINARY_PACKED",
    "delta_length": "DELTA_LENGTH_BYTE_ARRAY",
    "delta_bytes": "DELTA_BYTE_ARRAY",
    "split": "BYTE_STREAM_SPLIT",
    "rle": "RLE",
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("reader", READERS, ids=str)
def test_every_value_is_read(written, table, reader, variant):
    reader.assert_reads(table[0], written(variant), variant)


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_what_a_reader_does_not_know_is_known(written, table, reader):
    for column in table[0].column_names:
        if reader.unsupported(column):
            reader.assert_refuses(written("none_v1"), column)


def without(data, pattern):
    at = list(PATTERNS).index(pattern) * ROWS
    return pa.concat_tables([data.slice(0, at), data.slice(at + ROWS)])


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "gzip", "lz4"])
@pytest.mark.parametrize("version", [1, 2])
def test_fastparquet(tmp_path, table, codec, version):
    """With what it does not know left out: see below."""
    data, encodings = without(table[0], "all"), table[1]
    names = [n for n in data.column_names if not parquet_readers.not_by_fastparquet(n)]
    names = [n for n in names if version == 1 or n.split("__")[0] not in NESTED]
    path = tmp_path / "fast.parquet"
    options = {"row_group_rows": ROWS, "page_values": 80 if version == 1 else ROWS}
    asked = {name: encodings.get(name, "plain") for name in names}
    options = {**options, "page_version": version, "codec": codec, "always_compress": True}
    parquet_tool.write(data.select(names), path, encoding=asked, **options)
    frame = parquet_readers.read_fastparquet(path, names)
    for name in names:
        column = data[name]
        wanted = parquet_readers.fastparquet_expected(column)
        got = parquet_readers.fastparquet_cells(frame[name], column.type)
        difference = first_difference(wanted, got)
        assert difference is None, (name, difference)


def test_what_fastparquet_does_not_know(written, table):
    for name in table[0].column_names:
        said = parquet_readers.not_by_fastparquet(name)
        if said not in (None, "no"):
            with pytest.raises(NotImplementedError, match=said):
                parquet_readers.read_fastparquet(written("none_v1"), [name])
    with pytest.raises(TypeError, match="an integer is required"):  # a dictionary of no values
        parquet_readers.read_fastparquet(written("none_v1"), ["utf8__dictionary"])
    with pytest.raises(ValueError, match="could not be broadcast"):  # V2: nulls in several pages
        parquet_readers.read_fastparquet(written("none_v2"), ["int32__plain"])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("reader", READERS, ids=str)
def test_dictionaries_runs_and_views_of_lists(tmp_path, reader, version):
    """They are what they stand for; what comes is compared without their way of writing it."""
    data = coded()
    path = tmp_path / "coded.parquet"
    options = {"row_group_rows": ROWS, "page_values": 80, "page_version": version}
    for part in ("dictionary", "runs", "list", "large"):
        columns = data.select([n for n in data.column_names if n.split("_")[0] == part])
        parquet_tool.write(columns, path, **options)
        parquet_structure.check(path)
        if reader is POLARS and part in ("list", "large"):  # pyarrow's own files end it as well
            with pytest.raises(BaseException, match="not yet implemented"):
                reader.read(path, columns.column_names)
            continue
        assert_same(columns, reader.read(path, columns.column_names), str(reader))


@pytest.mark.parametrize("version", [1, 2])
def test_a_dictionary_that_becomes_too_large(tmp_path, table, version):
    """A chunk begins with its dictionary and goes on without it."""
    data, encodings = table
    names = [n for n in data.column_names if encodings.get(n) == "plain" and "bool" not in n]
    data = data.select(names)
    path = tmp_path / "fallback.parquet"
    asked = {name: "dictionary" for name in names if name != "null__plain"}
    options = {"dictionary_bytes_max": 400, "page_values": 80, "page_version": version}
    parquet_tool.write(data, path, encoding=asked, **options)
    file = parquet_structure.check(path)
    used = [{page.encoding for page in chunk.pages} for chunk in file.chunks()]
    assert sum(len(encodings) > 1 and "RLE_DICTIONARY" in encodings for encodings in used) > 20
    for reader in READERS:
        reader.assert_reads(data, path)


@pytest.mark.parametrize("slice_rows", [1, 7, 100])
def test_slices_and_threads_change_nothing(tmp_path, table, slice_rows):
    data = table[0].slice(0, 500)
    path = tmp_path / "slices.parquet"
    parquet_tool.write(data, path, slice=slice_rows, threads=2, page_values=33, row_group_rows=170)
    parquet_structure.check(path)
    PYARROW.assert_reads(data, path)
    both = coded().slice(300, 500)
    parquet_tool.write(both, path, slice=slice_rows, threads=2, page_values=33, row_group_rows=170)
    assert_same(both, PYARROW.read(path, both.column_names))
