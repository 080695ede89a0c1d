"""HTTPS as clients meet it: curl, requests, httpx, Python's ssl; certificates that are wrong,
missing, expired, or replaced while the server runs."""

import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import certs
import httpx
import pyarrow as pa
import pytest
import requests

from server import ARROW, StartFailed, ipc, problem, run, wait_until

ROWS = pa.table({"a": pa.array(range(100000), pa.int64())})


@pytest.fixture
def ca(tmp_path):
    folder = tmp_path / "certs"
    folder.mkdir()
    return certs.Authority(folder)


def tls_config(pair, **more):
    lines = [f"  cert: {pair.cert}", f"  key: {pair.key}"]
    lines += [f"  {name}: {value}" for name, value in more.items()]
    return "tls:\n" + "\n".join(lines) + "\n"


@pytest.fixture
def begin(start, ca):
    """A server with a certificate of `ca`, whom its session trusts; keywords are settings."""

    def with_tls(pair=None, *, config="", **more):
        pair = pair or ca.issue("server")
        server = start(config=tls_config(pair, **more) + config)
        server.url = f"https://127.0.0.1:{server.port}"
        server.session.verify = str(ca.cert)
        server.pair = pair
        return server

    return with_tls


def client_context(ca, pair=None, *, version=None):
    context = ssl.create_default_context(cafile=str(ca.cert))
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def connect(server, context, name="127.0.0.1"):
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def ask(connection, path="/healthz"):
    """One request on a connection that stays open; the status code."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"no answer but {head!r}")
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    while len(body) < int(length[1]):
        body += connection.recv(65536)
    return int(head.split(b" ")[1])


def serial_seen(server, ca):
    with connect(server, client_context(ca)) as connection:
        return connection.getpeercert()["serialNumber"].lstrip("0")


def curl(server, ca, *args, path="/healthz"):
    """Exit code, what -w says, standard error."""
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--cacert", str(ca.cert), "-o", os.devnull, "-w"]
        + ["%{http_code} %{http_version}", *map(str, args), server.url + path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


# ---- what works


@pytest.mark.asan
def test_rows_go_both_ways(begin):
    server = begin()
    assert server.land("t", ROWS)["rows"] == 100000
    assert server.arrow("SELECT * FROM t ORDER BY a").equals(ROWS)
    assert server.value("SELECT count(*) FROM t") == 100000
    assert f"listening on https://127.0.0.1:{server.port}" in server.lines[0]
    assert not any("http://" in line for line in server.lines)


@pytest.mark.asan
@pytest.mark.parametrize(
    "option,version", [("--http1.1", "1.1"), ("--http2", "2"), ("--tls-max=1.2", "2")]
)
def test_curl(begin, ca, option, version, tmp_path):
    server = begin()
    option = option.split("=")
    assert curl(server, ca, *option) == (0, f"200 {version}", "")
    body = tmp_path / "rows"
    body.write_bytes(ipc(ROWS))
    header = f"Content-Type: {ARROW}"
    sent = curl(server, ca, *option, "-H", header, "--data-binary", f"@{body}", path="/ingest/t")
    assert sent == (0, f"200 {version}", "")
    assert server.value("SELECT count(*) FROM t") == 100000


@pytest.mark.parametrize("http2", [False, True])
def test_httpx(begin, ca, http2):
    server = begin()
    verify = ssl.create_default_context(cafile=str(ca.cert))
    with httpx.Client(verify=verify, http2=http2, trust_env=False, timeout=60) as client:
        sent = client.post(
            f"{server.url}/ingest/t", content=ipc(ROWS), headers={"Content-Type": ARROW}
        )
        assert sent.status_code == 200, sent.text
        assert sent.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        got = client.post(
            f"{server.url}/query",
            content=b"SELECT count(*) AS n FROM t",
            headers={"Content-Type": "application/sql"},
        )
        assert got.json() == [{"n": 100000}]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_spoken(begin, ca, version):
    server = begin()
    with connect(server, client_context(ca, version=version)) as connection:
        assert ask(connection) == 200
        assert ask(connection) == 200


def test_the_command_line(begin, ca, tmp_path):
    server = begin(client_ca=ca.cert, client_certificates="optional")
    rows = tmp_path / "rows.arrows"
    rows.write_bytes(ipc(ROWS))
    trusts = ("--url", server.url, "--ca-cert", ca.cert)
    done = run("ingest", *trusts, "t", rows, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("query", *trusts, "--format", "csv", "SELECT count(*) FROM t", cwd=tmp_path)
    assert (done.returncode, b"100000" in done.stdout) == (0, True), done.stderr
    mine = ca.issue("loader")
    pair = ("--client-cert", mine.cert, "--client-key", mine.key)
    assert run("tables", *trusts, *pair, cwd=tmp_path).returncode == 0
    assert run("tables", "--url", server.url, "--insecure", cwd=tmp_path).returncode == 0
    done = run("tables", "--url", server.url, cwd=tmp_path)
    assert done.returncode == 5 and b"--ca-cert" in done.stderr, done.stderr
    other = f"http://127.0.0.1:{server.port}"
    done = run("tables", "--url", other, cwd=tmp_path)
    assert done.returncode != 0 and b"this port speaks TLS" in done.stderr, done.stderr


# ---- versions and protocols that are not


@pytest.mark.asan
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(begin, ca):
    server = begin()
    context = client_context(ca, version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        connect(server, context)
    wait_until(lambda: "speaks TLS 1.1 or older" in server.stderr(), "the log says why")
    assert serial_seen(server, ca)


def test_a_protocol_that_is_no_http_is_refused(begin, ca):
    server = begin()
    context = client_context(ca)
    context.set_alpn_protocols(["imap"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(server, context)


@pytest.mark.asan
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_http_in_the_clear_to_a_port_that_speaks_tls(begin, method):
    server = begin()
    url = f"http://127.0.0.1:{server.port}/ingest/t"
    answer = server.session.request(method, url, data=b"x" * 1000, timeout=30)
    problem(answer, 400, "https://")


@pytest.mark.asan
def test_tls_to_a_port_in_the_clear(start, ca):
    server = start()
    with pytest.raises(ssl.SSLError):
        connect(server, client_context(ca))
    assert server.get("/healthz").status_code == 200


# ---- the server's certificate


def test_a_certificate_of_another_host_or_ca_is_refused_by_clients(begin, ca, tmp_path):
    server = begin(ca.issue("server", alt="DNS:db.example"))
    with pytest.raises(requests.exceptions.SSLError, match="doesn't match|not valid for"):
        server.get("/healthz")
    code, _, text = curl(server, ca)
    assert code == 60 and "does not match" in text or "no alternative" in text
    (tmp_path / "other").mkdir()
    code, _, text = curl(server, certs.Authority(tmp_path / "other"))
    assert code == 60, text


def test_an_expired_certificate_is_served_with_a_warning(begin, ca):
    server = begin(ca.issue("server", expired=True))
    until = time.monotonic() + 10  # the log is written beside the work
    while "(CN=server) expired on 20" not in server.stderr():
        assert time.monotonic() < until, server.stderr()
        time.sleep(0.01)
    code, _, text = curl(server, ca)
    assert code == 60 and "certificate has expired" in text
    assert curl(server, ca, "--insecure")[:2] == (0, "200 2")


@pytest.mark.parametrize(
    "harm,text",
    [
        (lambda pair: pair.cert.unlink(), "server.pem'"),
        (lambda pair: pair.key.unlink(), "server.key'"),
        (lambda pair: pair.cert.write_text("no PEM"), "holds no certificate in PEM form"),
        (lambda pair: pair.key.write_text("no PEM"), "holds no private key in PEM form"),
    ],
    ids=["no certificate", "no key", "not a certificate", "not a key"],
)
def test_a_start_with_files_that_do_not_serve_fails_and_names_them(begin, ca, harm, text):
    pair = ca.issue("server")
    harm(pair)
    with pytest.raises(StartFailed) as failed:
        begin(pair)
    assert text in failed.value.stderr
    assert "PRIVATE KEY" not in failed.value.stderr.replace("BEGIN PRIVATE KEY", "")


def test_a_start_with_another_certificates_key_fails(begin, ca):
    pair = ca.issue("server")
    pair.key = ca.issue("other").key
    with pytest.raises(StartFailed) as failed:
        begin(pair)
    assert "is not the key of the certificate" in failed.value.stderr


# ---- clients' certificates


def refused(server, context, reason):
    """In TLS 1.3 the client hears of it when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with connect(server, context) as connection:
            ask(connection)
    wait_until(lambda: reason in server.stderr(), "the log says why")


