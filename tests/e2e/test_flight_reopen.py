"""The database is put out of use by a failure while Flight's clients keep sessions of it: they do
not keep it closed, and are told that what they had is gone."""

import errno

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_sql import Client, any_of, field
from io_fail import KINDS, IoFail

from server import wait_until

ERRORS = (flight.FlightError, pa.ArrowException)
UNAVAILABLE = flight.FlightUnavailableError


@pytest.fixture
def fail(tmp_path):
    return IoFail(tmp_path / "io-fail")


def answers(server):
    return server.query("SELECT 1").status_code == 200


def put_out_of_use(server, fail):
    """A sync of the log fails: DuckDB does not know what is on the disk."""
    fail.arm(1, error=errno.EIO, kinds=KINDS["sync"])
    assert server.query("INSERT INTO t VALUES (100)").status_code != 200
    assert fail.failed
    fail.disarm()


def reopened(server):
    text = server.get("/metrics").text
    (line,) = [
        at for at in text.splitlines() if at.startswith("arrowport_database_reopened_total ")
    ]
    return int(line.split()[1])


def test_sessions_and_transactions_do_not_keep_a_dead_database(start, fail):
    server = start(env=fail.environment)
    with Client(server) as plain, Client(server, cookies=True) as kept:
        plain.query("CREATE TABLE t (n INTEGER)")
        changing, reading = plain.begin(), plain.begin()
        plain.query("INSERT INTO t VALUES (1)", changing)
        assert plain.value("SELECT count(*) FROM t", reading) == 0
        kept.query("CREATE TEMP TABLE scratch AS SELECT 7 AS n")
        assert kept.value("SELECT n FROM scratch") == 7
        within = kept.begin()  # it has the session's engine session
        kept.query("INSERT INTO scratch VALUES (8)", within)
        statement = plain.prepare("SELECT count(*) AS n FROM t")[1]
        put_out_of_use(server, fail)
        # Nobody has to give anything up for it.
        wait_until(lambda: answers(server) and reopened(server) > 0, "opened anew")
        for client, transaction in ((plain, changing), (plain, reading), (kept, within)):
            with pytest.raises(UNAVAILABLE, match="rolled back"):
                client.query("SELECT count(*) FROM t", transaction)
        with pytest.raises(UNAVAILABLE, match="rolled back"):
            plain.end(changing)  # a commit must not look as if it had worked
        plain.end(reading, commit=False)  # that it is rolled back is true
        kept.end(within, commit=False)
        with pytest.raises(ERRORS, match="temporary tables of this session are gone"):
            kept.query("SELECT n FROM scratch")
        kept.query("CREATE TEMP TABLE scratch AS SELECT 9 AS n")
        assert kept.value("SELECT n FROM scratch") == 9
        # A prepared statement keeps nothing of the database.
        command = any_of("CommandPreparedStatementQuery", field(1, statement))
        descriptor = flight.FlightDescriptor.for_command(command)
        [endpoint] = plain.flight.get_flight_info(descriptor).endpoints
        assert plain.read(endpoint).to_pylist()[0]["n"] <= 1
        assert plain.value("SELECT count(*) FROM t WHERE n = 1") == 0
        again = plain.begin()
        plain.query("INSERT INTO t VALUES (2)", again)
        plain.end(again)
        assert plain.value("SELECT count(*) FROM t WHERE n = 2") == 1


def test_a_reader_who_does_not_read_does_not_keep_a_dead_database(start, fail):
    server = start(env=fail.environment)
    with Client(server) as client:
        client.query("CREATE TABLE t (n INTEGER)")
        info = client.info("SELECT range AS n FROM range(2000000000)")
        slow = client.flight.do_get(info.endpoints[0].ticket)
        slow.read_chunk()
        transaction = client.begin()
        info = client.info("SELECT range AS n FROM range(2000000000)", transaction)
        within = client.flight.do_get(info.endpoints[0].ticket)
        within.read_chunk()
        put_out_of_use(server, fail)
        wait_until(lambda: answers(server) and reopened(server) > 0, "opened anew")
        for reader in (slow, within):
            with pytest.raises(UNAVAILABLE):
                for _ in reader:
                    pass
        with pytest.raises(ERRORS):
            client.end(transaction)
        assert client.value("SELECT count(*) FROM t") <= 1
