"""HTTP/1.1 clients that mean harm, or break: too slow, ambiguous, gone, too many."""

import os
import resource
import socket
import threading
import time

import psutil
import pyarrow as pa
import pytest
from wire import Connection, chunk, head, ingest_head, ingest_request

from server import ARROW, ipc, problem, wait_until

SMALL = pa.table({"id": pa.array(range(1000), pa.int64())})
LATE_S = 30  # a machine that does other things too


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def settled(server):
    """How many descriptors it has once whatever is opened on first use is open, and
    nobody is connected."""
    server.land("settled", SMALL)
    server.value("SELECT count(*) AS n FROM settled")
    server.session.close()
    process = psutil.Process(server.process.pid)
    wait_until(lambda: not _clients(process, server), "the first connections are closed")
    return descriptors(server)


# ---- slow ones


def drip(connection, data, pause_s, until_s=LATE_S):
    """A byte now and then; how long until the server gave up, and what it said."""
    began = time.monotonic()
    connection.socket.settimeout(pause_s)
    at = 0
    said = b""
    while time.monotonic() - began < until_s:
        try:
            connection.socket.sendall(data[at : at + 1] or b"x")
            at += 1
        except OSError:
            break
        try:
            got = connection.socket.recv(4096)
        except TimeoutError:
            continue
        except OSError:
            break
        said += got
        if not got:
            break
    return time.monotonic() - began, said


@pytest.mark.asan
def test_a_head_that_drips_is_not_waited_for(start):
    """Each byte comes in time, and there is always another one."""
    server = start(args=("--set", "http.header_timeout_ms=700"))
    request = head(server, "GET", "/healthz", *[f"X-{i}: y" for i in range(90)])
    with Connection(server) as connection:
        seconds, said = drip(connection, request, 0.05)
    assert 0.5 < seconds < LATE_S / 2
    assert said == b"" or said.startswith(b"HTTP/1.1 408")
    assert server.get("/healthz").status_code == 200


@pytest.mark.asan
def test_a_second_request_that_drips_is_not_waited_for(start):
    server = start(args=("--set", "http.header_timeout_ms=700"))
    with Connection(server) as connection:
        connection.send(head(server, "GET", "/healthz"))
        assert connection.answer("GET").status_code == 200
        request = head(server, "GET", "/healthz", *[f"X-{i}: y" for i in range(90)])
        seconds, _ = drip(connection, request, 0.05)
    assert seconds < LATE_S / 2


@pytest.mark.asan
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_drips_is_not_waited_for(start, framing):
    """Slower than the least that must come in a time, though never still."""
    server = start(
        args=("--set", "http.body_timeout_ms=700", "--set", "http.body_bytes_per_timeout=1000")
    )
    body = ipc(SMALL)
    with Connection(server) as connection:
        if framing == "length":
            connection.send(ingest_head(server, "t", f"Content-Length: {len(body)}"))
            seconds, said = drip(connection, body, 0.05)
        else:
            connection.send(ingest_head(server, "t", "Transfer-Encoding: chunked"))
            seconds, said = drip(connection, b"".join(chunk(b"%c" % b) for b in body), 0.05)
    assert seconds < LATE_S / 2
    assert said == b"" or said.startswith(b"HTTP/1.1 408")
    assert not server.has_table("t")
    assert server.land("t", SMALL)["rows"] == 1000


def test_a_slow_body_that_is_fast_enough_lands(start):
    server = start(
        args=("--set", "http.body_timeout_ms=2000", "--set", "http.body_bytes_per_timeout=100")
    )
    body = ipc(SMALL)
    with Connection(server) as connection:
        connection.send(ingest_head(server, "t", f"Content-Length: {len(body)}"))
        for at in range(0, len(body), 1000):
            connection.send(body[at : at + 1000])
            time.sleep(0.4)
        assert connection.answer().status_code == 200
    assert server.value("SELECT count(*) AS n FROM t") == 1000


