"""ADBC's Flight SQL driver (Go) against the server: statements, parameters, transactions, bulk
ingest, partitions, who may. What it makes of metadata is in test_flight_sql_metadata.py."""

import datetime
import decimal
import threading

import adbc_driver_flightsql.dbapi as adbc
import polars as pl
import pyarrow as pa
import pytest
from certs import Authority
from test_access import hash_of

from flight import client, path, read
from server import wait_until

TOKEN = "adbc-0123456789abcdef"
READER = "read-0123456789abcdef"
AUTH = f"""
auth:
  tokens:
    all: {{token: {TOKEN}, scopes: [admin, read, write]}}
    reader: {{token: {READER}, scopes: [read]}}
  users:
    anna: {{password_hash: '{hash_of("secret")}', scopes: [read]}}
"""
HEADER = "adbc.flight.sql.rpc.call_header."
COOKIES = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
ROWS = pa.table({"a": pa.array([1, 2, None], pa.int64()), "b": ["x", None, "wörd"]})
TYPES = pa.table(
    {
        "i8": pa.array([1, None], pa.int8()),
        "u64": pa.array([2**64 - 1, None], pa.uint64()),
        "f32": pa.array([1.5, None], pa.float32()),
        "yes": pa.array([True, None]),
        "text": pa.array(["wörd", None]),
        "data": pa.array([b"\x00\xff", None]),
        "price": pa.array([decimal.Decimal("-12.34"), None], pa.decimal128(9, 2)),
        "day": pa.array([datetime.date(2024, 2, 29), None]),
        "clock": pa.array([datetime.time(12, 34, 56, 123456), None], pa.time64("us")),
        "at_us": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None], pa.timestamp("us")),
        "at_ns": pa.array([1709168523000000004, None], pa.timestamp("ns")),
        "zoned": pa.array([1709168523000004, None], pa.timestamp("us", "UTC")),
        "list": pa.array([[1, None, 3], None], pa.list_(pa.int32())),
        "pair": pa.array([{"x": 1, "y": "z"}, None]),
        "dict": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
    }
)


def connect(server, *, scheme="grpc", host="127.0.0.1", autocommit=True, token=None, **options):
    given = dict(options)
    if token:
        given["adbc.flight.sql.authorization_header"] = f"Bearer {token}"
    return adbc.connect(f"{scheme}://{host}:{server.port}", db_kwargs=given, autocommit=autocommit)


@pytest.fixture
def connection(server):
    with connect(server) as opened:
        yield opened


@pytest.fixture
def cursor(connection):
    with connection.cursor() as opened:
        yield opened


def rows(cursor, sql, parameters=None):
    cursor.execute(sql, parameters)
    return cursor.fetchall()


@pytest.mark.asan
def test_statements_and_parameters(cursor, name):
    cursor.execute(f"CREATE TABLE {name} (n BIGINT, s VARCHAR)")
    cursor.execute(f"INSERT INTO {name} VALUES (?, ?), (?, ?)", (1, "a", 2, None))
    assert rows(cursor, f"SELECT * FROM {name} ORDER BY n") == [(1, "a"), (2, None)]
    assert rows(cursor, f"SELECT * FROM {name} WHERE n = ? AND s = ?", (1, "a")) == [(1, "a")]
    assert rows(cursor, f"SELECT * FROM {name} WHERE n = ?", (77,)) == []
    cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [(i, f"s{i}") for i in range(3, 103)])
    assert cursor.rowcount == 100
    cursor.executemany(f"UPDATE {name} SET s = ? WHERE n = ?", [("u", 1), ("v", 2), ("w", 999)])
    assert cursor.rowcount == 2
    got = rows(cursor, f"SELECT count(*), sum(n)::BIGINT, min(s), max(s) FROM {name}")
    assert got == [(102, sum(range(103)), "s10", "v")]
    cursor.execute(f"DELETE FROM {name} WHERE n > 2")
    assert rows(cursor, f"SELECT s FROM {name} ORDER BY n") == [("u",), ("v",)]


def test_parameters_of_every_kind(cursor):
    values = (
        *(2**40, -1.5, "wörd", b"\x00\xff", True, decimal.Decimal("12.50")),
        *(datetime.date(2024, 2, 29), datetime.time(12, 34, 56, 789)),
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789),
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789, datetime.UTC),
    )
    names = ", ".join(f"? AS c{i}" for i in range(len(values)))
    (got,) = rows(cursor, f"SELECT {names}", values)
    assert got == values
    assert rows(cursor, "SELECT ?::INTEGER IS NULL", (None,)) == [(True,)]


def test_schemas_are_told_before_anything_runs(cursor):
    schema = cursor.adbc_execute_schema("SELECT 1 AS a, 'x' AS b, [1.5] AS c WHERE false")
    assert schema.names == ["a", "b", "c"] and schema.types[:2] == [pa.int32(), pa.string()]
    asked = cursor.adbc_prepare("SELECT ?::INTEGER, ?::VARCHAR, ?::DECIMAL(9,2)")
    assert asked.types == [pa.int32(), pa.string(), pa.decimal128(9, 2)]


