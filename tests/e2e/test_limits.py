"""What a client may take: memory, connections, time. Past a limit it is told so, or cut
off, and the others are served."""

import concurrent.futures

import psutil
import pyarrow as pa
import pytest
from wire import Connection, head, ingest_head

from server import ipc, problem, wait_until

MB = 1 << 20
SMALL = pa.table({"id": pa.array(range(1000), pa.int64())})


def one_message(megabytes):
    """A stream of one record batch of so many MB."""
    return ipc(pa.table({"b": pa.array([b"x" * MB] * megabytes, pa.binary())}))


def test_a_message_beyond_the_limit_is_refused_before_it_has_arrived(start):
    """Its length is announced long before its bytes."""
    server = start(config="memory_limit: 64MiB\n")
    body = one_message(100)
    with Connection(server) as connection:
        connection.send(ingest_head(server, "big", f"Content-Length: {len(body)}") + body[:10_000])
        problem(connection.answer(), 413)
    assert server.land("small", SMALL)["rows"] == 1000
    assert not server.has_table("big")


@pytest.mark.timeout(300)
def test_a_spent_budget_is_429_with_a_time_to_come_back(start):
    """Clients that stall within large messages hold what they have sent; the one that
    finds no room left is told to come back, and all is well when they are gone."""
    server = start(config="memory_limit: 64MiB\n")
    body = one_message(30)
    stalled = [Connection(server) for _ in range(5)]
    for k, connection in enumerate(stalled):
        connection.send(ingest_head(server, f"big{k}", f"Content-Length: {len(body)}"))
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(feed_and_wait, connection, body) for connection in stalled]
        done, _ = concurrent.futures.wait(
            jobs, return_when=concurrent.futures.FIRST_COMPLETED, timeout=120
        )
        for connection in stalled:
            connection.socket.shutdown(2)
        answer = next(iter(done)).result()
    problem(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    for connection in stalled:
        connection.close()
    assert server.land("small", SMALL)["rows"] == 1000
    assert server.land("big", one_message(10))["rows"] == 10


def feed_and_wait(connection, body):
    """All but the batch's last bytes, then whatever is answered; None when there is nothing.
    Were the batch whole, the sink would take it, and its memory would be free again."""
    try:
        connection.send(body[:-1000])
    except OSError:
        pass  # refused while it was still being sent
    try:
        return connection.answer()
    except OSError:
        return None


def test_large_requests_at_once_take_turns_within_the_budget(start):
    """Together they are far larger than the memory that they share. One that found none for
    long is told to come back, does, and lands."""
    server = start(config="memory_limit: 64MiB\n")
    table = pa.table({"b": pa.array([b"x" * 1000] * 40_000, pa.binary())})  # 40 MB
    body = ipc(table, max_chunksize=2000)

    def produce(k):
        while (answer := server.ingest(f"t{k}", body)).status_code == 429:
            assert int(answer.headers["Retry-After"]) > 0
        return answer

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(produce, range(6)))
    assert [a.status_code for a in answers] == [200] * 6, [a.text for a in answers]
    for k in range(6):
        assert server.value(f"SELECT count(*) AS n FROM t{k}") == 40_000


def test_connections_beyond_the_limit_are_told_and_closed(start):
    server = start(config="http: {connections_max: 4}\n")
    kept = [Connection(server) for _ in range(4)]
    for connection in kept:
        connection.send(head(server, "GET", "/healthz"))
        assert connection.answer("GET").status_code == 200
    with Connection(server) as late:
        late.send(head(server, "GET", "/healthz"))
        problem(late.answer("GET"), 503)
        assert late.ended()
    for connection in kept:
        connection.send(head(server, "GET", "/healthz"))
        assert connection.answer("GET").status_code == 200
        connection.close()


def test_headers_that_do_not_come_are_not_waited_for(start):
    """Slow loris: a byte now and then would hold a connection for ever."""
    server = start(config="http: {header_timeout_ms: 300}\n")
    with Connection(server) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: loc")
        rest = connection.reader.read()  # until the server closes
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408")
    assert server.get("/healthz").status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(start):
    server = start(config="http: {body_timeout_ms: 300}\n")
    body = ipc(SMALL)
    with Connection(server) as connection:
        connection.send(ingest_head(server, "t", f"Content-Length: {len(body)}") + body[:-1])
        rest = connection.reader.read()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408")
    assert not server.has_table("t")
    assert server.land("t", SMALL)["rows"] == 1000


def test_an_idle_connection_is_closed(start):
    server = start(config="http: {idle_timeout_ms: 300}\n")
    with Connection(server) as connection:
        connection.send(head(server, "GET", "/healthz"))
        assert connection.answer("GET").status_code == 200
        assert connection.ended()


def test_an_answer_that_nobody_reads_is_given_up(start):
    server = start(
        config="http: {write_timeout_ms: 500, idle_timeout_ms: 600000, body_timeout_ms: 600000}\n"
    )
    sql = b"SELECT i AS id, 'row ' || i AS word FROM range(1000000000000) t(i)"
    connection = Connection(server)
    connection.send(
        head(
            server,
            "POST",
            "/query",
            "Content-Type: application/sql",
            "Accept: text/csv",
            f"Content-Length: {len(sql)}",
        )
        + sql
    )
    assert connection.reader.readline().startswith(b"HTTP/1.1 200")
    process = psutil.Process(server.process.pid)
    wait_until(
        lambda: all(c.status != psutil.CONN_ESTABLISHED for c in process.net_connections()),
        "a client that does not read is let go of",
    )
    with pytest.raises((ConnectionError, EOFError)):
        while connection.socket.recv(MB):
            pass
        raise EOFError  # what was on its way has come, and then the end
    connection.close()


def test_a_request_in_flight_is_finished_when_the_server_is_asked_to_end(start, tmp_path):
    server = start()
    body = ipc(SMALL)
    with Connection(server) as connection:
        connection.send(ingest_head(server, "t", f"Content-Length: {len(body)}") + body[:100])
        assert server.value("SELECT 1 AS a") == 1  # what was sent before has been read
        server.process.terminate()
        connection.send(body[100:])
        answer = connection.answer()
        assert answer.status_code == 200, answer.text
    server.stop()
    assert start().value("SELECT count(*) AS n FROM t") == 1000


def test_being_asked_to_end_again_and_again_is_no_failure(start):
    server = start()
    server.land("t", ipc(SMALL))
    while server.process.poll() is None:
        server.process.terminate()
    assert server.process.returncode == 0
    assert start().value("SELECT count(*) AS n FROM t") == 1000