def test_hundreds_of_slow_clients_hold_up_nobody(start):
    server = start(args=("--set", "http.header_timeout_ms=60000"))
    slow = [Connection(server) for _ in range(300)]
    for k, connection in enumerate(slow):
        if k % 2:
            connection.send(b"POST /ingest/t HTTP/1.1\r\nHost: loc")
        else:
            connection.send(ingest_head(server, f"t{k}", "Content-Length: 1000000") + b"\xff" * 4)
    for _ in range(5):
        assert server.land("quick", SMALL)["rows"] == 1000
    assert server.value("SELECT count(*) AS n FROM quick") == 5000
    for connection in slow:
        connection.close()
    wait_until(lambda: descriptors(server) < 100, "what slow clients held is let go of")


# ---- request smuggling

CHUNKED = "Transfer-Encoding: chunked"
SHAPES = {
    "both lengths": (f"Content-Length: 4\r\n{CHUNKED}", b"0\r\n\r\n"),
    "both lengths, the other way round": (f"{CHUNKED}\r\nContent-Length: 4", b"0\r\n\r\n"),
    "equal lengths": ("Content-Length: 2\r\nContent-Length: 2", b"ab"),
    "a list of lengths": ("Content-Length: 2, 2", b"ab"),
    "a length with a sign": ("Content-Length: +2", b"ab"),
    "a length in hexadecimal digits": ("Content-Length: 0x2", b"ab"),
    "a length and a comment": ("Content-Length: 2 (two)", b"ab"),
    "an empty length": ("Content-Length:", b""),
    "a folded length": ("Content-Length:\r\n 2", b"ab"),
    "a space before the colon": (f"{CHUNKED.replace(':', ' :')}", b"0\r\n\r\n"),
    "a tab before the colon": (f"{CHUNKED.replace(':', chr(9) + ':')}", b"0\r\n\r\n"),
    "a line break before the colon": ("Transfer-Encoding\r\n : chunked", b"0\r\n\r\n"),
    "a field that begins with a space": (f" {CHUNKED}", b"0\r\n\r\n"),
    "a folded coding": ("Transfer-Encoding:\r\n chunked", b"0\r\n\r\n"),
    "a folded field that hides a coding": (f"X: a\r\n {CHUNKED}", b""),
    "a bare LF that hides a coding": (f"X: a\n{CHUNKED}", b"0\r\n\r\n"),
    "a bare CR that hides a coding": (f"X: a\r{CHUNKED}", b"0\r\n\r\n"),
    "a NUL that hides a coding": (f"X: a\0{CHUNKED}", b"0\r\n\r\n"),
    "a vertical tab before the coding": ("Transfer-Encoding: \x0bchunked", b"0\r\n\r\n"),
    "a coding in quotes": ('Transfer-Encoding: "chunked"', b"0\r\n\r\n"),
    "a coding with a parameter": (f"{CHUNKED};q=1", b"0\r\n\r\n"),
    "a coding and nothing": (f"{CHUNKED},", b"0\r\n\r\n"),
    "codings in two fields": (f"{CHUNKED}\r\nTransfer-Encoding: identity", b"0\r\n\r\n"),
    "a coding that is none": ("Transfer-Encoding: xchunked", b"0\r\n\r\n"),
    "chunked, and then another": ("Transfer-Encoding: chunked, gzip", b"0\r\n\r\n"),
    "two hosts": ("Host: localhost", b""),
    "a chunk size with 0x": (CHUNKED, b"0x2\r\nab\r\n0\r\n\r\n"),
    "a chunk size with a sign": (CHUNKED, b"+2\r\nab\r\n0\r\n\r\n"),
    "a chunk size with spaces": (CHUNKED, b"2 \r\nab\r\n0\r\n\r\n"),
    "a chunk size that overflows": (CHUNKED, b"10000000000000002\r\nab\r\n0\r\n\r\n"),
    "a chunk size that ends in LF": (CHUNKED, b"2\nab\r\n0\r\n\r\n"),
    "a chunk size that ends in CR": (CHUNKED, b"2\rab\r\n0\r\n\r\n"),
    "a chunk extension with LF": (CHUNKED, b"2;a\nxx\r\nab\r\n0\r\n\r\n"),
    "a chunk extension with CR": (CHUNKED, b"2;a\rxx\r\nab\r\n0\r\n\r\n"),
    "a chunk that is longer than its size": (CHUNKED, b"2\r\nabc\r\n0\r\n\r\n"),
    "a chunk that ends in LF": (CHUNKED, b"2\r\nab\n0\r\n\r\n"),
    "a chunk size of nothing": (CHUNKED, b"\r\nab\r\n0\r\n\r\n"),
    "a trailer that ends in LF": (CHUNKED, b"0\r\nX: y\n\r\n"),
    "a trailer with a space": (CHUNKED, b"0\r\nX : y\r\n\r\n"),
    "a last line of LF alone": (CHUNKED, b"0\r\n\n"),
}


