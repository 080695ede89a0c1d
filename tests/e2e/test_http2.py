"""HTTP/2 as others speak it: their clients, many requests on one connection, clients that vanish,
and floods. The rules themselves: test_h2spec.py."""

import json
import re
import struct
import subprocess
import time

import httpx
import pyarrow as pa
import pytest
from http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    frame,
)

from server import ARROW, ipc, read_arrow, wait_until

pytestmark = pytest.mark.asan

SLOW = b"SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b"


def numbers(rows):
    return pa.table({"id": pa.array(range(rows), pa.int64()), "half": [i / 2 for i in range(rows)]})


def curl(*args, stdin=None):
    done = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", *args], input=stdin, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_curl_ingests_and_asks(server):
    body = ipc(numbers(300_000))  # several windows
    answer = curl(
        "-H",
        f"content-type: {ARROW}",
        "--data-binary",
        "@-",
        f"{server.url}/ingest/h2_curl",
        stdin=body,
    )
    assert json.loads(answer)["rows"] == 300_000
    answer = curl(
        "-H",
        "content-type: application/sql",
        "-H",
        f"accept: {ARROW}",
        "-d",
        "FROM h2_curl",
        f"{server.url}/query",
    )
    assert read_arrow(answer).num_rows == 300_000
    assert (
        curl("-w", "%{http_version} %{http_code}", "-o", "/dev/null", f"{server.url}/healthz")
        == b"2 200"
    )


def test_curl_waits_for_100(server):
    told = subprocess.run(
        [
            "curl",
            "-sSv",
            "--http2-prior-knowledge",
            "-H",
            "expect: 100-continue",
            "--expect100-timeout",
            "30",
        ]
        + [
            "-H",
            f"content-type: {ARROW}",
            "--data-binary",
            "@-",
            f"{server.url}/ingest/h2_continue",
        ],
        input=ipc(numbers(10)),
        capture_output=True,
    )
    assert told.returncode == 0
    assert b"< HTTP/2 100" in told.stderr
    assert json.loads(told.stdout)["rows"] == 10


def test_httpx(server):
    with httpx.Client(http1=False, http2=True, base_url=server.url, trust_env=False) as client:
        data = ipc(numbers(1000))
        answer = client.post("/ingest/h2_httpx", content=data, headers={"content-type": ARROW})
        assert answer.http_version == "HTTP/2"
        assert answer.json()["rows"] == 1000
        sql = {"content-type": "application/sql"}
        answer = client.post("/query", content="SELECT max(id) AS top FROM h2_httpx", headers=sql)
        assert answer.json() == [{"top": 999}]
        answer = client.post("/query", content="SELEC", headers=sql)
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert client.get("/nowhere").status_code == 404
        answer = client.head("/healthz")
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_hundred_at_a_time(server):
    with Client(server.port) as client:
        sql = ("content-type", "application/sql")
        for i in range(100):
            client.request(2 * i + 1, "POST", "/query", sql, end=False)
        for i in range(100):  # in pieces, all of them open
            client.send(frame(DATA, 0, 2 * i + 1, b"SELECT "))
        for i in range(100):
            client.send(frame(DATA, END_STREAM, 2 * i + 1, b"%d AS n" % i))
        bodies = {}
        while len(bodies) < 100 or not all(done for done, _ in bodies.values()):
            kind, flags, stream, payload = client.next()
            if kind == DATA:
                _, before = bodies.get(stream, (False, b""))
                bodies[stream] = (bool(flags & END_STREAM), before + payload)
        for i in range(100):
            assert json.loads(bodies[2 * i + 1][1]) == [{"n": i}]