def test_errors_say_what_is_wrong(cursor, name):
    for sql, words in (
        ("SELECT * FROM nowhere", "nowhere does not exist"),
        ("SELEC 1", "syntax error"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
    ):
        with pytest.raises(adbc.ProgrammingError, match=words):
            rows(cursor, sql)
    with pytest.raises(adbc.ProgrammingError, match="1 parameters, but 2"):
        cursor.execute("SELECT ?", (1, 2))
    cursor.execute(f"CREATE TABLE {name} (i INTEGER PRIMARY KEY)")
    with pytest.raises(adbc.Error, match="[Dd]uplicate key"):
        cursor.executemany(f"INSERT INTO {name} VALUES (?)", [(1,), (2,), (1,)])
    assert rows(cursor, f"SELECT count(*) FROM {name}") == [(0,)]  # all of them or none
    assert rows(cursor, "SELECT 1") == [(1,)]


@pytest.mark.asan
def test_a_transaction_is_seen_by_itself_until_it_is_committed(server, name):
    server.land(name, ROWS)
    count = f"SELECT count(*) AS n FROM {name}"
    with connect(server, autocommit=False) as connection:
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [(7, "t"), (8, "t")])
            assert rows(cursor, count) == [(5,)]
            assert server.value(count) == 3
        connection.rollback()
        assert server.value(count) == 3
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", ROWS)
            cursor.execute(f"INSERT INTO {name} VALUES (9, 'u')")
            assert rows(cursor, count) == [(7,)]
            assert server.value(count) == 3
        connection.commit()
        assert server.value(count) == 7
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {name}")
    assert server.value(count) == 7  # what is closed without a commit is rolled back


@pytest.mark.asan
def test_ingest_in_all_modes(server, connection, name):
    def ingest(data, mode, **options):
        with connection.cursor() as cursor:
            return cursor.adbc_ingest(name, data, mode=mode, **options)

    def landed():
        return server.arrow(f"SELECT * FROM {name} ORDER BY ALL")

    with pytest.raises(adbc.ProgrammingError, match=f"there is no table {name}"):
        ingest(ROWS, "append")
    assert ingest(ROWS, "create") == 3
    assert landed().equals(ROWS)
    with pytest.raises(adbc.Error, match=f"there is a table {name} already"):
        ingest(ROWS, "create")
    assert ingest(ROWS.slice(0, 1), "append") == 1
    assert landed().num_rows == 4
    with pytest.raises(adbc.Error, match='no column "other"'):
        ingest(pa.table({"other": [1]}), "append")
    assert landed().num_rows == 4
    assert ingest(pa.table({"other": [1]}), "replace") == 1
    assert landed().to_pydict() == {"other": [1]}
    assert ingest(pa.table({"other": [2]}), "create_append") == 1
    assert landed().to_pydict() == {"other": [1, 2]}
    server.query(f"DROP TABLE {name}")
    assert ingest(ROWS, "create_append") == 3
    assert landed().equals(ROWS)


def test_ingest_where_it_is_told(server, connection, name):
    catalog = server.value("SELECT current_database() AS c")
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}_s")
    with connection.cursor() as cursor:
        cursor.adbc_ingest(
            name, ROWS, mode="create", catalog_name=catalog, db_schema_name=f"{name}_s"
        )
    assert server.value(f"SELECT count(*) AS n FROM {name}_s.{name}") == 3
    sql = "SELECT count(*) AS n FROM duckdb_tables() WHERE table_name = ?"
    assert server.value(sql, params=[name]) == 1
    for options, words in (
        ({"catalog_name": "nowhere"}, "nowhere"),
        ({"db_schema_name": "nowhere"}, "nowhere"),
    ):
        with connection.cursor() as cursor, pytest.raises(adbc.Error, match=words):
            cursor.adbc_ingest(name, ROWS, mode="create_append", **options)


def test_temporary_tables_are_a_sessions(server, name):
    server.land(name, pa.table({"not": ["this one"]}))
    with connect(server, **COOKIES) as own, connect(server, **COOKIES) as other:
        with own.cursor() as cursor:
            with pytest.raises(adbc.ProgrammingError, match="there is no table"):
                cursor.adbc_ingest(name, ROWS, mode="append", temporary=True)
        for mode, count in (("create", 3), ("append", 6), ("replace", 3), ("create_append", 6)):
            with own.cursor() as cursor:
                assert cursor.adbc_ingest(name, ROWS, mode=mode, temporary=True) == 3
            with own.cursor() as cursor:
                assert rows(cursor, f"SELECT count(*), max(a) FROM {name}") == [(count, 2)]
        with other.cursor() as cursor:
            assert rows(cursor, f"SELECT * FROM {name}") == [("this one",)]
    assert server.rows(f"SELECT * FROM {name}") == [{"not": "this one"}]