@pytest.mark.asan
@pytest.mark.parametrize("shape", SHAPES)
def test_what_two_programs_could_read_differently_is_refused(server, name, shape):
    """One refusal, then the end: nothing behind it is taken for a request."""
    fields, body = SHAPES[shape]
    with Connection(server) as connection:
        request = head(server, "POST", f"/ingest/{name}", f"Content-Type: {ARROW}", fields) + body
        connection.send(request + ingest_request(server, f"{name}_smuggled", ipc(SMALL)))
        answer = connection.answer()
        assert answer.status_code in (400, 501), answer.text
        assert answer.will_close
        assert connection.ended()
    assert not server.has_table(f"{name}_smuggled")
    assert not server.has_table(name)


@pytest.mark.asan
@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://localhost/ingest/x", "127.0.0.1"),
        ("http://evil.example/ingest/x", "localhost"),
        ("http://localhost:1/ingest/x", "localhost:2"),
        ("http://localhost@evil.example/ingest/x", "localhost"),
        ("//evil.example/ingest/x", "localhost"),
    ],
)
def test_a_target_that_names_another_host_is_refused(server, name, target, host):
    body = ipc(SMALL)
    with Connection(server) as connection:
        fields = (f"Content-Type: {ARROW}", f"Content-Length: {len(body)}")
        connection.send(head(server, "POST", target, *fields, host=host) + body)
        assert connection.answer().status_code in (400, 403, 404)
    assert not server.has_table("x")


@pytest.mark.asan
def test_framing_fields_in_a_trailer_frame_nothing(server, name):
    body = ipc(SMALL)
    with Connection(server) as connection:
        connection.send(
            ingest_head(server, name, CHUNKED)
            + chunk(body)
            + b"0\r\nContent-Length: 1000\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n"
            + head(server, "GET", "/healthz")
        )
        assert connection.answer().status_code == 200
        assert connection.answer("GET").json() == {"status": "ok"}


@pytest.mark.asan
@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (b"0;" + b"x" * 5000 + b"\r\n\r\n", 400),
        (b"0\r\n" + b"X: y\r\n" * 3000 + b"\r\n", 431),
        (b"0\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"".join(b"1;%s\r\n%c\r\n" % (b"x" * 100, b) for b in ipc(SMALL)[-8:] * 20), 400),
    ],
)
def test_endless_extensions_and_trailers_are_refused(server, name, extra, code):
    """Traffic that no limit on heads and bodies counts."""
    with Connection(server) as connection:
        connection.send(ingest_head(server, name, CHUNKED))
        connection.send(chunk(ipc(SMALL)[:-8]) + extra)
        assert connection.answer().status_code in (code, 400)
        assert connection.ended()
    assert not server.has_table(name)


# ---- pipelining