@pytest.mark.parametrize("path, body", [("/healthz", None), ("/query", b"SELECT 42 AS answer")])
def test_h2load(server, tmp_path, path, body):
    command = ["h2load", "-n", "1000", "-c", "5", "-m", "50", server.url + path]
    if body is not None:
        (tmp_path / "body").write_bytes(body)
        command += ["-d", tmp_path / "body", "-H", "content-type: application/sql"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in told, told
    assert "1000 2xx, 0 3xx, 0 4xx, 0 5xx" in told, told


# ---- clients that vanish -----------------------------------------------------------------


def sql_request(client, sql, **options):
    client.request(1, "POST", "/query", ("content-type", "application/sql"), body=sql, **options)


def vanish_mid_preface(client):
    pass


def vanish_mid_head(client):
    client.send(frame(HEADERS, 0, 1, client.head("GET", "/healthz")[:5]))


def vanish_after_head(client):
    client.request(1, "POST", "/ingest/h2_vanished", ("content-type", ARROW), end=False)


def vanish_mid_frame(client):
    vanish_after_head(client)
    client.send(frame(DATA, 0, 1, ipc(numbers(100)))[:-50])


def vanish_mid_body(client):
    vanish_after_head(client)
    client.send(frame(DATA, 0, 1, ipc(numbers(100))[:-50]))


def vanish_while_it_works(client):
    sql_request(client, SLOW)
    time.sleep(0.5)


def vanish_mid_answer(client):
    sql_request(client, b"SELECT range AS id FROM range(10000000)")
    client.until(lambda kind, *_: kind == DATA)


def reset_while_it_works(client):
    vanish_while_it_works(client)
    client.send(frame(RST_STREAM, 0, 1, struct.pack(">I", 8)))
    client.send(frame(PING, payload=b"12345678"))
    client.until(lambda kind, flags, *_: kind == PING and flags & ACK)


def broken_while_it_works(client):
    vanish_while_it_works(client)
    client.send(frame(DATA, 0, 99, b"of no stream"))
    client.until(lambda *_: False)


@pytest.mark.parametrize(
    "stage",
    [
        vanish_mid_preface,
        vanish_mid_head,
        vanish_after_head,
        vanish_mid_frame,
        vanish_mid_body,
        vanish_while_it_works,
        vanish_mid_answer,
        reset_while_it_works,
        broken_while_it_works,
    ],
)
def test_vanishing(start, stage):
    server = start()
    with Client(server.port) as client:
        stage(client)
    # Threads are free again, nothing has landed, and the server ends at once: nobody works.
    for _ in range(4):
        assert server.value("SELECT 42 AS answer") == 42
    assert not server.has_table("h2_vanished")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 20


# ---- floods -------------------------------------------------------------------------------


def settings(client):
    return frame(SETTINGS)


def pings(client):
    return frame(PING, payload=b"12345678")


def priorities(client):
    return frame(PRIORITY, 0, 9, b"\0\0\0\0\7") * 1000


def windows(client):
    return frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 1000


def unknown(client):
    return frame(0x42, 0, 0, b"what?") * 1000


def empty_data(client):
    if client.opened == 0:
        client.opened = 1
        client.request(1, "POST", "/ingest/h2_flood", ("content-type", ARROW), end=False)
    return frame(DATA, 0, 1)


def resets(client):
    client.opened += 2
    head = frame(
        HEADERS, END_HEADERS | END_STREAM, client.opened - 1, client.head("GET", "/healthz")
    )
    return head + frame(RST_STREAM, 0, client.opened - 1, struct.pack(">I", 8))


def continuations(client):
    if client.opened == 0:
        client.opened = 1
        return frame(HEADERS, 0, 1, client.head("GET", "/healthz"))
    return frame(CONTINUATION, 0, 1, b"")


def header_bomb(client):
    block = client.head("GET", "/healthz", ("x", "y" * 3000)) + b"\xbe" * 10000
    return frame(HEADERS, END_HEADERS | END_STREAM, 1, block)


@pytest.mark.parametrize(
    "flood",
    [settings, pings, priorities, windows, unknown, empty_data, resets, continuations, header_bomb],
)
def test_floods(start, flood):
    server = start()
    with Client(server.port) as client:
        client.opened = 0
        try:
            for _ in range(1000):
                client.send(flood(client))
                if flood is header_bomb:
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # that is how it should end
        client.until(lambda *_: False)
        assert client.goaway in (ENHANCE_YOUR_CALM, None)  # a reset may have overtaken it
    assert server.value("SELECT 42 AS answer") == 42
    wait_until(lambda: refused(server, "flood") == 1, "the flood is counted")


def refused(server, reason):
    text = server.get("/metrics").text
    return int(re.search(rf'^arrowport_refused_total\{{reason="{reason}"\}} (\d+)$', text, re.M)[1])
