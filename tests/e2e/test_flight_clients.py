"""Other people's clients against the server: flightsql-dbapi with its SQLAlchemy dialect, grpcurl,
ghz, and parallel readers of one result (threads into DuckDB, Dask). ADBC and JDBC have files of
their own."""

import json
import subprocess

import dask
import duckdb
import flightsql.sqlalchemy  # noqa: F401 (registers the dialect)
import pyarrow as pa
import pyarrow.flight as fl
import pytest
import sqlalchemy
from certs import Authority
from flight_sql import Client, any_of, field
from flightsql import FlightSQLClient
from flightsql import connect as dbapi_connect
from services import flight_peers
from sqlalchemy import text
from test_access import hash_of

from flight import client, path, read

TOKEN = "clients-0123456789abcdef"
AUTH = f"""
auth:
  tokens:
    all: {{token: {TOKEN}, scopes: [admin, read, write]}}
  users:
    anna: {{password_hash: '{hash_of("secret")}', scopes: [read]}}
"""
ROWS = pa.table({"a": pa.array([1, 2, None], pa.int64()), "b": ["x", None, "wörd"]})


# ---- flightsql-dbapi


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    from server import Server

    folder = tmp_path_factory.mktemp("clients")
    server = Server(folder, db="shop.duckdb", config=AUTH)
    yield server
    server.stop()


def open_client(server, **options):
    return FlightSQLClient(host="127.0.0.1", port=server.port, insecure=True, **options)


def fetch(opened, info):
    return pa.concat_tables(opened.do_get(e.ticket).read_all() for e in info.endpoints)


def test_flightsql_dbapi_runs_statements(guarded, name):
    opened = open_client(guarded, token=TOKEN)
    assert opened.execute_update(f"CREATE TABLE {name} (n BIGINT, s VARCHAR)") == 0
    assert opened.execute_update(f"INSERT INTO {name} VALUES (1, 'a'), (2, NULL)") == 2
    table = fetch(opened, opened.execute(f"SELECT * FROM {name} ORDER BY n"))
    assert table.to_pylist() == [{"n": 1, "s": "a"}, {"n": 2, "s": None}]
    with opened.prepare(f"SELECT s FROM {name} WHERE n = ?") as statement:
        for n, s in ((1, "a"), (2, None)):
            info = statement.execute(pa.record_batch({"n": [n]}))
            assert fetch(opened, info).to_pylist() == [{"s": s}]
    assert fetch(opened, opened.get_catalogs()).to_pylist() == [{"catalog_name": "shop"}]
    names = fetch(opened, opened.get_tables(table_name_filter_pattern=name))
    assert [row["table_name"] for row in names.to_pylist()] == [name]
    assert fetch(opened, opened.get_table_types()).num_rows == 3
    with pytest.raises(pa.ArrowInvalid, match="nowhere does not exist"):
        opened.execute("SELECT * FROM nowhere")


