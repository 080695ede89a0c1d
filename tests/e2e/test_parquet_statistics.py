"""What a file says of its values: bounds, counts, sizes and histograms are made anew and
compared; readers that skip by them find all that was asked for."""

import operator
import struct

import pandas
import parquet_levels
import parquet_pruning
import parquet_readers
import parquet_structure
import parquet_tool
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from parquet_data import coded, matrix
from parquet_pruning import GROUP_ROWS, GROUPS, PAGE_ROWS, literals

OPERATORS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@pytest.mark.parametrize("version", [1, 2])
def test_statistics_are_those_of_the_values(tmp_path, version):
    data, encodings = matrix(seed=21, rows=90)
    path = tmp_path / "matrix.parquet"
    options = {"row_group_rows": 90, "page_values": 30, "page_version": version}
    parquet_tool.write(data, path, encoding=encodings, **options)
    parquet_levels.check(parquet_structure.check(path), data)


def test_statistics_of_dictionaries_runs_and_views(tmp_path):
    data = coded(seed=22, rows=90)
    path = tmp_path / "coded.parquet"
    parquet_tool.write(data, path, row_group_rows=170, page_values=50, threads=2)
    parquet_levels.check(parquet_structure.check(path), data)


EDGES = {
    "empty": (pa.utf8(), ["", "", None]),
    "at the limit": (pa.utf8(), ["a" * 64, "b" * 64]),
    "past the limit": (pa.utf8(), ["a" * 65, "b" * 65]),
    "a character is cut": (pa.utf8(), ["a" * 63 + "é" * 9, "b" * 62 + "日本語"]),
    "cannot be raised": (pa.utf8(), ["\U0010ffff" * 20]),
    "raised past surrogates": (pa.utf8(), ["\ud7ff" * 30, "a"]),
    "raised to more bytes": (pa.utf8(), ["\x7f" * 70, "\u07ff" * 40]),
    "bytes of ff": (pa.binary(), [b"\xff" * 100, b"\x00"]),
    "bytes near ff": (pa.binary(), [b"a" + b"\xff" * 100]),
    "large": (pa.large_binary(), [b"z" * 1000, b"a" * 1000]),
    "fixed, long": (pa.binary(64), [b"q" * 64, b"p" * 64]),
    "fixed, too long": (pa.binary(65), [b"q" * 65, b"p" * 65]),
    "only NaN": (pa.float64(), [float("nan")] * 3),
    "NaN first": (pa.float32(), [float("nan"), 1.0, -1.0]),
    "zeros": (pa.float64(), [0.0, 0.0]),
    "negative zeros": (pa.float32(), [-0.0, -0.0]),
    "half zeros": (pa.float16(), [-0.0, 0.0, None]),
    "half": (pa.float16(), [1.0, -2.0, float("nan")]),
    "unsigned": (pa.uint32(), [2**31, 1, 2**32 - 1]),
    "unsigned 64": (pa.uint64(), [2**63, 1, 2**64 - 1]),
    "unsigned 8": (pa.uint8(), [200, 100]),
    "signed": (pa.int8(), [-128, 127]),
    "decimal": (pa.decimal128(30, 0), [-1, 1, 10**29, -(10**29)]),
    "decimal 76": (pa.decimal256(76, 0), [-1, 1, 10**75]),
    "decimal 4": (pa.decimal128(4, 0), [-1, 256, 9999]),
    "only nulls": (pa.int64(), [None, None]),
    "bool": (pa.bool_(), [True, True, None]),
    "list": (pa.list_(pa.int32()), [[], None, [1, None], [5, -2]]),
    "duration": (pa.duration("s"), [-5, 5]),
}


@pytest.mark.parametrize("bound_bytes", [64, 8, 1])
@pytest.mark.parametrize("encoding", ["plain", "dictionary"])
def test_bounds_at_their_edges(tmp_path, bound_bytes, encoding):
    for name, (kind, values) in EDGES.items():
        data = pa.table({"v": pa.array(values, kind)})
        path = tmp_path / "edge.parquet"
        asked = {} if kind == pa.bool_() else {"v": encoding}
        parquet_tool.write(data, path, encoding=asked, bound_bytes_max=bound_bytes)
        file = parquet_structure.check(path)
        parquet_levels.check(file, data, bound_bytes)
        if name == "only NaN":
            assert file.groups[0][0].column_index is None
        assert pq.read_table(path)["v"].null_count == data["v"].null_count