@pytest.mark.asan
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_required(begin, ca, tmp_path, version):
    server = begin(client_ca=ca.cert)
    (tmp_path / "other").mkdir()
    stranger = certs.Authority(tmp_path / "other").issue("loader")
    refused(server, client_context(ca, version=version), "the client sent no certificate")
    refused(
        server,
        client_context(ca, stranger, version=version),
        "the client's certificate was refused: unable to get local issuer certificate "
        "(nobody in tls.client_ca has signed it)",
    )
    refused(
        server,
        client_context(ca, ca.issue("old", expired=True), version=version),
        "the client's certificate was refused: certificate has expired",
    )
    with connect(server, client_context(ca, ca.issue("loader"), version=version)) as connection:
        assert ask(connection) == 200


def test_a_client_certificate_may_be_optional(begin, ca, tmp_path):
    server = begin(client_ca=ca.cert, client_certificates="optional")
    (tmp_path / "other").mkdir()
    stranger = certs.Authority(tmp_path / "other").issue("loader")
    for pair in (None, ca.issue("loader")):
        with connect(server, client_context(ca, pair)) as connection:
            assert ask(connection) == 200
    refused(server, client_context(ca, stranger), "the client's certificate was refused")


def test_curl_and_requests_show_a_client_certificate(begin, ca):
    server = begin(client_ca=ca.cert)
    mine = ca.issue("loader")
    assert curl(server, ca, "--cert", mine.cert, "--key", mine.key)[:2] == (0, "200 2")
    assert curl(server, ca)[0] != 0
    server.session.cert = (str(mine.cert), str(mine.key))
    assert server.land("t", ROWS)["rows"] == 100000