@pytest.mark.asan
def test_flightsql_dbapi_has_cursors_and_parameters(guarded, name):
    """Its parameters are dense unions, one of whose types holds the value."""
    with dbapi_connect(open_client(guarded, token=TOKEN)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE TABLE {name} AS SELECT i, 'w' || i AS w FROM range(10) t(i)")
        cursor.execute(f"SELECT i, w FROM {name} WHERE i > ? AND w <> ? ORDER BY i", [6, "w8"])
        assert cursor.fetchall() == [[7, "w7"], [9, "w9"]]
        cursor.execute("SELECT ?, ?, ?, ?", [1.5, True, "wörd", 2**40])
        assert cursor.fetchone() == [1.5, True, "wörd", 2**40]
        assert [c["name"] for c in connection.flightsql_get_columns(name)] == ["i", "w"]
        assert name in connection.flightsql_get_table_names()
        assert "main" in connection.flightsql_get_schema_names()


def union(codes, offsets, *members):
    made = [pa.array(codes, pa.int8()), pa.array(offsets, pa.int32()), list(members)]
    return pa.table({"p": pa.UnionArray.from_dense(*made)})


@pytest.mark.asan
@pytest.mark.parametrize(
    "parameters, want",
    [
        (union([1, 1], [1, 2], pa.array([9]), pa.array(["a", "b", None])), ["b", None]),
        (union([0], [0], pa.array([7]), pa.array(["a"])), ["7"]),
        (
            pa.table(
                {
                    "p": pa.UnionArray.from_sparse(
                        pa.array([1, 1], pa.int8()), [pa.array([1, 2]), pa.array(["x", "y"])]
                    )
                }
            ),
            ["x", "y"],
        ),
        (union([0, 1], [0, 0], pa.array([7]), pa.array(["a"])), "rows of several types"),
        (union([0, 0], [0, 2], pa.array([7, 8, 9]), pa.array(["a"])), "side by side"),
    ],
)
def test_parameters_that_are_unions(server, parameters, want):
    with Client(server) as by_hand:
        handle = by_hand.prepare("SELECT ?::VARCHAR AS v")[1]
        command = any_of("CommandPreparedStatementQuery", field(1, handle))
        if isinstance(want, str):
            with pytest.raises(NotImplementedError, match=want):
                by_hand.put(command, parameters)
            return
        by_hand.put(command, parameters)
        info = by_hand.flight.get_flight_info(fl.FlightDescriptor.for_command(command))
        got = pa.concat_tables(by_hand.read(endpoint) for endpoint in info.endpoints)
        assert got["v"].to_pylist() == want


def test_flightsql_dbapi_logs_in(guarded):
    opened = open_client(guarded, user="anna", password="secret")
    assert fetch(opened, opened.execute("SELECT 42 AS n")).to_pylist() == [{"n": 42}]
    with pytest.raises(fl.FlightUnauthorizedError):
        opened.execute_update("CREATE TABLE no (i INTEGER)")
    with pytest.raises(fl.FlightUnauthenticatedError):
        open_client(guarded, user="anna", password="wrong")


@pytest.mark.filterwarnings("ignore:Deprecated API features")
def test_sqlalchemy(guarded, name):
    url = (
        f"datafusion+flightsql://127.0.0.1:{guarded.port}/?insecure=true&token={TOKEN}"
        "&feature-sqlalchemy-prepared-statements=on&feature-sqlalchemy-primary-keys=on"
    )
    engine = sqlalchemy.create_engine(url)
    guarded_sql = f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, w VARCHAR)"
    with engine.connect() as connection:
        connection.execute(text(guarded_sql))
        connection.execute(text(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')"))
        table = sqlalchemy.Table(name, sqlalchemy.MetaData(), autoload_with=engine)
        assert [c.name for c in table.columns] == ["id", "w"]
        assert [c.name for c in table.primary_key] == ["id"]
        found = connection.execute(sqlalchemy.select(table.c.w).where(table.c.id == 2)).fetchall()
        assert [tuple(row) for row in found] == [("b",)]
        assert name in sqlalchemy.inspect(engine).get_table_names()


# ---- grpcurl and ghz, which learn the methods by reflection


def grpcurl(*args, code=0):
    done = subprocess.run(
        [flight_peers.program("grpcurl"), "-max-time", "60", *args],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


SERVICE = "arrow.flight.protocol.FlightService"


def stream_of(output):
    decoder, found = json.JSONDecoder(), []
    while output := output.strip():
        value, end = decoder.raw_decode(output)
        found.append(value)
        output = output[end:]
    return found


def test_grpcurl_calls_flight(server, name):
    server.land(name, ROWS)
    at = f"127.0.0.1:{server.port}"
    assert SERVICE in grpcurl("-plaintext", at, "list").split()
    assert f"{SERVICE}.DoGet" in grpcurl("-plaintext", at, "list", SERVICE).split()
    described = grpcurl("-plaintext", at, "describe", "arrow.flight.protocol.FlightDescriptor")
    assert "DescriptorType type = 1" in described and "repeated string path = 3" in described
    actions = stream_of(grpcurl("-plaintext", at, f"{SERVICE}/ListActions"))
    assert {"health", "CancelFlightInfo", "BeginTransaction"} <= {a["type"] for a in actions}
    asked = json.dumps({"type": "PATH", "path": [name]})
    (info,) = stream_of(grpcurl("-plaintext", "-d", asked, at, f"{SERVICE}/GetFlightInfo"))
    assert len(info["endpoint"]) == 1 and info["schema"]
    ticket = json.dumps(info["endpoint"][0]["ticket"])
    data = stream_of(grpcurl("-plaintext", "-d", ticket, at, f"{SERVICE}/DoGet"))
    assert len(data) == 2 and "dataHeader" in data[0] and "dataBody" in data[1]
    missing = json.dumps({"type": "PATH", "path": ["nowhere"]})
    said = grpcurl("-plaintext", "-d", missing, at, f"{SERVICE}/GetFlightInfo", code=64 + 5)
    assert "Code: NotFound" in said and "nowhere" in said


def test_grpcurl_over_tls_with_a_token(start, tmp_path):
    ca = Authority(tmp_path)
    files = ca.issue("server")
    server = start(config=f"tls: {{cert: {files.cert}, key: {files.key}}}\n" + AUTH)
    at = f"localhost:{server.port}"
    health = grpcurl("-cacert", str(ca.cert), at, "grpc.health.v1.Health/Check", code=1)
    assert "Unauthenticated" in health  # what reflection says: it is nobody's without a token
    token = ("-cacert", str(ca.cert), "-H", f"authorization: Bearer {TOKEN}")
    assert json.loads(grpcurl(*token, at, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    asked = json.dumps({"type": "health"})
    assert grpcurl(*token, "-d", asked, at, f"{SERVICE}/DoAction")


@pytest.mark.parametrize(
    "method, data",
    [
        ("grpc.health.v1.Health/Check", {}),
        (f"{SERVICE}/GetFlightInfo", {"type": "PATH", "path": ["NAME"]}),
        (f"{SERVICE}/ListActions", {}),
    ],
)
def test_ghz_finds_nothing_wrong(server, name, method, data):
    server.land(name, ROWS)
    done = subprocess.run(
        [
            *(flight_peers.program("ghz"), "--insecure", "--call", method.replace("/", ".")),
            *("-d", json.dumps(data).replace("NAME", name), "-n", "600", "-c", "3"),
            *("--connections", "3", "-O", "json", f"127.0.0.1:{server.port}"),
        ],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    # As many on each connection as its library measures the line for, by PINGs.
    assert report["statusCodeDistribution"] == {"OK": 600}, report["errorDistribution"]


# ---- parallel readers of one result


def endpoints(server, sql, count):
    """The tickets of a result that is split."""
    header = fl.FlightCallOptions(headers=[(b"x-arrowport-endpoints", str(count).encode())])
    command = any_of("CommandStatementQuery", field(1, sql))
    with client(server) as connection:
        info = connection.get_flight_info(fl.FlightDescriptor.for_command(command), header)
    return info.schema, [endpoint.ticket.serialize() for endpoint in info.endpoints]


def read_ticket(port, ticket):
    """As a worker of somebody's cluster does: on a connection of its own."""
    with fl.FlightClient(f"grpc://127.0.0.1:{port}") as connection:
        return connection.do_get(fl.Ticket.deserialize(ticket)).read_all()


def test_dask_reads_endpoints_in_parallel(server, flights, name):
    server.land(name, flights)
    schema, tickets = endpoints(server, f"SELECT *, rowid AS at FROM {name}", 4)
    assert len(tickets) == 4 and schema.names == [*flights.column_names, "at"]
    parts = [dask.delayed(read_ticket)(server.port, ticket) for ticket in tickets]
    tables = dask.compute(*parts, scheduler="threads", num_workers=4)
    assert min(table.num_rows for table in tables) > 0
    together = pa.concat_tables(tables).sort_by("at").drop_columns("at").combine_chunks()
    assert together.equals(flights.combine_chunks())


def test_dask_processes_read_endpoints(server, flights, name):
    """Processes share nothing with the client that asked."""
    server.land(name, flights)
    _, tickets = endpoints(server, f"SELECT delay FROM {name}", 3)
    sums = [
        dask.delayed(lambda port, ticket: sum(read_ticket(port, ticket)["delay"].to_pylist()))(
            server.port, ticket
        )
        for ticket in tickets
    ]
    total = sum(dask.compute(*sums, scheduler="processes", num_workers=2))
    assert total == sum(flights["delay"].to_pylist())


def test_duckdb_reads_endpoints_as_one(server, flights, name):
    """Another DuckDB queries the parts as one stream, and a change meanwhile is not seen."""
    server.land(name, flights)
    schema, tickets = endpoints(server, f"SELECT * FROM {name}", 4)
    assert server.query(f"DELETE FROM {name}").status_code == 200

    def batches():
        for ticket in tickets:
            yield from read_ticket(server.port, ticket).to_batches()

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    with duckdb.connect() as other:
        other.register("parts", reader)
        (got,) = other.execute("SELECT count(*), sum(distance) FROM parts").fetchall()
    assert got == (200_000, sum(flights["distance"].to_pylist()))
    with client(server) as connection:
        assert read(connection, path(name)).num_rows == 0