def test_the_writers_summary_is_the_footers(tmp_path):
    """What table formats are told of the file."""
    data, encodings = matrix(seed=23, rows=60)
    path = tmp_path / "summary.parquet"
    told = parquet_tool.write(data, path, encoding=encodings, row_group_rows=100)
    file = parquet_structure.File(path)
    assert (told["rows"], told["row_groups"]) == (data.num_rows, len(file.groups))
    assert len(told["columns"]) == len(file.leaves)
    for column, leaf in zip(told["columns"], file.leaves, strict=True):
        chunks = file.column(".".join(leaf.path))
        assert column["name"] == ".".join(leaf.path)
        assert column["value_count"] == sum(chunk.metadata[5] for chunk in chunks)
        assert column["null_count"] == sum(chunk.statistics[3] for chunk in chunks)
        assert column["compressed_bytes"] == sum(chunk.metadata[7] for chunk in chunks)
        nans = sum(chunk.statistics.get(9, 0) for chunk in chunks)
        assert column["nan_count"] == (nans if 9 in chunks[0].statistics else -1)
        bounds = [chunk.statistics for chunk in chunks if 6 in chunk.statistics and nans == 0]
        number = parquet_levels.number
        assert ("min" in column) == bool(bounds)
        if bounds:
            least = min(number(leaf, s[6]) for s in bounds)
            most = max(number(leaf, s[5]) for s in bounds)
            assert number(leaf, bytes.fromhex(column["min"])) == least
            assert number(leaf, bytes.fromhex(column["max"])) == most


def test_other_readers_see_the_same_statistics(tmp_path):
    data, encodings = matrix(seed=24, rows=60, nested=False)
    path = tmp_path / "seen.parquet"
    parquet_tool.write(data, path, encoding=encodings, row_group_rows=60)
    file = parquet_structure.check(path)
    metadata = pq.read_metadata(path)
    rows = parquet_readers.duck().sql(
        f"SELECT row_group_id, column_id, num_values, stats_null_count, stats_min_value, "
        f"total_compressed_size, compression FROM parquet_metadata('{path}')"
    )
    by_duck = {row[:2]: row[2:] for row in rows.fetchall()}
    for number, group in enumerate(file.groups):
        for index, chunk in enumerate(group):
            seen = metadata.row_group(number).column(index)
            said, duck = chunk.statistics, by_duck[number, index]
            assert seen.statistics.null_count == said[3] == duck[1], chunk.leaf.path
            assert seen.num_values == chunk.metadata[5] == duck[0]
            assert seen.total_compressed_size == chunk.metadata[7] == duck[3]
            assert duck[4] == seen.compression
            assert seen.has_offset_index and seen.has_column_index == (6 in chunk.fields)
            if 6 in said and chunk.leaf.type in (parquet_structure.INT32, parquet_structure.INT64):
                assert seen.statistics.has_min_max
                if not chunk.leaf.element.get(10):
                    assert str(parquet_levels.number(chunk.leaf, said[6])) == duck[2]


# ---- skipping ------------------------------------------------------------------------------------


# DuckDB asks the filter of another value where it looks for bytes: see below.
NO_BLOOM = ("bool", "only_nulls", "bytes", "fixed")


@pytest.fixture(scope="module")
def pruning(tmp_path_factory):
    """Name to the table and its file."""
    directory, made = tmp_path_factory.mktemp("pruning"), {}
    for name, data in parquet_pruning.tables().items():
        path = directory / f"{name}.parquet"
        blooms = [n for n in data.column_names if n not in NO_BLOOM]
        options = {"row_group_rows": GROUP_ROWS, "page_values": PAGE_ROWS, "bound_bytes_max": 16}
        parquet_tool.write(data, path, bloom=blooms, **options)
        file = parquet_structure.check(path)
        assert len(file.groups) == GROUPS and len(file.groups[0][0].pages) == 5
        parquet_levels.check(file, data, 16)
        made[name] = (data, path)
    return made


ORDERS = list(["ascending", "descending", "blocks", "shuffled"])


def test_the_order_of_pages_is_said(pruning):
    orders = {
        name: {chunk.column_index[4] for chunk in parquet_structure.File(path).column("id")}
        for name, (_, path) in pruning.items()
    }
    assert orders["ascending"] == {1} and orders["descending"] == {2}
    assert 0 in orders["shuffled"]


