"""Load generators of others, over HTTP/1.1 and through TLS: what they post lands, every time.
(curl, httpx and h2load over HTTP/2 are in test_http2.py, over TLS in test_tls.py.)"""

import re
import ssl
import subprocess

import httpx
import pyarrow as pa
import pytest
from certs import Authority

from server import ARROW, ipc

SMALL = pa.table({"id": pa.array(range(100), pa.int64()), "word": ["x"] * 100})

LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "%s"
local file = io.open("%s", "rb")
wrk.body = file:read("*a")
file:close()
"""


def run(*command):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(params=["clear", "tls"])
def served(request, start, ca):
    if request.param == "clear":
        return start()
    pair = ca.issue("server")
    server = start(config=f"tls: {{cert: {pair.cert}, key: {pair.key}}}\n")
    server.url = f"https://127.0.0.1:{server.port}"
    server.session.verify = str(ca.cert)
    return server


def wrk(server, tmp_path, path, body, content_type):
    (tmp_path / "body").write_bytes(body)
    (tmp_path / "post.lua").write_text(LUA % (content_type, tmp_path / "body"))
    command = ("wrk", "-t1", "-c4", "-d2s", "--timeout", "60s", "-s", tmp_path / "post.lua")
    said = run(*command, server.url + path)
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    return int(re.search(r"(\d+) requests in", said)[1])


def test_wrk_ingests(served, tmp_path):
    requests = wrk(served, tmp_path, "/ingest/t", ipc(SMALL), ARROW)
    rows = served.value("SELECT count(*) AS n FROM t")
    assert requests > 0 and rows % 100 == 0
    # Those that were under way when wrk ended may have landed too.
    assert requests <= rows // 100 <= requests + 4


def test_wrk_asks(served, tmp_path):
    served.land("t", SMALL)
    sql = b"SELECT count(*) AS n FROM t"
    assert wrk(served, tmp_path, "/query", sql, "application/sql") > 0


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_h2load_ingests(served, tmp_path, protocol):
    """Over TLS the protocol is what ALPN agrees on."""
    (tmp_path / "body").write_bytes(ipc(SMALL))
    options = ["-p", "h2c" if protocol == "h2" else protocol]
    if served.url.startswith("https"):
        options = [f"--npn-list={protocol}"]
    said = run(
        *("h2load", "-n200", "-c4", "-m5", *options, "-d", tmp_path / "body"),
        *("-H", f"content-type: {ARROW}", served.url + "/ingest/t"),
    )
    assert "200 total, 200 started, 200 done, 200 succeeded, 0 failed" in said, said
    assert "status codes: 200 2xx" in said, said
    assert served.value("SELECT count(*) AS n FROM t") == 200 * 100


def test_httpx_over_http_1(served, ca):
    """Streams both ways: a chunked body, and an answer that is read as it comes."""
    options = {"trust_env": False, "timeout": 60, "http1": True, "http2": False}
    if served.url.startswith("https"):
        options["verify"] = ssl.create_default_context(cafile=str(ca.cert))
    body = ipc(SMALL)
    with httpx.Client(base_url=served.url, **options) as client:
        parts = (body[at : at + 100] for at in range(0, len(body), 100))
        answer = client.post("/ingest/t", content=parts, headers={"Content-Type": ARROW})
        assert answer.http_version == "HTTP/1.1" and answer.json()["rows"] == 100, answer.text
        sql = {"Content-Type": "application/sql", "Accept": "text/csv"}
        with client.stream("POST", "/query", content="SELECT id FROM t", headers=sql) as stream:
            assert sum(1 for _ in stream.iter_lines()) == 101
