"""Flight SQL's statements, sessions, transactions and split results, by hand and by ADBC."""

import concurrent.futures
import json
import threading
import time

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_sql import Client, any_of, field, fields

from server import wait_until

pytestmark = pytest.mark.asan

ERRORS = (flight.FlightError, pa.ArrowException)

CONFIG = "flight:\n  transaction_idle_s: 1\n  handle_idle_s: 1\n  session_idle_s: 1\n"
LIMITS = "flight:\n  handles_max: 5\n  sessions_max: 3\n"
TOKENS = (
    "auth:\n  tokens:\n"
    "    one: {token: one-token-0123456789, scopes: [read, write, admin]}\n"
    "    two: {token: two-token-0123456789, scopes: [read]}\n"
)


def option(name, value):
    """An entry of SetSessionOptions."""
    if isinstance(value, int):
        inner = b"\x19" + value.to_bytes(8, "little", signed=True)
    else:
        inner = field(1, value)
    return field(1, field(1, name) + field(2, inner))


def bearer(token):
    return ((b"authorization", f"Bearer {token}".encode()),)


def test_a_query_says_its_schema_before_it_runs(server):
    with Client(server) as client:
        info = client.info("SELECT 1::BIGINT AS n, 'x' AS v")
        assert info.schema == pa.schema([("n", pa.int64()), ("v", pa.string())])
        assert client.read(info.endpoints[0]).to_pylist() == [{"n": 1, "v": "x"}]
        with pytest.raises(ERRORS, match="nothing_there"):
            client.info("SELECT * FROM nothing_there")


def test_a_statement_without_rows_answers_with_none_and_has_run(start):
    with Client(start()) as client:
        made = client.query("CREATE TABLE t AS SELECT 1 AS n")
        assert made.num_columns == 0 and made.num_rows == 0
        assert client.query("INSERT INTO t VALUES (2)").num_columns == 0
        assert client.value("SELECT count(*) FROM t") == 2


def test_a_transaction_is_seen_when_it_is_committed(start):
    server = start()
    with Client(server) as client, Client(server) as other:
        client.query("CREATE TABLE t (n INTEGER)")
        transaction = client.begin()
        client.query("INSERT INTO t VALUES (1)", transaction)
        assert client.value("SELECT count(*) FROM t", transaction) == 1
        assert other.value("SELECT count(*) FROM t") == 0
        client.end(transaction)
        assert other.value("SELECT count(*) FROM t") == 1
        transaction = client.begin()
        client.query("CREATE TABLE made AS SELECT 1 AS n", transaction)
        client.query("ALTER TABLE t ADD COLUMN v INTEGER", transaction)
        client.end(transaction, commit=False)
        assert other.value("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'made'") == 0
        with pytest.raises(ERRORS, match="no such transaction"):
            client.end(transaction)
        # Whoever alters tables was alone; now everybody may again.
        other.query("ALTER TABLE t ADD COLUMN w INTEGER")


def ingest(client, table, rows, transaction=None, exists=1):
    """CommandStatementIngest; if_exists 1: fail, 2: append, 3: replace. How many rows it counts."""
    parts = [field(1, bytes([8, 1, 16, exists])), field(2, table)]
    if transaction is not None:
        parts.append(field(6, transaction))
    command = any_of("CommandStatementIngest", b"".join(parts))
    writer, reader = client.flight.do_put(
        flight.FlightDescriptor.for_command(command), rows.schema, client.options
    )
    with writer:
        writer.write_table(rows)
        writer.done_writing()
        answer = reader.read()
    return fields(answer.to_pybytes())[1]


def test_bulk_ingest_is_part_of_its_transaction(start):
    server = start()
    rows = pa.table({"n": [1, 2, 3], "v": ["a", None, "c"]})
    with Client(server) as client, Client(server) as other:
        for commit, count in ((False, 0), (True, 6)):
            transaction = client.begin()
            assert ingest(client, "t", rows, transaction) == 3
            assert ingest(client, "t", rows, transaction, exists=2) == 3
            assert client.value("SELECT count(*) FROM t", transaction) == 6
            assert other.value("SELECT count(*) FROM duckdb_tables() WHERE table_name = 't'") == 0
            client.end(transaction, commit=commit)
            assert server.has_table("t") == commit
            assert not commit or other.value("SELECT count(*) FROM t") == count
        with pytest.raises(ERRORS, match="already"):
            ingest(client, "t", rows)
        # One that fails takes its transaction along, as any statement does.
        transaction = client.begin()
        client.query("INSERT INTO t VALUES (4, 'd')", transaction)
        with pytest.raises(ERRORS):
            ingest(client, "t", pa.table({"n": ["no number"]}), transaction, exists=2)
        client.end(transaction, commit=False)
        assert other.value("SELECT count(*) FROM t") == 6
        assert ingest(client, "t", pa.table({"other": [1.5]}), exists=3) == 1
        assert other.value("SELECT other FROM t") == 1.5