@pytest.mark.parametrize("order", ORDERS)
def test_duckdb_finds_what_it_does_not_skip(pruning, order):
    """What it finds in the file is what it finds in the table in memory."""
    data, path = pruning[order]
    duck = parquet_readers.duck().cursor()
    duck.execute("SET timezone = 'UTC'")
    duck.register("arrow", data)  # whose filters would be Arrow's
    duck.execute("CREATE OR REPLACE TEMP TABLE memory AS FROM arrow")
    for name in data.column_names:
        conditions = [f"{name} IS NULL", f"{name} IS NOT NULL"]
        asked = [(condition, []) for condition in conditions]
        for literal in literals(data[name]):
            asked += [(f"{name} {said} ?", [literal.as_py()]) for said in OPERATORS]
        for condition, parameters in asked:
            query = f"SELECT id FROM {{}} WHERE {condition} ORDER BY id"
            wanted = duck.execute(query.format("memory"), parameters).fetchall()
            got = duck.execute(query.format(f"read_parquet('{path}')"), parameters).fetchall()
            assert got == wanted, (condition, parameters)


@pytest.mark.parametrize("order", ORDERS)
def test_polars_finds_what_it_does_not_skip(pruning, order):
    data, path = pruning[order]
    memory, scan = polars.from_arrow(data), polars.scan_parquet(path)
    for name in data.column_names:
        column = polars.col(name)
        conditions = [column.is_null(), column.is_not_null()]
        for literal in literals(data[name]):
            kind = memory.schema[name]
            value = polars.lit(literal.as_py(), dtype=kind)
            conditions += [compare(column, value) for compare in OPERATORS.values()]
        wanted = [memory.filter(condition)["id"].to_list() for condition in conditions]
        frames = [scan.filter(condition).select("id") for condition in conditions]
        got = [frame["id"].to_list() for frame in polars.collect_all(frames)]
        assert got == wanted, name


@pytest.mark.parametrize("order", ORDERS)
def test_pyarrow_finds_what_it_does_not_skip(pruning, order):
    data, path = pruning[order]
    source = ds.dataset(path)
    for name in data.column_names:
        field = pc.field(name)
        conditions = [field.is_null(), field.is_valid()]
        for literal in literals(data[name]):
            conditions += [compare(field, literal) for compare in OPERATORS.values()]
        for condition in conditions:
            wanted = data.filter(condition)["id"].to_pylist()
            got = source.to_table(columns=["id"], filter=condition)["id"].to_pylist()
            assert got == wanted, str(condition)


def test_row_groups_are_skipped(pruning, tmp_path):
    """The bounds are of use: of a sorted table one row group is left."""
    data = pruning["ascending"][0]
    data = data.drop_columns(["only_nulls", "int8", "zeros", "nans", "bool", "long"])
    for name in data.column_names:
        data = data.filter(pc.field(name).is_valid())
    data = data.cast(pa.schema([field.with_nullable(False) for field in data.schema]))
    path = tmp_path / "required.parquet"
    parquet_tool.write(data, path, row_group_rows=20)
    fragment = next(ds.dataset(path).get_fragments())
    assert fragment.num_row_groups > 5
    for name in data.column_names:
        assert len(fragment.split_by_row_group(pc.field(name) == data[name][50])) == 1, name


@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_fastparquet_finds_what_it_does_not_skip(pruning, order):
    """It skips whole row groups, and gives all rows of the others."""
    data, path = pruning[order]
    file = parquet_readers.fastparquet.ParquetFile(str(path))
    for name in ("id", "int16", "int32", "float64", "text", "date"):
        value = next(v for v in data[name].slice(500) if v.is_valid)
        literal = pandas.Timestamp(value.as_py()) if name == "date" else value.as_py()
        for said, compare in (("==", pc.equal), (">", pc.greater), ("<=", pc.less_equal)):
            wanted = data.filter(compare(data[name], value))["id"].to_pylist()
            got = file.to_pandas(columns=["id"], filters=[(name, said, literal)])["id"].tolist()
            assert set(wanted) <= set(got), (name, said)
            if order == "ascending" and said == "==":
                assert len(got) == GROUP_ROWS, name


# ---- Bloom filters -------------------------------------------------------------------------------


