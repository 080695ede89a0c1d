"""What Spark reads, which is parquet-mr: both of its ways of reading, all codecs and page
versions, every type and encoding that it knows, in one session; and that what it skips by
statistics, page indexes, dictionaries and Bloom filters is none of what was asked for."""

import re

import parquet_pruning
import parquet_tool
import pyarrow as pa
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
            asked = {name: encodings[name] for name in names if name in encodings}
            said = {**options, **VARIANTS[variant]}
            parquet_tool.write(data.select(names), path, encoding=asked, **said)
        assert_reads(spark, data.select(names), paths, vectorized)


def test_spark_reads_dictionaries_runs_and_views(spark, tmp_path):
    data = coded(seed=4, rows=SPARK_ROWS)
    paths = [tmp_path / f"v{version}.parquet" for version in (1, 2)]
    options = {"page_values": SPARK_ROWS // 3, "row_group_rows": SPARK_ROWS}
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


# ---- skipping ------------------------------------------------------------------------------------


def sql_literal(value, kind):
    plain = value.as_py()
    if pa.types.is_decimal(kind):
        return f"CAST('{plain}' AS DECIMAL({kind.precision}, {kind.scale}))"
    if kind == pa.uint64():
        return f"CAST('{plain}' AS DECIMAL(20, 0))"
    if pa.types.is_floating(kind):
        return f"CAST('{plain!r}' AS {'FLOAT' if kind == pa.float32() else 'DOUBLE'})"
    if pa.types.is_string(kind):
        return f"'{plain}'"
    if isinstance(plain, bytes):
        return f"X'{plain.hex()}'"
    if pa.types.is_date(kind):
        return f"DATE'{plain}'"
    if pa.types.is_timestamp(kind):
        zone = "TIMESTAMP" if kind.tz else "TIMESTAMP_NTZ"
        return f"{zone}'{plain.replace(tzinfo=None)}'"
    return str(plain).lower()


# NaN is above all numbers and equal to itself here.
SQL = {
    "=": lambda a, b: a == b or a != a and b != b,
    "<": lambda a, b: a < b or b != b and a == a,
    ">=": lambda a, b: a >= b or a != a,
}


@pytest.mark.timeout(300)
def test_spark_finds_what_it_does_not_skip(spark, tmp_path):
    tables = parquet_pruning.tables()
    tables = {order: tables[order].drop_columns(["time"]) for order in ("ascending", "blocks")}
    paths = {order: tmp_path / f"{order}.parquet" for order in tables}
    names = tables["ascending"].column_names
    options = {
        "row_group_rows": parquet_pruning.GROUP_ROWS,
        "page_values": parquet_pruning.PAGE_ROWS,
        "bound_bytes_max": 16,
        "bloom": [name for name in names if name not in ("bool", "only_nulls")],
    }
    for order, path in paths.items():
        parquet_tool.write(tables[order], path, **options)

    def found(where):
        files = spark.ask(paths.values(), {"id": "id"}, where=where)
        return {
            order: [row["id"] for row in rows] for order, rows in zip(paths, files, strict=True)
        }

    def wanted(name, keep):
        columns = {
            order: (data[name].to_pylist(), data["id"].to_pylist())
            for order, data in tables.items()
        }
        return {
            order: [i for v, i in zip(vs, ids, strict=True) if keep(v)]
            for order, (vs, ids) in columns.items()
        }

    for number, name in enumerate(names):
        column = tables["blocks"][name]
        asked = parquet_pruning.literals(column)
        ranged = [(asked[1], "<" if number % 4 == 0 else ">=")] if number % 2 == 0 and asked else []
        asked = [(asked[0], "="), *ranged] if asked else []
        if name in ("nans", "zeros"):
            values = [(float("nan"), "="), (1e300, ">="), (0.0, "="), (-0.0, ">=")]
            asked += [(pa.scalar(value, column.type), said) for value, said in values]
        for literal, said in asked:
            compare, value = SQL[said], literal.as_py()
            where = f"{name} {said} {sql_literal(literal, column.type)}"
            keep = wanted(name, lambda v, c=compare, b=value: v is not None and c(v, b))
            assert found(where) == keep, where
        if number % 4 == 0 or name == "only_nulls":
            assert found(f"{name} IS NULL") == wanted(name, lambda v: v is None), name