def test_a_transaction_that_failed_can_only_be_rolled_back(start):
    with Client(start()) as client:
        client.query("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        transaction = client.begin()
        client.query("INSERT INTO t VALUES (1)", transaction)
        with pytest.raises(ERRORS):
            client.query("INSERT INTO t VALUES (1)", transaction)
        with pytest.raises(ERRORS, match="can only be rolled back"):
            client.query("SELECT 1", transaction)
        with pytest.raises(ERRORS, match="can only be rolled back"):
            client.end(transaction)
        assert client.value("SELECT count(*) FROM t") == 0
        transaction = client.begin()
        with pytest.raises(ERRORS):
            client.query("SELECT wrong FROM t", transaction)
        client.end(transaction, commit=False)


def test_savepoints_and_substrait_are_refused_by_name(server):
    with Client(server) as client:
        with pytest.raises(ERRORS, match="savepoints"):
            client.sql_action("BeginSavepoint", "ActionBeginSavepointRequest")
        descriptor = flight.FlightDescriptor.for_command(any_of("CommandStatementSubstraitPlan"))
        with pytest.raises(ERRORS, match="Substrait"):
            client.flight.get_flight_info(descriptor)


def test_prepared_statements_say_schema_and_parameters(server):
    with Client(server) as client:
        made = client.prepare("SELECT range + ?::BIGINT AS n FROM range(3)")
        schema = pa.ipc.read_schema(pa.BufferReader(made[2]))
        parameters = pa.ipc.read_schema(pa.BufferReader(made[3]))
        assert schema.names == ["n"] and parameters.types == [pa.int64()]
        assert made.get(4, 0) == 0
        made = client.prepare("CREATE TABLE IF NOT EXISTS prepared_t (n INTEGER)")
        assert made[4] == 1 and made[2] and made[3]


def test_prepared_queries_run_until_they_are_closed(server):
    with Client(server) as client:
        handle = client.prepare("SELECT 42 AS n")[1]
        command = any_of("CommandPreparedStatementQuery", field(1, handle))
        descriptor = flight.FlightDescriptor.for_command(command)
        for _ in range(2):
            info = client.flight.get_flight_info(descriptor)
            assert info.schema.names == ["n"]
            assert client.read(info.endpoints[0]).to_pylist() == [{"n": 42}]
        client.action(
            "ClosePreparedStatement",
            any_of("ActionClosePreparedStatementRequest", field(1, handle)),
        )
        with pytest.raises(ERRORS, match="no such prepared statement"):
            client.flight.get_flight_info(descriptor)


def test_sessions_have_options_and_end(start):
    server = start()
    with Client(server, cookies=True) as client:
        with pytest.raises(ERRORS, match="cookie"):
            client.action("GetSessionOptions")
        client.query("CREATE SCHEMA s")
        client.query("CREATE TABLE s.t AS SELECT 5 AS n")
        answer = client.action(
            "SetSessionOptions",
            option("schema", "s") + option("endpoints", 4) + option("colour", "red"),
        )
        assert fields(fields(answer[0])[1])[1] == b"colour"
        assert client.jar.value is not None
        assert client.value("SELECT n FROM t") == 5
        told = client.action("GetSessionOptions")[0]
        assert b"schema" in told and b"endpoints" in told and b"colour" not in told
        wrong = client.action("SetSessionOptions", option("schema", "nowhere"))
        assert fields(fields(fields(wrong[0])[1])[2]) == {1: 2}
        assert client.value("SELECT n FROM t") == 5
        cookie = client.jar.value
        assert fields(client.action("CloseSession")[0]) == {1: 1}
        assert client.jar.value is None
        client.jar.value = cookie
        with pytest.raises(ERRORS, match="session"):
            client.action("GetSessionOptions")


def test_temporary_tables_are_of_a_session(start):
    server = start()
    with Client(server, cookies=True) as client, Client(server) as plain:
        client.query("CREATE TEMP TABLE tt AS SELECT 7 AS n")
        assert client.jar.value is not None
        assert client.value("SELECT n FROM tt") == 7
        with pytest.raises(ERRORS, match="tt"):
            plain.value("SELECT n FROM tt")
        # In a transaction, too; and what a transaction makes stays.
        transaction = client.begin()
        assert client.value("SELECT n FROM tt", transaction) == 7
        client.query("CREATE TEMP TABLE uu AS SELECT 8 AS n", transaction)
        client.end(transaction)
        assert client.value("SELECT n FROM uu") == 8
        client.query("CREATE TABLE temperatures AS SELECT 1 AS n")  # makes no session
        with pytest.raises(ERRORS, match="cookie"):
            plain.query("CREATE TEMP TABLE vv AS SELECT 9 AS n")
        plain.query("CREATE /* not seen */ TEMP TABLE vv AS SELECT 9 AS n")
        with pytest.raises(ERRORS, match="with_cookie_middleware"):
            plain.value("SELECT n FROM vv")


def test_statements_as_json_are_of_the_session_too(start):
    server = start()
    with Client(server, cookies=True) as client:

        def rows(sql, **more):
            wanted = json.dumps({"sql": sql, **more})
            info = client.flight.get_flight_info(flight.FlightDescriptor.for_command(wanted))
            parts = [client.read(endpoint) for endpoint in info.endpoints]
            written = client.flight.do_get(flight.Ticket(wanted)).read_all()
            assert pa.concat_tables(parts).equals(written)
            return written.to_pylist(), len(parts)

        client.query("CREATE SCHEMA s")
        client.query("CREATE TABLE s.there AS SELECT range AS n FROM range(300000)")
        client.query("CREATE TEMP TABLE scratch AS SELECT 7 AS n")
        assert rows("SELECT n FROM scratch") == ([{"n": 7}], 1)
        client.action("SetSessionOptions", option("schema", "s") + option("endpoints", 2))
        got, parts = rows("SELECT n FROM there ORDER BY n")
        assert (len(got), parts) == (300_000, 2)
        assert rows("SELECT n FROM there WHERE n = ?", params=[3]) == ([{"n": 3}], 1)


CREATE_TEMP = "CREATE TEMP TABLE scratch (n INTEGER)"


def test_a_temporary_table_is_not_lost_without_a_word(start):
    """arrow-go, and so ADBC, looks at a stream's cookies only when it is read to its end."""
    server = start()

    def update(cursor):
        cursor.adbc_statement.set_sql_query(CREATE_TEMP)
        cursor.adbc_statement.execute_update()

    def query(cursor):
        cursor.adbc_statement.set_sql_query(CREATE_TEMP)
        stream, _ = cursor.adbc_statement.execute_query()
        pa.RecordBatchReader._import_from_c(stream.address).read_all()

    def prepared(cursor):
        cursor.execute(CREATE_TEMP)

    def connect(cookies):
        kwargs = {"adbc.flight.sql.rpc.with_cookie_middleware": cookies}
        return dbapi.connect(f"grpc://127.0.0.1:{server.port}", db_kwargs=kwargs, autocommit=True)

    for run in (update, query, prepared):
        with connect("false") as adbc, adbc.cursor() as cursor:
            with pytest.raises((dbapi.Error, *ERRORS, OSError), match="cookie"):
                run(cursor)
        with connect("true") as adbc:
            with adbc.cursor() as cursor:
                if run is update:  # nothing comes before it that could tell the cookie
                    with pytest.raises(dbapi.Error, match="SetSessionOptions"):
                        run(cursor)
                    adbc.adbc_connection.set_options(**{"adbc.connection.db_schema": "main"})
                run(cursor)
            with adbc.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM scratch")
                assert cursor.fetchall() == [(0,)]
    with Client(server) as client:  # in a transaction it is the transaction's
        transaction = client.begin()
        client.query(CREATE_TEMP, transaction)
        assert client.value("SELECT count(*) FROM scratch", transaction) == 0
        client.end(transaction, commit=False)


def test_sql_alters_no_table_beside_a_transaction_that_has_changed_rows(start):
    """DuckDB's ALTER ... TYPE takes up what others have updated and not committed."""
    server = start(config="streams:\n  t: {schema_policy: merge}\n")
    alter = "ALTER TABLE t ALTER v TYPE BIGINT"
    with Client(server) as client:
        client.query("CREATE TABLE t (id INTEGER, v INTEGER)")
        client.query("INSERT INTO t VALUES (1, 1)")
        reading = client.begin()
        assert client.value("SELECT v FROM t", reading) == 1
        client.query("ALTER TABLE t ALTER v TYPE UINTEGER")  # who only reads stops nobody
        client.end(reading)
        transaction = client.begin()
        client.query("UPDATE t SET v = 7", transaction)
        answer = server.query(alter)
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT"), answer.text
        # A load that has to widen the column is refused, or lands beside what is committed.
        wide = pa.table({"id": pa.array([2], pa.int32()), "v": pa.array([2**40])})
        assert server.ingest("t", wide).status_code in (200, 409, 503)
        client.end(transaction, commit=False)
        assert client.value("SELECT v FROM t WHERE id = 1") == 1
        transaction = client.begin()  # it may alter what it has not changed
        client.query("CREATE TABLE other (v INTEGER)", transaction)
        client.query("INSERT INTO t VALUES (4, 4)", transaction)
        client.query("ALTER TABLE other ALTER v TYPE BIGINT", transaction)
        client.end(transaction)
        assert client.value("SELECT v FROM t WHERE id = 4") == 4
        server.query(alter).raise_for_status()


def test_handles_and_sessions_are_their_owners(start):
    server = start(config=TOKENS)
    one = Client(server, cookies=True, headers=bearer("one-token-0123456789"))
    two = Client(server, cookies=True, headers=bearer("two-token-0123456789"))
    with one, two:
        handle = one.prepare("SELECT 1")[1]
        transaction = one.begin()
        command = any_of("CommandPreparedStatementQuery", field(1, handle))
        with pytest.raises(ERRORS, match="no such prepared statement"):
            two.flight.get_flight_info(flight.FlightDescriptor.for_command(command), two.options)
        with pytest.raises(ERRORS, match="no such transaction"):
            two.query("SELECT 1", transaction)
        with pytest.raises(ERRORS, match="no such transaction"):
            two.end(transaction, commit=False)
        one.action("SetSessionOptions", option("endpoints", 2))
        two.jar.value = one.jar.value
        with pytest.raises(ERRORS, match="not this user's"):
            two.action("GetSessionOptions")
        two.jar.value = None
        with pytest.raises(ERRORS, match="only statements that read"):
            two.query("CREATE TABLE t (n INTEGER)")
        reading = two.begin()
        with pytest.raises(ERRORS, match="only statements that read"):
            two.query("CREATE TABLE t (n INTEGER)", reading)
        one.end(transaction)


def test_who_may_only_write_runs_no_statements(start):
    tokens = TOKENS + "    writer: {token: writer-token-0123456789, scopes: [write]}\n"
    server = start(config=tokens)
    with Client(server, headers=bearer("one-token-0123456789")) as client:
        client.query("CREATE TABLE t AS SELECT 1 AS n")
    with Client(server, headers=bearer("writer-token-0123456789")) as client:
        # The number of rows would tell what is in them.
        for sql in ("SELECT n FROM t WHERE n = 1", "INSERT INTO t SELECT n FROM t"):
            with pytest.raises(flight.FlightUnauthorizedError, match="read"):
                client.put(any_of("CommandStatementUpdate", field(1, sql)))
            with pytest.raises(flight.FlightUnauthorizedError, match="read"):
                client.info(sql)
        for command in ('{"sql": "SELECT 1"}', '{"table": "t"}'):
            with pytest.raises(flight.FlightUnauthorizedError, match="read"):
                client.flight.do_get(flight.Ticket(command), client.options).read_all()
        with pytest.raises(flight.FlightUnauthorizedError, match="read"):
            path = flight.FlightDescriptor.for_path("nothing_there")
            client.flight.get_flight_info(path, client.options)
    # ADBC asks for SqlInfo when it connects.
    kwargs = {"adbc.flight.sql.authorization_header": "Bearer writer-token-0123456789"}
    uri = f"grpc://127.0.0.1:{server.port}"
    with dbapi.connect(uri, db_kwargs=kwargs, autocommit=True) as adbc:
        assert adbc.adbc_get_info()["vendor_name"] == "Arrowport"
        with adbc.cursor() as cursor:
            rows = pa.table({"n": pa.array([2], pa.int32())})
            assert cursor.adbc_ingest("t", rows, mode="append") == 1


def test_what_nobody_uses_ends(start):
    server = start(config=CONFIG)
    with Client(server) as client, Client(server, cookies=True) as keeps:
        client.query("CREATE TABLE t (n INTEGER)")
        transaction = client.begin()
        client.query("INSERT INTO t VALUES (1)", transaction)
        handles = [client.prepare("SELECT 1")[1] for _ in range(200)]
        keeps.query("CREATE TEMP TABLE tt AS SELECT 1 AS n")
        time.sleep(2.5)
        with pytest.raises(ERRORS, match="rolled back"):
            client.query("SELECT 1", transaction)
        assert client.value("SELECT count(*) FROM t") == 0
        command = any_of("CommandPreparedStatementQuery", field(1, handles[0]))
        with pytest.raises(ERRORS, match="no such prepared statement"):
            client.flight.get_flight_info(flight.FlightDescriptor.for_command(command))
        with pytest.raises(ERRORS, match="tt"):
            keeps.query("SELECT * FROM tt")


def test_there_are_so_many_and_no_more(start):
    server = start(config=LIMITS)
    with Client(server) as client:
        handles = [client.prepare("SELECT 1")[1] for _ in range(5)]
        with pytest.raises(ERRORS, match="handles_max"):
            client.prepare("SELECT 1")
        client.action(
            "ClosePreparedStatement",
            any_of("ActionClosePreparedStatementRequest", field(1, handles[0])),
        )
        client.prepare("SELECT 1")
        clients = [Client(server, cookies=True) for _ in range(4)]
        for each in clients[:3]:
            each.action("SetSessionOptions", option("endpoints", 2))
            each.prepare("SELECT 1")
        with pytest.raises(ERRORS, match="sessions_max"):
            clients[3].action("SetSessionOptions", option("endpoints", 2))
        for each in clients:
            each.flight.close()


def test_split_results_are_one_snapshot_read_in_parallel(start):
    server = start()
    with Client(server, headers=[(b"x-arrowport-endpoints", b"4")]) as client:
        client.query("CREATE TABLE t AS SELECT range AS n FROM range(300000)")
        stop = threading.Event()

        def write():
            with Client(server) as writer:
                while not stop.is_set():
                    writer.query("INSERT INTO t SELECT -1 FROM range(1000)")

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            writing = pool.submit(write)
            wait_until(lambda: client.value("SELECT count(*) FROM t") > 300000, "writing")
            info = client.info("SELECT n, count(*) OVER () AS c FROM t ORDER BY n")
            assert len(info.endpoints) == 4 and info.ordered
            parts = list(pool.map(client.read, reversed(info.endpoints)))[::-1]
            stop.set()
            writing.result()
        whole = pa.concat_tables(parts)
        assert whole.num_rows == info.total_records == whole["c"][0].as_py()
        assert whole["n"].to_pylist() == sorted(whole["n"].to_pylist())
        assert client.read(info.endpoints[1]).equals(parts[1])  # and again
        client.action("CancelFlightInfo", field(1, info.serialize()))
        with pytest.raises(ERRORS):
            client.read(info.endpoints[2])
        with pytest.raises(ERRORS, match="x-arrowport-endpoints"):
            options = flight.FlightCallOptions(headers=[(b"x-arrowport-endpoints", b"many")])
            client.info("SELECT 1", options=options)


def test_a_query_ends_by_its_deadline_and_by_cancelling(server):
    slow = "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE a.range + b.range = 3"
    with Client(server) as client, Client(server) as other:
        info = client.info(slow)
        began = time.monotonic()
        with pytest.raises(ERRORS):
            options = flight.FlightCallOptions(timeout=1)
            client.flight.do_get(info.endpoints[0].ticket, options).read_all()
        assert time.monotonic() - began < 20
        info = client.info(slow)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            reading = pool.submit(client.read, info.endpoints[0])
            time.sleep(0.5)
            message = field(1, info.serialize())
            answer = other.sql_action("CancelQuery", "ActionCancelQueryRequest", message)
            assert answer == {1: 1}
            with pytest.raises(ERRORS):
                reading.result(timeout=20)


def test_adbc_runs_statements_parameters_and_transactions(start):
    server = start()
    uri = f"grpc://127.0.0.1:{server.port}"
    with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (n BIGINT, v VARCHAR)")
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, "b"), (3, None)])
        assert cursor.rowcount == 3
        cursor.execute("SELECT * FROM t WHERE n > ? ORDER BY n", (1,))
        assert cursor.fetchall() == [(2, "b"), (3, None)]
        cursor.execute("SELECT ? + 1 AS x", (41,))
        assert cursor.fetchall() == [(42,)]
        with pytest.raises(dbapi.ProgrammingError, match="nope"):
            cursor.execute("SELECT nope FROM t")
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (4, 'd')")
        connection.rollback()
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(3,)]
        cursor.execute("INSERT INTO t VALUES (5, 'e')")
        connection.commit()
    with Client(server) as client:
        assert client.value("SELECT count(*) FROM t") == 4
    cookies = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    with (
        dbapi.connect(uri, autocommit=True, db_kwargs=cookies) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE TEMP TABLE tt AS SELECT 7 AS x")
        cursor.execute("SELECT * FROM tt")
        assert cursor.fetchall() == [(7,)]
