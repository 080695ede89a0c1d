"""The log from outside: one line a request, whatever clients send, whoever reads it."""

import json
import os
import pty
import re
import socket
import threading

import pyarrow as pa
import pytest

from server import problem, wait_until

TABLE = pa.table({"id": [1, 2, 3]})
JSON_LOG = ("--set", "log_format=json")
TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) +\w+: "
    r"[^\x00-\x1f\x7f-\x9f]*"
)


def lines_of(server):
    """All lines so far, each of which must be JSON on its own."""
    text = server.stderr_path.read_bytes().decode("utf-8")  # strictly
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n") if line]


def logged(server, request_id, count=1):
    """The lines with that id, once there are `count`: lines follow answers."""
    found = []

    def look():
        found[:] = [line for line in lines_of(server) if line.get("request_id") == request_id]
        return len(found) >= count

    wait_until(look, f"{count} lines about {request_id}")
    return found


def raw(server, data):
    """What is answered to these bytes, until the server closes or falls silent."""
    host, port = server.url.split("//")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


def test_a_request_is_one_line(start):
    server = start(args=JSON_LOG)
    answer = server.ingest("s", TABLE, query="?eos=optional")
    (line,) = logged(server, answer.headers["x-request-id"])
    assert line.pop("time") and line.pop("duration_ms") > 0
    assert line.pop("received_bytes") > 100
    assert line.pop("sent_bytes") == len(answer.content)
    assert line == {
        "level": "info",
        "area": "http",
        "message": "request",
        "request_id": answer.headers["x-request-id"],
        "client": "127.0.0.1",
        "protocol": "HTTP/1.1",
        "method": "POST",
        "path": "/ingest/s",
        "status": 200,
        "who": "local",
        "stream": "s",
        "rows": 3,
    }


def test_all_that_a_server_says_is_json(start):
    server = start(args=JSON_LOG)
    server.land("s", TABLE)
    problem(server.query("SELEC"), 400)
    problem(server.get("/nothing"), 404)
    problem(server.ingest("s", pa.table({"surplus": [1]})), 422)
    raw(server, b"no HTTP at all\r\n\r\n")
    raw(server, b"POST /ingest/s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\nabc")
    server.stop()
    assert len(lines_of(server)) >= 4


def test_an_error_is_logged_with_the_id_of_its_request(start):
    server = start(args=JSON_LOG)
    answer = server.ingest("s", b"no stream")
    error, request = logged(server, answer.headers["x-request-id"], 2)
    assert error["level"] == "info"
    assert (error["status"], error["code"]) == (400, "INVALID")
    assert error["message"] == answer.json()["detail"]
    assert request["status"] == 400


@pytest.mark.parametrize("given", ["a", "A-Z_0.9", "x" * 64])
def test_a_clients_own_id_is_taken(server, given):
    assert server.get("/healthz", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"x" * 65,
        b"a b",
        b'a"b',
        b"a/b",
        b"{}",
        b"\xff",
        b"\xe2\x80\xae",
        b"a\\nb",
        b"x" * 5000,
    ],
)
def test_an_id_that_is_none_is_passed_over(start, given):
    server = start(args=JSON_LOG)
    answer = raw(
        server,
        b"GET /streams HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nx-request-id: "
        + given
        + b"\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 200")
    (made,) = re.findall(rb"\r\nx-request-id: ([0-9a-f]{32})\r\n", answer)
    logged(server, made.decode())


