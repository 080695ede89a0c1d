"""POST /ingest as bytes on a socket: however they are cut, late, or broken off."""

import concurrent.futures
import random

import pyarrow as pa
import pytest
from wire import LAST_CHUNK, Connection, chunk, head, ingest_head, ingest_request

from server import ipc, problem

pytestmark = pytest.mark.asan


def table(rows=10, first=0):
    return pa.table(
        {
            "id": pa.array(range(first, first + rows), pa.int64()),
            "word": pa.array([f"word {i}" for i in range(first, first + rows)], pa.string()),
        }
    )


def landed(server, name):
    return server.arrow(f"SELECT * FROM {name} ORDER BY id")


@pytest.mark.parametrize("piece", [1, 7, 64, 1000, 1 << 20])
def test_chunked_bodies_land_however_they_are_cut(server, name, piece):
    body = ipc(table())
    with Connection(server) as connection:
        connection.send(ingest_head(server, name, "Transfer-Encoding: chunked"))
        for at in range(0, len(body), piece):
            connection.send(chunk(body[at : at + piece]))
        connection.send(LAST_CHUNK)
        answer = connection.answer()
    assert answer.status_code == 200, answer.text
    assert answer.json()["bytes"] == len(body)
    assert landed(server, name).equals(table())


def test_a_chunked_body_with_extensions_and_trailers_lands(server, name):
    body = ipc(table())
    with Connection(server) as connection:
        connection.send(ingest_head(server, name, "Transfer-Encoding: chunked"))
        connection.send(b'%X;note="a;b"\r\n%s\r\n' % (len(body), body))
        connection.send(b"0\r\nX-Checksum: none\r\n\r\n")
        assert connection.answer().status_code == 200
    assert landed(server, name).equals(table())


def test_one_byte_at_a_time_lands(server, name):
    request = ingest_request(server, name, ipc(table()))
    with Connection(server) as connection:
        for at in range(len(request)):
            connection.send(request[at : at + 1])
        assert connection.answer().status_code == 200
    assert landed(server, name).equals(table())


def test_pipelined_requests_are_answered_in_order(server, name):
    count = 20
    with Connection(server) as connection:
        connection.send(
            b"".join(ingest_request(server, name, ipc(table(5, 5 * k))) for k in range(count))
            + head(server, "GET", "/healthz")
        )
        answers = [connection.answer() for _ in range(count)]
        assert [a.status_code for a in answers] == [200] * count
        assert connection.answer("GET").json() == {"status": "ok"}
    assert landed(server, name).equals(table(5 * count))


def test_a_connection_is_kept_after_an_answer_and_after_a_refusal(server, name):
    with Connection(server) as connection:
        connection.send(ingest_request(server, name, ipc(table())))
        assert connection.answer().status_code == 200
        connection.send(ingest_request(server, name, ipc(table())[:-8]))
        assert connection.answer().status_code == 400
        connection.send(ingest_request(server, name, ipc(table(10, 10))))
        assert connection.answer().status_code == 200
    assert landed(server, name).equals(table(20))


def test_expect_100_continue_is_answered_before_the_body(server, name):
    body = ipc(table())
    with Connection(server) as connection:
        connection.send(
            ingest_head(server, name, f"Content-Length: {len(body)}", "Expect: 100-continue")
        )
        assert connection.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        while connection.reader.readline() != b"\r\n":
            pass
        connection.send(body)
        assert connection.answer().status_code == 200
    assert landed(server, name).equals(table())


def test_a_refused_expectation_gets_its_answer_instead_of_continue(server, name):
    with Connection(server) as connection:
        connection.send(
            head(
                server,
                "POST",
                f"/ingest/{name}",
                "Content-Type: text/html",
                "Content-Length: 1000000",
                "Expect: 100-continue",
            )
        )
        problem(connection.answer(), 415)