# ---- certificates that are replaced


def says_new(server):
    return server.stderr().count("new connections get the certificate")


@pytest.mark.asan
def test_a_new_certificate_is_taken_and_open_connections_go_on(begin, ca):
    server = begin()
    old = server.pair.serial()
    assert serial_seen(server, ca) == old.lstrip("0")
    with connect(server, client_context(ca)) as before:
        assert ask(before) == 200
        server.pair.replace(ca.issue("next"))
        new = server.pair.serial()
        assert new != old
        begun = time.monotonic()
        wait_until(lambda: serial_seen(server, ca) == new.lstrip("0"), "the new certificate")
        # Within a second or two; loaded machines are given more.
        assert time.monotonic() - begun < 15
        assert ask(before) == 200
        assert before.getpeercert()["serialNumber"].lstrip("0") == old.lstrip("0")
    assert says_new(server) >= 1


@pytest.mark.asan
def test_a_load_that_is_under_way_when_the_certificate_changes_is_landed(begin, ca):
    server = begin()
    data = ipc(ROWS)
    with connect(server, client_context(ca)) as load:
        load.sendall(
            b"POST /ingest/t HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (ARROW.encode(), len(data))
        )
        load.sendall(data[:1000])
        server.pair.replace(ca.issue("next"))
        wait_until(lambda: says_new(server) >= 1, "the new certificate")
        load.sendall(data[1000:])
        assert load.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.value("SELECT count(*) FROM t") == 100000


@pytest.mark.asan
def test_a_broken_new_certificate_leaves_the_old_one(begin, ca):
    server = begin()
    old = server.pair.serial().lstrip("0")
    good = server.pair.cert.read_bytes()
    server.pair.cert.write_bytes(good[:200])  # half-written
    wait_until(lambda: "the old one stays" in server.stderr(), "the log says so")
    wait_until(lambda: "holds a broken certificate" in server.stderr(), "a line of the log")
    assert serial_seen(server, ca) == old
    server.pair.cert.unlink()
    wait_until(lambda: server.stderr().count("the old one stays") >= 2, "the log says so again")
    assert serial_seen(server, ca) == old
    server.pair.replace(ca.issue("next"))
    new = server.pair.serial().lstrip("0")
    wait_until(lambda: serial_seen(server, ca) == new, "the new certificate")


