"""Our Flight client against Flight SQL servers that others have written: arrow-go's over SQLite,
roapi (Rust, DataFusion), and Arrow's Java example over Derby."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services import flight_peers

from server import read_arrow, run

ROWS = [(1, "one", 1, 1), (2, "zero", 0, 1), (3, "negative one", -1, 1)]


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    with flight_peers.sqlite(tmp_path_factory.mktemp("sqlite")) as peer:
        yield peer


@pytest.fixture(scope="module")
def derby(tmp_path_factory):
    with flight_peers.derby(tmp_path_factory.mktemp("derby")) as peer:
        yield peer


@pytest.fixture(scope="module")
def roapi(tmp_path_factory, flights):
    folder = tmp_path_factory.mktemp("roapi")
    pq.write_table(flights, folder / "flights.parquet")
    with flight_peers.roapi(folder, flights=folder / "flights.parquet") as peer:
        yield peer


@pytest.fixture
def ask(tmp_path):
    """A command of ours to its end: its output, or, where it should fail, what it says."""

    def asked(peer, *args, code=0, stdin=None):
        done = run(*args, "--url", peer.url, cwd=tmp_path, stdin=stdin)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout if code == 0 else done.stderr.decode()

    return asked


def tuples(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def arrow(ask, peer, sql, *more):
    return read_arrow(ask(peer, "query", sql, "--format", "arrow", *more))


@pytest.mark.parametrize("which", ["sqlite", "derby"])
def test_rows_parameters_and_changes(ask, request, which):
    peer = request.getfixturevalue(which)
    query = "SELECT id, keyName, value, foreignId FROM intTable WHERE id <= 3 ORDER BY id"
    assert tuples(arrow(ask, peer, query)) == ROWS
    got = read_arrow(ask(peer, "flight", "get", "--sql", query, "--format", "arrow"))
    assert tuples(got) == ROWS
    word = "SELECT id, keyName FROM intTable WHERE keyName = ?"
    assert tuples(arrow(ask, peer, word, "-p", "zero")) == [(2, "zero")]
    assert tuples(arrow(ask, peer, word, "-p", "nobody")) == []
    number = "SELECT keyName FROM intTable WHERE value = ? AND id = ?"
    assert tuples(arrow(ask, peer, number, "-p", "-1", "-p", "3")) == [("negative one",)]

    add = "INSERT INTO intTable (keyName, value, foreignId) VALUES ('forty', 40, 1)"
    assert b"1 row changed" in ask(peer, "query", "--update", add)
    assert tuples(arrow(ask, peer, "SELECT value FROM intTable WHERE keyName = 'forty'")) == [(40,)]
    change = "UPDATE intTable SET value = ? WHERE id <= 3"
    assert b"3 rows changed" in ask(peer, "query", "--update", change, "-p", "7")
    assert tuples(arrow(ask, peer, "SELECT DISTINCT value FROM intTable WHERE id < 4")) == [(7,)]
    back = (
        "UPDATE intTable SET value = CASE id WHEN 1 THEN 1 WHEN 2 THEN 0 ELSE -1 END WHERE id <= 3"
    )
    ask(peer, "query", "--update", back)


def test_types_of_sqlite(ask, sqlite):
    ask(sqlite, "query", "--update", "CREATE TABLE types (i INTEGER, r REAL, t TEXT, b BLOB)")
    rows = ["1, 1.5, 'wörd', x'00ff'", "NULL, NULL, NULL, x'01'", f"{-(2**63)}, 1e300, '', x''"]
    values = ", ".join(f"({row})" for row in rows)
    ask(sqlite, "query", "--update", f"INSERT INTO types VALUES {values}")
    got = tuples(arrow(ask, sqlite, "SELECT * FROM types ORDER BY rowid"))
    assert got == [
        (1, 1.5, "wörd", b"\x00\xff"),
        (None, None, None, b"\x01"),  # the server sends a NULL of a BLOB as an empty one
        (-(2**63), 1e300, "", b""),
    ]


def test_endpoints_that_name_the_server_itself(ask, derby):
    told = json.loads(ask(derby, "flight", "info", "--sql", "SELECT * FROM foreignTable", "--json"))
    (endpoint,) = told["endpoints"]
    assert endpoint["locations"] == [f"grpc+tcp://127.0.0.1:{derby.port}"]


def test_many_batches_of_roapi(ask, roapi, flights):
    got = arrow(ask, roapi, "SELECT * FROM flights")
    assert got.num_rows == flights.num_rows
    order = [(name, "ascending") for name in flights.column_names]
    same = got.cast(flights.schema).sort_by(order)
    assert same.equals(flights.sort_by(order).combine_chunks())
    (count,) = tuples(arrow(ask, roapi, "SELECT count(*) AS n, max(delay) AS d FROM flights"))
    assert count == (200_000, max(flights["delay"].to_pylist()))


def test_rows_go_from_peer_to_peer_through_us(ask, roapi, server, name):
    """From DataFusion by our client into our server over Flight, and back."""
    sql = "SELECT delay, distance FROM flights WHERE delay > 100"
    rows = ask(roapi, "query", sql, "--format", "arrow")
    done = run(
        *("ingest", name, "-", "--url", f"grpc://127.0.0.1:{server.port}"),
        cwd=server.directory,
        stdin=rows,
    )
    assert done.returncode == 0, done.stderr.decode()
    here = read_arrow(rows)
    order = [("delay", "ascending"), ("distance", "ascending")]
    landed = server.arrow(f"SELECT * FROM {name}")
    assert here.num_rows > 1000
    assert landed.sort_by(order).equals(here.sort_by(order).combine_chunks())


@pytest.mark.parametrize(
    "which, words",
    [("sqlite", "no such table"), ("roapi", "not found"), ("derby", "")],
)
def test_what_a_server_says_is_told(ask, request, which, words):
    peer = request.getfixturevalue(which)
    said = ask(peer, "query", "SELECT * FROM nowhere", code=request.getfixturevalue("codes")[which])
    assert said.startswith("arrowport: ") and words in said


@pytest.fixture
def codes():
    """Exit codes: SQLite's server says INVALID_ARGUMENT, the others INTERNAL."""
    return {"sqlite": 9, "roapi": 16, "derby": 16}


def test_what_a_server_cannot_do_is_told(ask, sqlite, roapi):
    assert "not implemented" in ask(sqlite, "flight", "ls", code=10)
    sql = "SELECT * FROM flights WHERE delay = ?"
    assert "not implemented" in ask(roapi, "query", sql, "-p", "1", code=10)
    # None of these servers takes a bulk ingest.
    table = pa.table({"a": [1]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for peer, code in ((sqlite, 2), (roapi, 2)):
        ask(peer, "ingest", "t", "-", code=code, stdin=sink.getvalue().to_pybytes())