def test_connection_close_is_honoured(server, name):
    body = ipc(table())
    with Connection(server) as connection:
        connection.send(
            ingest_head(server, name, f"Content-Length: {len(body)}", "Connection: close") + body
        )
        answer = connection.answer()
        assert answer.status_code == 200 and answer.will_close
        assert connection.ended()


# ---- clients that vanish


@pytest.mark.parametrize("goodbye", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_vanishes_leaves_nothing(server, name, goodbye, framing):
    body = ipc(table(3000), max_chunksize=500)
    server.land(name, table(0))
    cuts = {0, 1, 4, 8, 100, len(body) // 2, len(body) - 9, len(body) - 8, len(body) - 1}
    cuts |= set(random.Random(1).sample(range(len(body)), 20))
    for cut in sorted(cuts):
        connection = Connection(server)
        if framing == "length":
            connection.send(ingest_head(server, name, f"Content-Length: {len(body)}"))
            connection.send(body[:cut])
        else:
            connection.send(ingest_head(server, name, "Transfer-Encoding: chunked"))
            connection.send(chunk(body[:cut]) if cut else b"")
        connection.reset() if goodbye == "reset" else connection.close()
    assert server.get("/healthz").status_code == 200
    # What those requests held is let go of before the next one of the table commits.
    server.land(name, table(10))
    assert landed(server, name).equals(table(10))


def test_a_whole_stream_in_an_unfinished_chunked_body_is_not_landed(server, name):
    """The IPC stream is complete, HTTP's body is not: the producer may have meant more."""
    server.land(name, table(0))
    connection = Connection(server)
    connection.send(ingest_head(server, name, "Transfer-Encoding: chunked") + chunk(ipc(table())))
    connection.close()
    server.land(name, table(2, 100))
    assert landed(server, name).equals(table(2, 100))


def test_a_stalled_upload_holds_up_nobody(server, name):
    body = ipc(table(1000))
    stalled = Connection(server)
    stalled.send(ingest_head(server, name, f"Content-Length: {len(body)}") + body[: len(body) // 2])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda k: server.ingest(f"{name}_{k}", table()), range(12)))
    assert [a.status_code for a in answers] == [200] * 12
    stalled.send(body[len(body) // 2 :])
    assert stalled.answer().status_code == 200
    stalled.close()
    assert landed(server, name).equals(table(1000))


def test_many_uploads_open_at_once_all_land(server, name):
    server.land(name, table(0))
    bodies = [ipc(table(100, 100 * k)) for k in range(40)]
    connections = [Connection(server) for _ in bodies]
    for part in range(4):
        for connection, body in zip(connections, bodies, strict=True):
            quarter = -(-len(body) // 4)
            if part == 0:
                connection.send(ingest_head(server, name, f"Content-Length: {len(body)}"))
            connection.send(body[part * quarter : (part + 1) * quarter])
    assert [c.answer().status_code for c in connections] == [200] * 40
    for connection in connections:
        connection.close()
    assert landed(server, name).equals(table(4000))


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: -1",
        b"Content-Length: 1e3",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity",
        b"Content-Length : 5",
    ],
)
def test_ambiguous_framing_is_refused(server, name, framing):
    """What two programs could read differently is how requests are smuggled."""
    with Connection(server) as connection:
        connection.send(
            head(
                server,
                "POST",
                f"/ingest/{name}",
                "Content-Type: application/vnd.apache.arrow.stream",
                framing.decode(),
            )
            + b"hello"
        )
        answer = connection.answer()
        assert answer.status_code in (400, 413, 501), answer.text
        assert connection.ended()
    assert not server.has_table(name)


@pytest.mark.parametrize(
    "broken",
    [b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\nhello\n0\n\n", b"5\r\nhelloXX", b"\r\n"],
)
def test_broken_chunks_are_refused(server, name, broken):
    with Connection(server) as connection:
        connection.send(ingest_head(server, name, "Transfer-Encoding: chunked") + broken)
        assert connection.answer().status_code == 400
        assert connection.ended()
    assert not server.has_table(name)