def test_the_key_of_another_certificate_leaves_the_old_pair(begin, ca):
    server = begin()
    old = server.pair.serial().lstrip("0")
    other = ca.issue("next")
    server.pair.key.write_bytes(other.key.read_bytes())
    wait_until(lambda: "is not the key of the certificate" in server.stderr(), "the log says so")
    assert serial_seen(server, ca) == old
    server.pair.cert.write_bytes(other.cert.read_bytes())  # and now they belong together
    wait_until(lambda: serial_seen(server, ca) == other.serial().lstrip("0"), "the new pair")


def test_a_folder_of_secrets_that_is_turned(start, ca, tmp_path):
    """As Kubernetes does: tls.crt -> ..data/tls.crt, ..data -> ..N."""
    secret = tmp_path / "secret"
    secret.mkdir()
    for number in (1, 2):
        pair = ca.issue(f"server{number}")
        folder = secret / f"..{number}"
        folder.mkdir()
        (folder / "tls.crt").write_bytes(pair.cert.read_bytes())
        (folder / "tls.key").write_bytes(pair.key.read_bytes())
    (secret / "..data").symlink_to("..1")
    mounted = certs.Certificate(secret / "tls.crt", secret / "tls.key")
    mounted.cert.symlink_to("..data/tls.crt")
    mounted.key.symlink_to("..data/tls.key")
    server = start(config=tls_config(mounted))
    first = mounted.serial().lstrip("0")
    assert serial_seen(server, ca) == first
    (secret / "..tmp").symlink_to("..2")
    (secret / "..tmp").rename(secret / "..data")
    second = mounted.serial().lstrip("0")
    assert second != first
    wait_until(lambda: serial_seen(server, ca) == second, "the new certificate")
    assert "the old one stays" not in server.stderr()


# ---- clients that vanish or are slow


def hello():
    """The first flight of a client, as bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.asan
def test_clients_that_vanish_in_the_handshake_harm_nobody(begin, ca):
    server = begin()
    flight = hello()
    for cut in (0, 1, 5, 100, len(flight)):
        for hard in (False, True):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
                client.sendall(flight[:cut])
                if hard:
                    reset = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    with connect(server, client_context(ca)) as connection:
        assert ask(connection) == 200


@pytest.mark.asan
def test_a_handshake_that_never_ends_is_ended(begin, ca):
    server = begin(config="http:\n  header_timeout_ms: 1000\n")
    slow = []
    for cut in (1, 5, 100):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        client.sendall(hello()[:cut])
        slow.append(client)
    with connect(server, client_context(ca)) as connection:
        assert ask(connection) == 200  # others are served meanwhile
    for client in slow:
        with client:
            assert client.recv(100) == b""


@pytest.mark.asan
def test_a_body_that_is_cut_off_lands_nothing(begin, ca):
    server = begin()
    data = ipc(ROWS)
    with connect(server, client_context(ca)) as load:
        load.sendall(
            b"POST /ingest/t HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % ARROW.encode()
        )
        load.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        # No last chunk, and no close_notify: as if somebody had cut the wire.
    wait_until(lambda: "/ingest/t" in server.stderr(), "the request is over")
    assert not server.has_table("t") or server.value("SELECT count(*) FROM t") == 0


def test_many_clients_at_once(begin, ca):
    server = begin()
    context = client_context(ca)
    codes = []

    def client():
        with connect(server, context) as connection:
            codes.extend(ask(connection) for _ in range(5))

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [200] * 100


def test_no_secret_is_in_the_log(begin, ca):
    server = begin(client_ca=ca.cert)
    key = "".join(server.pair.key.read_text().splitlines()[1:-1])
    server.pair.replace(ca.issue("next"))
    wait_until(lambda: says_new(server) >= 1, "the new certificate")
    assert key[:20] not in server.stderr()
    for line in server.stderr().splitlines():
        json.loads(line)
