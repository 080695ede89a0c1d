"""Parquet and compressed Arrow out of /query, read by others."""

import io
import os
import pathlib

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from server import ARROW, ipc, problem, read_arrow

PARQUET = "application/vnd.apache.parquet"


def parquet(server, sql, query=""):
    answer = server.post(
        "/query" + query,
        data=sql.encode(),
        headers={"Content-Type": "application/sql", "Accept": PARQUET},
    )
    if answer.status_code == 200:
        assert answer.headers["Content-Type"] == PARQUET
    return answer


def open_files(server):
    return sorted(os.readlink(p) for p in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir())


def test_rows_are_the_same_for_every_reader(server, tmp_path):
    sql = """SELECT range AS id, 'word ' || range % 97 AS word, range::DECIMAL(18,3) / 8 AS price,
               CASE WHEN range % 5 > 0 THEN range::DOUBLE / 3 END AS ratio, [range, NULL] AS list,
               {'a': range, 'b': 'x'} AS pair, range::UBIGINT AS big, range % 2 = 0 AS even,
               TIMESTAMP '2020-01-01' + INTERVAL (range) SECOND AS stamp,
               DATE '2020-01-01' + range::INTEGER % 365 AS day, encode('b' || range) AS bytes
             FROM range(200000)"""
    answer = parquet(server, sql)
    assert answer.status_code == 200, answer.text
    wanted = server.arrow(sql)
    got = pq.read_table(io.BytesIO(answer.content))
    assert got.column_names == wanted.column_names
    for name in wanted.column_names:
        assert got[name].to_pylist() == wanted[name].to_pylist(), name
    assert got.schema.field("price").type == wanted.schema.field("price").type
    assert got.schema.field("big").type == pa.uint64()
    polars = pl.read_parquet(io.BytesIO(answer.content))
    assert polars["id"].to_list() == list(range(200000))
    assert polars["ratio"].to_list() == wanted["ratio"].to_pylist()
    (tmp_path / "x.parquet").write_bytes(answer.content)
    held = duckdb.sql(
        f"SELECT count(*), sum(id), sum(price), max(stamp) FROM '{tmp_path}/x.parquet'"
    )
    there = server.rows(f"SELECT count(*) AS n, sum(id)::BIGINT AS s FROM ({sql})")[0]
    assert held.fetchone()[:2] == (there["n"], there["s"])


@pytest.mark.parametrize(
    "asked, codec",
    [
        ("", "ZSTD"),
        ("?compression=zstd:1", "ZSTD"),
        ("?compression=lz4", "LZ4"),
        ("?compression=none", "UNCOMPRESSED"),
    ],
)
def test_compression_of_parquet(server, asked, codec):
    answer = parquet(server, "SELECT range % 10 AS a FROM range(5000)", asked)
    file = pq.ParquetFile(io.BytesIO(answer.content))
    assert file.metadata.row_group(0).column(0).compression == codec
    assert file.read()["a"].to_pylist() == [i % 10 for i in range(5000)]


@pytest.mark.parametrize(
    "sql, word",
    [
        ("SELECT INTERVAL 1 DAY AS a", "interval"),
        ("SELECT [INTERVAL 1 DAY] AS a", "interval"),
        ("SELECT '01:02:03'::TIME_NS AS a", "nanoseconds"),
        ("SELECT 1 AS a, 2 AS A", "two columns"),
    ],
)
def test_what_parquet_would_change_is_refused_by_name(server, sql, word):
    problem(parquet(server, sql), 501, word)


def test_timestamps_keep_their_instants(server):
    answer = parquet(
        server,
        "SELECT TIMESTAMP_S '2020-02-03 04:05:06' AS s,"
        " TIMESTAMP_MS '2020-02-03 04:05:06.007' AS ms,"
        " TIMESTAMP_NS '2020-02-03 04:05:06.000000007' AS ns,"
        " TIMESTAMPTZ '2020-02-03 04:05:06+01' AS z",
    )
    table = pq.read_table(io.BytesIO(answer.content))
    types = [str(field.type) for field in table.schema]
    assert types == ["timestamp[us]", "timestamp[us]", "timestamp[ns]", "timestamp[us, tz=UTC]"]
    values = [table[i].cast(pa.int64())[0].as_py() for i in range(4)]
    assert values == [1580702706000000, 1580702706007000, 1580702706000000007, 1580699106000000]


def test_statements_without_rows_have_a_file_too(server, name):
    empty = parquet(server, f"CREATE TABLE {name} (a INTEGER)")
    assert empty.status_code == 200
    assert pq.read_table(io.BytesIO(empty.content)).to_pydict() == {"Count": []}
    inserted = parquet(server, f"INSERT INTO {name} VALUES (1), (2)")
    assert pq.read_table(io.BytesIO(inserted.content)).to_pydict() == {"Count": [2]}
    none = pq.read_table(io.BytesIO(parquet(server, f"FROM {name} WHERE a > 5").content))
    assert none.schema.field("a").type == pa.int32() and none.num_rows == 0


def test_an_error_comes_before_the_first_byte_and_leaves_no_file(server, name):
    before = open_files(server)
    answer = parquet(
        server, "SELECT CASE WHEN range = 400000 THEN error('late') END FROM range(500000)"
    )
    problem(answer, 400)
    server.rows(f"CREATE TABLE {name} (a INTEGER)")
    problem(parquet(server, f"INSERT INTO {name} VALUES (1) RETURNING INTERVAL 1 DAY"), 501)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 0
    assert not [f for f in open_files(server) if "deleted" in f and f not in before]
    assert not [f for f in os.listdir(server.directory) if "arrowport-" in f]


def test_arrow_is_compressed_for_those_who_say_that_they_can(server, name):
    sql = "SELECT range % 100 AS a, 'some words ' || range % 7 AS b FROM range(200000)"
    plain = server.query(sql, accept=ARROW)
    wanted = read_arrow(plain.content)

    def size(accept, query=""):
        answer = server.post(
            "/query" + query,
            data=sql.encode(),
            headers={"Content-Type": "application/sql", "Accept": accept},
        )
        assert answer.status_code == 200 and answer.headers["Content-Type"] == ARROW
        assert read_arrow(answer.content).equals(wanted)
        assert pl.read_ipc_stream(io.BytesIO(answer.content)).height == 200000
        return len(answer.content)

    whole = len(plain.content)
    for accept, query in (
        (ARROW + '; codecs="zstd, lz4"', ""),
        (ARROW + "; codecs=lz4", ""),
        (ARROW, "?compression=zstd"),
        (ARROW, "?compression=lz4:9"),
    ):
        assert size(accept, query) < whole / 2
    assert size(ARROW + "; codecs=zstd", "?compression=none") == whole
    assert size("*/*;q=0.1, " + ARROW) == whole
    table = server.arrow(sql)
    server.land(name, ipc(table, compression="zstd"))
    problem(server.get("/query?sql=SELECT%201&compression=brotli"), 400, "compression=brotli")
