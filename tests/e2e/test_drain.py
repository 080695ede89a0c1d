"""SIGTERM: no new connections, what is under way is finished, then exit 0."""

import signal
import socket
import time

import http2
import pyarrow as pa
import pytest
from wire import Connection, head, ingest_head

from server import ARROW, ipc, wait_until

pytestmark = pytest.mark.asan

SMALL = pa.table({"id": pa.array(range(1000), pa.int64())})
FOREVER = b"SELECT i FROM range(1000000000000) t(i)"


def begun_ingest(server, name="t"):
    """A request whose body is half sent, and the rest of it."""
    body = ipc(SMALL)
    connection = Connection(server)
    connection.send(ingest_head(server, name, f"Content-Length: {len(body)}") + body[:100])
    assert server.get("/healthz").status_code == 200  # what was sent before has been read
    return connection, body[100:]


def draining(server):
    """Asked to end; new connections are refused from now on."""
    server.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            socket.create_connection(("127.0.0.1", server.port), 5).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it stood in the queue of the socket that was closed
            return False
        return False

    wait_until(refused, "new connections are refused")


def test_idle_connections_end_and_a_request_in_flight_is_finished(start, tmp_path):
    server = start()
    idle = Connection(server)
    idle.send(head(server, "GET", "/healthz"))
    assert idle.answer("GET").status_code == 200
    fresh = Connection(server)  # that has asked for nothing yet
    connection, rest = begun_ingest(server)
    draining(server)
    assert idle.ended() and fresh.ended()
    time.sleep(0.3)
    assert server.alive()
    connection.send(rest)
    answer = connection.answer()
    assert answer.status_code == 200 and answer.will_close
    assert connection.ended()
    assert server.process.wait(60) == 0
    assert start(tmp_path).value("SELECT count(*) AS n FROM t") == 1000


def test_an_answer_under_way_is_finished(start):
    server = start()
    sql = b"SELECT i AS id, 'row ' || i AS word FROM range(3000000) t(i)"
    with Connection(server) as connection:
        fields = ("Content-Type: application/sql", "Accept: text/csv")
        connection.send(
            head(server, "POST", "/query", *fields, f"Content-Length: {len(sql)}") + sql
        )
        connection.socket.recv(1, socket.MSG_PEEK)
        draining(server)
        answer = connection.answer()
    assert answer.status_code == 200
    assert answer.content.count(b"\n") == 3_000_001
    assert server.process.wait(60) == 0


def test_what_does_not_finish_is_cut_off_in_time(start):
    server = start(args=("--set", "drain_timeout_s=1"))
    connection, _ = begun_ingest(server)
    began = time.monotonic()
    draining(server)
    assert server.process.wait(60) == 0
    assert 0.8 < time.monotonic() - began < 30
    connection.close()
    assert not start().has_table("t")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(start, second):
    server = start(args=("--set", "drain_timeout_s=600"))
    connection, _ = begun_ingest(server)
    draining(server)
    assert server.alive()
    server.process.send_signal(second)
    assert server.process.wait(60) == 0
    connection.close()


def test_a_query_that_never_ends_is_cancelled(start):
    server = start(args=("--set", "drain_timeout_s=1"))
    with Connection(server) as connection:
        fields = ("Content-Type: application/sql", "Accept: text/csv")
        connection.send(
            head(server, "POST", "/query", *fields, f"Content-Length: {len(FOREVER)}") + FOREVER
        )
        assert connection.reader.readline().startswith(b"HTTP/1.1 200")
        draining(server)
        assert server.process.wait(60) == 0


def test_http_2_is_told_and_its_streams_are_finished(start, tmp_path):
    """GOAWAY; a stream that had begun lands, one that begins afterwards does not."""
    server = start()
    body = ipc(SMALL)
    with http2.Client(server.port) as client:
        client.request(1, "POST", "/ingest/t", ("content-type", ARROW), end=False)
        client.send(http2.frame(http2.DATA, 0, 1, body[:100]))
        client.request(3, "GET", "/healthz")
        assert client.answer(3)[0] == 200
        draining(server)
        client.until(lambda kind, *_: kind == http2.GOAWAY)
        assert client.goaway == 0
        assert server.alive()
        client.send(http2.frame(http2.DATA, http2.END_STREAM, 1, body[100:]))
        status, _ = client.answer(1)
        assert status == 200
        assert client.until(lambda *_: False) is None  # and then the end
    assert server.process.wait(60) == 0
    assert start(tmp_path).value("SELECT count(*) AS n FROM t") == 1000


def test_an_idle_http_2_connection_is_told_and_closed(start):
    server = start()
    with http2.Client(server.port) as client:
        client.request(1, "GET", "/healthz")
        assert client.answer(1)[0] == 200
        server.process.send_signal(signal.SIGTERM)
        client.until(lambda *_: False)
        assert client.goaway == 0
    assert server.process.wait(60) == 0