def test_every_type_there_and_back(server, connection, name):
    with connection.cursor() as cursor:
        cursor.adbc_ingest(name, TYPES, mode="create")
        cursor.execute(f"SELECT * FROM {name}")
        got = cursor.fetch_arrow_table()
    assert got.to_pylist() == TYPES.to_pylist()
    same = set(TYPES.column_names) - {"dict", "list"}  # whose inner fields have other names
    assert {n: got.schema.field(n).type for n in same} == {
        n: TYPES.schema.field(n).type for n in same
    }
    # The others read the same.
    with client(server) as other:
        assert read(other, path(name)).to_pylist() == got.to_pylist()
    assert server.arrow(f"SELECT * FROM {name}").to_pylist() == got.to_pylist()


def test_many_batches_there_and_back(server, connection, flights, name):
    reader = pa.RecordBatchReader.from_batches(
        flights.schema, flights.to_batches(max_chunksize=10_000)
    )
    with connection.cursor() as cursor:
        assert cursor.adbc_ingest(name, reader, mode="create") == 200_000
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name}")
        got = cursor.fetch_arrow_table()
    assert got.equals(flights)
    assert server.arrow(f"SELECT * FROM {name}").equals(flights)


def test_polars_reads_and_writes(server, connection, name):
    server.land(name, ROWS)
    got = pl.read_database(f"SELECT * FROM {name} WHERE a > 0 ORDER BY a", connection)
    assert got.rows() == [(1, "x"), (2, None)]
    frame = pl.DataFrame({"q": [1, None], "w": ["x", "y"]})
    assert frame.write_database(f"{name}_w", connection, engine="adbc") == 2
    assert pl.read_database(f"SELECT * FROM {name}_w", connection).equals(frame)
    frame.write_database(f"{name}_w", connection, engine="adbc", if_table_exists="append")
    assert server.value(f"SELECT count(*) AS n FROM {name}_w") == 4


def test_partitions_are_read_by_other_connections(server):
    sql = "SELECT i, i % 7 AS k FROM range(1000000) t(i)"
    with (
        connect(server, **{HEADER + "x-arrowport-endpoints": "4"}) as connection,
        connection.cursor() as cursor,
    ):
        parts, schema = cursor.adbc_execute_partitions(sql)
        assert len(parts) == 4 and schema.names == ["i", "k"]
        found = []

        def take(part):
            with connect(server) as own, own.cursor() as reader:
                reader.adbc_read_partition(part)
                found.append(reader.fetch_arrow_table())

        readers = [threading.Thread(target=take, args=(part,)) for part in parts]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(60)
        numbers = sorted(n for table in found for n in table["i"].to_pylist())
        assert numbers == list(range(1_000_000))


def test_cancelling_ends_the_statement(server, cursor):
    endless = (
        "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b "
        "WHERE (a.range ^ b.range) % 7 = 3"
    )
    timer = threading.Timer(0.5, cursor.adbc_cancel)
    timer.start()
    with pytest.raises(adbc.Error, match="(?i)cancel"):
        rows(cursor, endless)
    timer.join()

    def idle():
        return "arrowport_queries_running 0" in server.get("/metrics").text

    wait_until(idle, "the statement has ended")


def test_tokens_and_users(start):
    server = start(config=AUTH)
    with connect(server, token=TOKEN) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("t", ROWS, mode="create")
        assert rows(cursor, "SELECT count(*) FROM t") == [(3,)]
    basic = {"username": "anna", "password": "secret"}
    for options in (basic, {"token": READER}):
        with connect(server, **options) as connection, connection.cursor() as cursor:
            assert rows(cursor, "SELECT max(a) FROM t") == [(2,)]
            with pytest.raises(adbc.Error, match="write"):
                cursor.adbc_ingest("t", ROWS, mode="append")
            with pytest.raises(adbc.Error, match="DROP writes, and only"):
                cursor.execute("DROP TABLE t")
    for options, words in (
        ({}, "wants to know who asks"),
        ({"token": "wrong-0123456789abcdef"}, "none that this server knows"),
        ({"username": "anna", "password": "wrong"}, "no user of this name"),
    ):
        with pytest.raises(adbc.Error, match=words):
            with connect(server, **options) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")


def test_tls(start, tmp_path):
    ca = Authority(tmp_path)
    files = ca.issue("server")
    server = start(config=f"tls: {{cert: {files.cert}, key: {files.key}}}\n" + AUTH)
    trusted = {"adbc.flight.sql.client_option.tls_root_certs": ca.cert.read_text()}
    with (
        connect(server, scheme="grpc+tls", host="localhost", token=TOKEN, **trusted) as connection,
        connection.cursor() as cursor,
    ):
        assert cursor.adbc_ingest("t", ROWS, mode="create") == 3
        assert rows(cursor, "SELECT count(*) FROM t") == [(3,)]
    with pytest.raises(adbc.Error, match="(?i)certificate"):
        with (
            connect(server, scheme="grpc+tls", host="localhost", token=TOKEN) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1")