@pytest.mark.asan
def test_a_hundred_requests_in_one_packet_are_answered_in_order(server, name):
    """Of every kind, so that some are answered at once and some after a worker's work."""
    wanted, packet = [], b""
    for k in range(20):
        sql = f"SELECT {k} AS k".encode()
        query = ("Content-Type: application/sql", f"Content-Length: {len(sql)}")
        packet += head(server, "POST", "/query", *query) + sql
        wanted.append(("POST", 200, lambda a, k=k: a.json() == [{"k": k}]))
        packet += head(server, "GET", "/healthz")
        wanted.append(("GET", 200, lambda a: a.json() == {"status": "ok"}))
        packet += ingest_request(server, name, ipc(SMALL.slice(0, k + 1)))
        wanted.append(("POST", 200, lambda a, k=k: a.json()["rows"] == k + 1))
        packet += head(server, "GET", f"/nothing/{k}")
        wanted.append(("GET", 404, lambda a: a.json()["status"] == 404))
        packet += head(server, "POST", "/query", "Content-Type: text/html", "Content-Length: 7")
        packet += b"not SQL"  # of a known, small length: it is dropped, not the connection
        wanted.append(("POST", 415, lambda a: a.json()["status"] == 415))
    with Connection(server) as connection:
        connection.send(packet)
        for k, (method, code, holds) in enumerate(wanted):
            answer = connection.answer(method)
            assert answer.status_code == code, f"answer {k}: {answer.status_code} {answer.text}"
            assert holds(answer), f"answer {k}: {answer.text}"
    assert server.value(f"SELECT count(*) AS n FROM {name}") == sum(range(1, 21))


@pytest.mark.asan
def test_requests_behind_one_that_closes_are_not_answered(server, name):
    with Connection(server) as connection:
        connection.send(
            head(server, "GET", "/healthz", "Connection: close")
            + ingest_request(server, name, ipc(SMALL))
        )
        assert connection.answer("GET").will_close
        assert connection.ended()
    assert not server.has_table(name)


# ---- clients that are gone

BIG = b"SELECT i AS id, 'row ' || i AS word FROM range(100000000) t(i)"


def _query(server, sql, *fields):
    kinds = ("Content-Type: application/sql", "Accept: text/csv", *fields)
    return head(server, "POST", "/query", *kinds, f"Content-Length: {len(sql)}") + sql


STAGES = {
    "before anything": lambda s, c: None,
    "in the request line": lambda s, c: c.send(b"POST /inge"),
    "in the head": lambda s, c: c.send(b"POST /ingest/gone HTTP/1.1\r\nHost: localho"),
    "before the body": lambda s, c: c.send(ingest_head(s, "gone", "Content-Length: 9000")),
    "before 100 Continue": lambda s, c: c.send(
        ingest_head(s, "gone", "Content-Length: 9000", "Expect: 100-continue")
    ),
    "in the body": lambda s, c: c.send(
        ingest_head(s, "gone", "Content-Length: 9000") + ipc(SMALL)[:700]
    ),
    "in a chunk's size": lambda s, c: c.send(ingest_head(s, "gone", CHUNKED) + b"2"),
    "before the last chunk": lambda s, c: c.send(
        ingest_head(s, "gone", CHUNKED) + chunk(ipc(SMALL))
    ),
    "before the answer": lambda s, c: c.send(_query(s, b"SELECT count(*) FROM range(20000000)")),
    "while the answer is made": lambda s, c: (c.send(_query(s, BIG)), c.reader.readline()),
    "while it reads the answer": lambda s, c: (c.send(_query(s, BIG)), c.reader.read(3_000_000)),
    "in a pipeline": lambda s, c: c.send(_query(s, b"SELECT 1") * 10 + b"GET /heal"),
    "between two requests": lambda s, c: (c.send(_query(s, b"SELECT 1")), c.answer()),
}


@pytest.mark.asan
@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_clients_that_vanish_at_every_stage_leave_nothing(start, goodbye):
    """The server goes on, and holds no descriptor and no work of theirs."""
    server = start()
    server.land("t", SMALL)
    before = settled(server)
    process = psutil.Process(server.process.pid)
    for stage, reach in STAGES.items():
        for _ in range(5):
            connection = Connection(server)
            reach(server, connection)
            connection.reset() if goodbye == "reset" else connection.close()
        with Connection(server) as healthy:
            healthy.send(head(server, "GET", "/healthz"))
            assert healthy.answer("GET").status_code == 200, stage
    server.session.close()
    wait_until(lambda: descriptors(server) <= before, f"all descriptors are closed ({before})")
    wait_until(lambda: _busy(process) < 0.2, "no work goes on for those who are gone")
    assert not server.has_table("gone")
    assert server.value("SELECT count(*) AS n FROM t") == 1000


def _clients(process, server):
    return [
        c
        for c in process.net_connections()
        if c.laddr.port == server.port and c.status != psutil.CONN_LISTEN
    ]