HOSTILE = [
    b"/a%0a%0d{}",
    b'/"quoted"\\',
    b"/%1b[2J%e2%80%ae",
    b'/","level":"error"',
    b"/\xe2\x80\xae\xc2\x9b",
    b"/\xff\xfe",
    b"/ingest/%0afake%20line",
    b"/" + b"x" * 4000,
    b"/tables/%22%0a",
]


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_that_clients_send_makes_a_line(start, form):
    server = start(args=("--set", f"log_format={form}"))
    for path in HOSTILE:
        raw(
            server,
            b"POST " + path + b" HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n"
            b'content-type: a\x1b/b"\\\xff\r\nuser-agent: \xff"\r\nconnection: close\r\n\r\n',
        )
        raw(
            server,
            b"POST " + path + b' HTTP/1.1\r\nhost: evil"\xe2\x80\xae\r\ncontent-length: 0\r\n\r\n',
        )
    server.stop()
    if form == "json":
        for line in lines_of(server):
            assert set(line) >= {"time", "level", "area", "message"}
            assert line["level"] in ("info", "warning")
    for line in server.stderr_path.read_text("utf-8").split("\n")[:-1]:
        assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]", line)
        assert form == "json" or TEXT_LINE.fullmatch(line), line


def test_no_query_string_and_no_sql_is_in_it(start):
    server = start(args=JSON_LOG)
    server.get("/query", params={"sql": "SELECT 'hush1' AS a"})
    server.rows("SELECT 'hush2' AS a")
    problem(server.query("SELECT 'hush3' FROM nowhere_hush4"), 400)
    problem(server.get("/query", params={"sql": "SELEC 'hush5'", "token": "hush6"}), 400)
    problem(server.get("/nothing?token=hush7", headers={"Authorization": "Bearer hush8"}), 404)
    server.stop()
    text = server.stderr()
    assert '"path":"/query"' in text
    assert "hush" not in text


def test_at_debug_sql_errors_are_told(start):
    server = start(args=(*JSON_LOG, "--log-level", "debug"))
    answer = server.query("SELECT 'told' FROM nowhere")
    error, _ = logged(server, answer.headers["x-request-id"], 2)
    assert error["message"].startswith("Catalog Error")
    assert logged(server, server.get("/healthz").headers["x-request-id"])[0]["level"] == "debug"


def test_probes_are_not_in_it(start):
    server = start(args=JSON_LOG)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert server.get(path).status_code == 200
    last = server.get("/streams").headers["x-request-id"]
    logged(server, last)
    paths = [line.get("path") for line in lines_of(server) if line["area"] == "http"]
    assert paths == ["/streams"]


def test_on_a_terminal_it_is_text(start):
    ours, theirs = pty.openpty()
    server = start(preexec_fn=lambda: os.dup2(theirs, 2))
    os.close(theirs)
    server.get("/streams")
    text = b""
    while b"/streams" not in text:
        text += os.read(ours, 4096)
    assert re.search(rb"Z info    http: request request_id=\w{32} client=127.0.0.1 ", text)
    server.stop()
    os.close(ours)


def test_a_pipe_that_nobody_reads_stops_nothing(start):
    ours, theirs = os.pipe()
    server = start(args=JSON_LOG, preexec_fn=lambda: os.dup2(theirs, 2))
    os.close(theirs)
    path = "/" + "x" * 1000  # long lines: the queue is full sooner

    def dropped():
        text = server.get("/metrics").text
        return int(re.findall(r"^arrowport_log_dropped_lines_total (\d+)$", text, re.M)[0])

    for count in range(3000):
        assert server.get(path).status_code == 404
        if count % 100 == 99 and dropped() > 0:
            break
    server_dropped = dropped()
    assert server_dropped > 0
    # Somebody reads at last: a line says what is missing, and the log goes on.
    text = []

    def read():
        with os.fdopen(ours, "rb") as pipe:
            text.append(pipe.read())

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: server.get("/streams") and True, "it answers")
    server.stop()
    reader.join(30)
    lines = [json.loads(line) for line in text[0].splitlines()]
    told = [
        int(line["message"].split()[0]) for line in lines if "lines were dropped" in line["message"]
    ]
    assert sum(told) >= server_dropped
    assert "server" in [line["area"] for line in lines[-2:]]  # the last may tell of dropped ones


def test_a_server_ends_although_nobody_reads(start):
    ours, theirs = os.pipe()
    server = start(args=JSON_LOG, preexec_fn=lambda: os.dup2(theirs, 2))
    os.close(theirs)
    for _ in range(300):  # more than the pipe holds
        server.get("/nothing")
    server.stop()
    os.close(ours)
