"""What Spark reads, which is parquet-mr: both of its ways of reading, all codecs and page
versions, every type and encoding that it knows, in one session; and that what it skips by
statistics, page indexes, dictionaries and Bloom filters is none of what was asked for."""

import re

import parquet_tool
import pytest
from parquet_cells import first_difference
from parquet_data import VARIANTS, coded, decoded, matrix
from parquet_readers import not_by_spark, spark_cell, spark_expected, spark_expression
from parquet_spark import Spark


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    session = Spark(tmp_path_factory.mktemp("spark") / "spark.log")
    yield session
    session.stop()


def assert_reads(spark, data, paths, vectorized):
    select = {f"c{i}": spark_expression(f.name, f.type) for i, f in enumerate(data.schema)}
    files = spark.ask(paths, select, vectorized=vectorized)
    wanted = [spark_expected(column) for column in data.columns]
    for path, rows in zip(paths, files, strict=True):
        assert len(rows) == data.num_rows, path
        for i, field in enumerate(data.schema):
            got = [spark_cell(row[f"c{i}"], field.type) for row in rows]
            difference = first_difference(wanted[i], got)
            assert difference is None, (path.name, field.name, vectorized, difference)


SPARK_ROWS = 54  # of each pattern of nulls: what Spark reads comes as text


@pytest.mark.timeout(300)
def test_spark_reads_every_value(spark, tmp_path):
    data, encodings = matrix(seed=3, rows=SPARK_ROWS)
    options = {"row_group_rows": SPARK_ROWS, "page_values": SPARK_ROWS // 3}
    # What only its row reader knows makes files of their own.
    for vectorized, variants in ((True, list(VARIANTS)), (False, ["none_v1", "zstd_v2"])):
        names = [n for n in data.column_names if not not_by_spark(n, vectorized)]
        paths = [tmp_path / f"{variant}_{vectorized}.parquet" for variant in variants]
        for path, variant in zip(paths, variants, strict=True):
            asked = {name: encodings.get(name, "plain") for name in names}
            said = {**options, **VARIANTS[variant]}
            parquet_tool.write(data.select(names), path, encoding=asked, **said)
        assert_reads(spark, data.select(names), paths, vectorized)


def test_spark_reads_dictionaries_runs_and_views(spark, tmp_path):
    data = coded(seed=4, rows=SPARK_ROWS)
    paths = [tmp_path / f"v{version}.parquet" for version in (1, 2)]
    asked = {name: "plain" for name in data.column_names if "float" in name}  # and not "split"
    options = {"page_values": SPARK_ROWS // 3, "row_group_rows": SPARK_ROWS, "encoding": asked}
    for version, path in enumerate(paths, 1):
        parquet_tool.write(data, path, page_version=version, **options)
    assert_reads(spark, decoded(data), paths, True)


# One column for each way in which it says no.
UNSUPPORTED = [
    *[f"{kind}__plain" for kind in ("float16", "time_ms", "time_us", "time_ns", "decimal_76")],
    *[f"{kind}__split" for kind in ("int32", "int64", "fixed", "float32", "float64")],
]


def test_what_spark_does_not_know_is_known(spark, tmp_path):
    data, encodings = matrix(nested=False, seed=3, rows=SPARK_ROWS)
    for column in UNSUPPORTED:
        path = tmp_path / f"{column}.parquet"
        asked = {column: encodings[column]}
        parquet_tool.write(data.select([column]), path, encoding=asked)
        for vectorized in (True, False):
            said = not_by_spark(column, vectorized)
            try:
                spark.ask([path], {"x": f"`{column}`"}, vectorized=vectorized)
            except RuntimeError as error:
                assert said and re.search(said, str(error)), (column, vectorized, str(error))
            else:
                assert said is None, f"Spark reads {column} now: it was '{said}'"