def _busy(process, seconds=0.5):
    """Processors that it keeps busy, measured for a while."""
    spent = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return (sum(process.cpu_times()[:2]) - spent) / seconds


# ---- too many


def test_the_limit_on_open_files_is_raised_to_what_is_allowed(start):
    """A shell allows 1,024 by default, which is not what the machine's owner allows."""

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))

    server = start(preexec_fn=few)
    assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (1000, 1000)
    wait_until(
        lambda: "fewer connections than http.connections_max" in server.stderr(),
        "a line of the log",
    )
    told = server.stderr().count("fewer connections")
    server.stop()
    server = start(preexec_fn=few, args=("--http-connections-max", "500"))
    assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (628, 1000)
    assert server.stderr().count("fewer connections") == told


def test_without_descriptors_the_server_waits_says_so_once_and_recovers(start):
    server = start()
    server.land("t", SMALL)
    server.session.close()
    process = psutil.Process(server.process.pid)
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    room = descriptors(server) + 20
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (room, limits[1]))
    before = len(server.stderr())
    clients = []
    for _ in range(40):
        clients.append(socket.create_connection(("127.0.0.1", server.port), 10))
        clients[-1].sendall(head(server, "GET", "/healthz"))
    time.sleep(1)
    assert server.alive()
    assert _busy(process, 1) < 0.5, "it spins while nothing can be accepted"
    for client in clients[:10]:  # those that got one are served
        client.settimeout(10)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    told = [line for line in server.stderr()[before:].splitlines() if "cannot be accepted" in line]
    assert 1 <= len(told) <= 3, server.stderr()[before:]
    for client in clients[:30]:
        client.close()
    for client in clients[30:]:  # those that waited are served now
        client.settimeout(30)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.close()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
    assert server.land("t", SMALL)["rows"] == 1000


def test_a_burst_of_connections_over_the_limit_ends_when_they_go(start):
    server = start(args=("--set", "http.connections_max=20"))
    clients = [Connection(server) for _ in range(200)]
    refused = served = 0
    for connection in clients:
        try:
            connection.send(head(server, "GET", "/healthz"))
            code = connection.answer("GET").status_code
        except (OSError, ValueError):
            code = 503  # refused before it had asked
        served += code == 200
        refused += code == 503
    assert served + refused == 200 and served <= 20 and served >= 10, (served, refused)
    for connection in clients:
        connection.close()
    server.session.close()
    wait_until(lambda: _healthy(server), "new connections are served")


def _healthy(server):
    try:
        with Connection(server) as connection:
            connection.send(head(server, "GET", "/healthz"))
            return connection.answer("GET").status_code == 200
    except (OSError, ValueError):
        return False


def test_one_address_cannot_take_all_connections(start):
    server = start(args=("--set", "http.connections_per_address_max=5"))

    def connect(address):
        connection = Connection.__new__(Connection)
        connection.server = server
        connection.socket = socket.create_connection(
            ("127.0.0.1", server.port), 30, source_address=(address, 0)
        )
        connection.reader = connection.socket.makefile("rb")
        connection.send(head(server, "GET", "/healthz"))
        return connection

    taken = [connect("127.0.0.1") for _ in range(5)]
    for connection in taken:
        assert connection.answer("GET").status_code == 200
    with connect("127.0.0.1") as one_more:
        problem(one_more.answer("GET"), 503, "address")
        assert one_more.ended()
    with connect("127.0.0.2") as other:
        assert other.answer("GET").status_code == 200
    taken.pop().close()
    wait_until(lambda: _served(connect), "the place of one that left is free")
    for connection in taken:
        connection.close()


def _served(connect):
    try:
        with connect("127.0.0.1") as connection:
            return connection.answer("GET").status_code == 200
    except OSError:
        return False


def test_connections_that_come_and_go_quickly_leave_nothing(start):
    server = start()
    before = settled(server)

    def storm():
        for _ in range(200):
            socket.create_connection(("127.0.0.1", server.port), 10).close()

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: descriptors(server) <= before, "all are closed again")
    assert _healthy(server)