def test_bloom_filters_say_no_only_of_what_is_not_there(pruning):
    """DuckDB's own probe; of what is there every filter says perhaps."""
    data, path = pruning["shuffled"]
    duck = parquet_readers.duck()
    file = parquet_structure.File(path)
    for name in ("id", "int16", "int32", "uint32", "float64", "text", "long", "date"):
        assert all(chunk.bloom is not None for chunk in file.column(name)), name
        column = data[name]
        for row in (0, 250, 600, 1199):
            value = column[row]
            if not value.is_valid:
                continue
            probe = "SELECT row_group_id, bloom_filter_excludes FROM parquet_bloom_probe(?, ?, ?)"
            excluded = dict(duck.execute(probe, [str(path), name, value.as_py()]).fetchall())
            assert excluded[row // GROUP_ROWS] is False, (name, row)
    probe = "SELECT bloom_filter_excludes FROM parquet_bloom_probe(?, 'id', ?)"
    asked = [duck.execute(probe, [str(path), n]).fetchall() for n in range(1, 1200, 3)]
    answers = [no for answer in asked for (no,) in answer]
    assert sum(answers) / len(answers) > 0.95, "one of a hundred is said to be there perhaps"


def test_duckdb_and_bloom_filters_of_bytes(tmp_path):
    """It finds nothing but what is text, in pyarrow's files neither; others find it."""
    data = pa.table({"v": pa.array([b"\x00\x01", b"abc", b"\xff\xff"])})
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    parquet_tool.write(data, ours, bloom=["v"])
    pq.write_table(data, theirs, bloom_filter_options={"v": {"ndv": 10, "fpp": 0.01}})
    for path in (ours, theirs):
        query = f"SELECT count(*) FROM '{path}' WHERE v = ?"
        ask = parquet_readers.duck().execute
        assert [ask(query, [v.as_py()]).fetchone()[0] for v in data["v"]] == [0, 1, 0]
        scan = polars.scan_parquet(path)
        for value in data["v"].to_pylist():
            assert scan.filter(polars.col("v") == value).collect().height == 1


@pytest.mark.parametrize("wanted", [0.5, 0.1, 0.01, 0.001])
def test_a_bloom_filter_is_of_the_size_that_was_asked_for(tmp_path, wanted):
    data = pa.table({"v": pa.array(range(20000), pa.int64())})
    path = tmp_path / "bloom.parquet"
    options = {"bloom_false_positives": wanted, "row_group_rows": 20000}
    parquet_tool.write(data, path, bloom=["v"], **options)
    header, bits = parquet_structure.File(path).groups[0][0].bloom
    assert header == {1: len(bits), 2: {1: {}}, 3: {1: {}}, 4: {1: {}}}
    assert len(bits) % 32 == 0
    hits = sum(_perhaps(bits, n) for n in range(20000, 24000)) / 4000
    assert all(_perhaps(bits, n) for n in range(0, 20000, 37))
    assert hits <= wanted * 1.6 + 0.002
    path_small = tmp_path / "small.parquet"
    parquet_tool.write(data, path_small, bloom=["v"], bloom_bytes_max=1024, **options)
    assert len(parquet_structure.File(path_small).groups[0][0].bloom[1]) == 1024


SALT = [
    0x47B6137B,
    0x44974D91,
    0x8824AD5B,
    0xA2B7289D,
    0x705495C7,
    0x2DF1424B,
    0x9EFC4947,
    0x5C6BFB31,
]


def _perhaps(bits, number):
    """BloomFilter.md, "The Split Block Bloom Filter", of an INT64."""
    hash_ = _xxh64_8(struct.pack("<q", number))
    block = (hash_ >> 32) * (len(bits) // 32) >> 32
    words = struct.unpack_from("<8I", bits, block * 32)
    key = hash_ & 0xFFFFFFFF
    return all(words[i] >> ((key * SALT[i] & 0xFFFFFFFF) >> 27) & 1 for i in range(8))


def _xxh64_8(data):
    """XXH64 of eight bytes with seed 0."""
    p1, p2, p3, p4, p5 = (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
    mask = 2**64 - 1

    def rotate(value, by):
        return (value << by | value >> 64 - by) & mask

    hash_ = (p5 + 8) & mask
    lane = rotate(int.from_bytes(data, "little") * p2 & mask, 31) * p1 & mask
    hash_ = (rotate(hash_ ^ lane, 27) * p1 + p4) & mask
    hash_ = (hash_ ^ hash_ >> 33) * p2 & mask
    hash_ = (hash_ ^ hash_ >> 29) * p3 & mask
    return hash_ ^ hash_ >> 32
