"""Who may ask: protected mode, Host and Origin, tokens, users, scopes, patterns, slowed guesses,
and secrets that are told nowhere."""

import base64
import concurrent.futures
import fcntl
import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios

import certs
import httpx
import pyarrow as pa
import pytest
import requests

from server import ARROW, StartFailed, binary, environment, ipc, problem, run, wait_until

pytestmark = pytest.mark.asan

ROWS = pa.table({"id": [1, 2, 3]})
TOKENS = {
    "reader": "reader-0123456789abcdef",
    "writer": "writer-0123456789abcdef",
    "both": "both-0123456789abcdef",
    "admin": "admin-0123456789abcdef",
    "sensors": "sensors-0123456789abcdef",
}
PASSWORD = "correct horse battery"

CONFIG = """\
auth:
  tokens:
    reader: {{token: {reader}}}
    writer: {{token: {writer}, scopes: [write]}}
    both: {{token: {both}, scopes: [read, write]}}
    admin: {{token: {admin}, scopes: [admin]}}
    sensors:
      token: {sensors}
      scopes: [read, write]
      streams: ['sensor_*', routed]
      tables: ['sensor_*', 'lab.*']
streams:
  routed: {{target_table: lab.readings}}
  sensor_x: {{target_table: secret}}
  other: {{target_table: other}}
""".format(**TOKENS)


def hash_of(password, cost=10):
    salt = os.urandom(16)
    made = hashlib.scrypt(
        password.encode(), salt=salt, n=1 << cost, r=8, p=1, dklen=32, maxmem=1 << 28
    )
    encode = lambda data: base64.b64encode(data).decode().rstrip("=")  # noqa: E731
    return f"$scrypt$ln={cost},r=8,p=1${encode(salt)}${encode(made)}"


def bearer(name):
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def land(server, stream, headers):
    return server.post(
        f"/ingest/{stream}", data=ipc(ROWS), headers={"Content-Type": ARROW, **headers}
    )


def log_lines(server, message, count):
    """The log's lines of that message, which are JSON where there is no terminal; `count` of them
    come sooner or later."""

    def found():
        lines = [line for line in server.stderr().splitlines(True) if line.endswith("}\n")]
        return [line for line in map(json.loads, lines) if message in line["message"]]

    wait_until(lambda: len(found()) >= count, f"{count} lines of {message}")
    assert len(found()) == count
    return found()


def users(**names):
    lines = [
        f"    {name}: {{password_hash: '{hash_of(password)}', scopes: [read, write]}}"
        for name, password in names.items()
    ]
    return "auth:\n  users:\n" + "\n".join(lines) + "\n"


@pytest.fixture
def guarded(start):
    return start(config=CONFIG)


# ---- tokens


def test_without_credentials_the_ways_to_give_them_are_told(guarded):
    for path in ("/tables", "/streams", "/version", "/query?sql=SELECT+1"):
        answer = guarded.get(path)
        body = problem(answer, 401, "token")
        assert body["code"] == "UNAUTHENTICATED"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="arrowport"'
    answer = land(guarded, "a", {})
    problem(answer, 401)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer wrong-0123456789abcdef",
        "Bearer " + TOKENS["reader"] + "x",
        "Bearer " + TOKENS["reader"][:-1],
        "Bearer " + TOKENS["reader"].upper(),
        "Bearer",
        "Bearer a b",
        TOKENS["reader"],
        "Basic " + TOKENS["reader"],
        "Basic " + base64.b64encode(f"reader:{TOKENS['reader']}".encode()).decode(),
        "Digest username=reader",
        "",
    ],
)
def test_a_wrong_token_is_nobodys(start, value):
    server = start(config=CONFIG)
    answer = server.get("/tables", headers={"Authorization": value})
    problem(answer, 401)
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    (refused,) = log_lines(server, "credentials refused", 1)
    assert refused["client"] == "127.0.0.1" and refused["reason"]
    assert all(len(word) < 16 or word not in server.stderr() for word in value.split())


def test_scopes_say_what_may_be_done(guarded):
    land(guarded, "a", bearer("both"))
    sql = {"Content-Type": "application/sql"}
    asks = {
        "tables": lambda h: guarded.get("/tables", headers=h),
        "table": lambda h: guarded.get("/tables/a", headers=h),
        "streams": lambda h: guarded.get("/streams", headers=h),
        "select": lambda h: guarded.post("/query", data=b"FROM a", headers={**sql, **h}),
        "ingest": lambda h: land(guarded, "a", h),
        "version": lambda h: guarded.get("/version", headers=h),
    }
    may = {
        "reader": {"tables", "table", "streams", "select", "version"},
        "writer": {"ingest", "version"},
        "both": set(asks),
        "admin": set(asks),
    }
    for who, allowed in may.items():
        for what, ask in asks.items():
            answer = ask(bearer(who))
            if what in allowed:
                assert answer.status_code == 200, (who, what, answer.text)
            else:
                problem(answer, 403, "scope", f"token:{who}")


def test_one_token_in_two_headers_is_none(guarded):
    with socket.create_connection(("127.0.0.1", guarded.port)) as connection:
        line = f"Authorization: Bearer {TOKENS['reader']}\r\n"
        head = "GET /tables HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        connection.sendall(f"{head}{line}{line}\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_patterns_limit_streams_and_tables(guarded):
    assert land(guarded, "sensor_a", bearer("sensors")).status_code == 200
    guarded.post(
        "/query",
        data=b"CREATE SCHEMA lab",
        headers={"Content-Type": "application/sql", **bearer("admin")},
    )
    answer = land(guarded, "routed", bearer("sensors"))
    assert answer.status_code == 200, answer.text
    problem(land(guarded, "other", bearer("sensors")), 403, "stream 'other'", "token:sensors")
    problem(land(guarded, "sensor_x", bearer("sensors")), 403, "table secret")
    problem(land(guarded, "lab.readings", bearer("sensors")), 403, "stream 'lab.readings'")
    assert land(guarded, "other", bearer("admin")).status_code == 200

    seen = guarded.get("/tables", headers=bearer("sensors")).json()["tables"]
    assert {table["name"] for table in seen} == {"sensor_a", "lab.readings"}
    everything = guarded.get("/tables", headers=bearer("reader")).json()["tables"]
    assert {table["name"] for table in everything} >= {"sensor_a", "lab.readings", "other"}
    streams = guarded.get("/streams", headers=bearer("sensors")).json()["streams"]
    assert [stream["name"] for stream in streams] == ["routed"]

    assert guarded.get("/tables/SENSOR_A", headers=bearer("sensors")).status_code == 200
    there = problem(guarded.get("/tables/other", headers=bearer("sensors")), 403)
    not_there = problem(guarded.get("/tables/nothing", headers=bearer("sensors")), 403)
    assert there["detail"].replace("other", "nothing") == not_there["detail"]


# ---- users


def test_a_user_is_let_in_by_name_and_password(start):
    server = start(config=users(anna=PASSWORD))
    answer = server.get("/tables")
    problem(answer, 401, "password")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="arrowport", charset="UTF-8"'
    assert server.get("/tables", auth=("anna", PASSWORD)).status_code == 200
    problem(server.get("/tables", auth=("anna", PASSWORD + "x")), 401)
    problem(server.get("/tables", auth=("bert", PASSWORD)), 401)
    problem(server.get("/tables", headers={"Authorization": "Basic anna:" + PASSWORD}), 401)
    refused = log_lines(server, "credentials refused", 3)
    assert [line.get("user") for line in refused] == ["anna", None, None]
    asked = log_lines(server, "request", 5)
    assert "user:anna" in [line.get("who") for line in asked]
    assert PASSWORD not in server.stderr() and "bert" not in server.stderr()


def test_the_body_waits_until_the_password_is_checked(start):
    """A body that is larger than any socket's buffers, with the first request of a connection
    and the second, which the server has seen before."""
    server = start(config=users(anna=PASSWORD))
    table = pa.table({"id": pa.array(range(1_000_000), pa.int64())})
    for _ in range(2):
        answer = server.post(
            "/ingest/large",
            data=ipc(table),
            auth=("anna", PASSWORD),
            headers={"Content-Type": ARROW},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == 1_000_000
    wrong = server.post(
        "/ingest/large", data=ipc(table), auth=("anna", "not it"), headers={"Content-Type": ARROW}
    )
    problem(wrong, 401)


def test_many_logins_at_once_are_all_answered(start):
    server = start(config=users(anna=PASSWORD, bert=PASSWORD + "2"))

    def ask(who):
        return requests.get(server.url + "/tables", auth=who, timeout=60).status_code

    people = [("anna", PASSWORD), ("bert", PASSWORD + "2")] * 20
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, people)) == {200}


def test_clients_that_vanish_while_they_are_checked(start):
    cost = 16  # 64 MiB, so that it takes a moment
    config = f"auth: {{users: {{anna: {{password_hash: '{hash_of(PASSWORD, cost)}'}}}}}}"
    server = start(config=config)
    head = "GET /tables HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\r\n"
    for i in range(12):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            value = basic("anna", PASSWORD if i % 2 else f"wrong{i}")["Authorization"]
            connection.sendall(head.format(value).encode())
    wait_until(lambda: server.get("/healthz").status_code == 200, "alive")
    assert server.alive()
    # In the middle of a check it is told to end, and does.
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.format(basic("anna", "another")["Authorization"]).encode())
        server.process.send_signal(signal.SIGTERM)
        server.stop()


# ---- guesses


def test_guesses_are_slowed_and_a_right_one_makes_good(start):
    server = start(config=CONFIG)
    wrong = {"Authorization": "Bearer wrong-0123456789abcdef"}
    for _ in range(5):
        problem(server.get("/tables", headers=wrong), 401)
    answer = server.get("/tables", headers=wrong)
    problem(answer, 429, "not looked at")
    assert answer.headers["Retry-After"] == "1"
    # Not even a right one is looked at, or whoever guesses would learn it.
    assert server.get("/tables", headers=bearer("reader")).status_code == 429
    problem(server.get("/tables"), 401)  # nothing was guessed
    assert server.get("/healthz").status_code == 200

    def waits():
        answer = server.get("/tables", headers=wrong)
        if answer.status_code == 401:
            after = server.get("/tables", headers=wrong)
            assert after.status_code == 429
            assert int(after.headers["Retry-After"]) >= 2
            return True
        return False

    wait_until(waits, "the first second is over")
    wait_until(lambda: server.get("/tables", headers=bearer("reader")).status_code == 200, "let in")
    for _ in range(4):
        problem(server.get("/tables", headers=wrong), 401)
    assert server.get("/tables", headers=bearer("reader")).status_code == 200


def test_passwords_guessed_all_at_once_are_few_tries(start):
    server = start(config=users(anna=PASSWORD))

    def ask(number):
        answer = requests.get(server.url + "/tables", auth=("anna", f"guess {number}"), timeout=60)
        return answer.status_code

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        codes = list(pool.map(ask, range(40)))
    assert set(codes) <= {401, 429}
    assert codes.count(401) <= 10, codes


def test_a_flood_of_logins_is_bounded(start):
    """More than may wait in line are told to come back; what needs no password goes on."""
    cost = 16  # 64 MiB and some tenths of a second each: the line is full before it moves
    config = f"auth: {{users: {{anna: {{password_hash: '{hash_of(PASSWORD, cost)}'}}}}}}"
    server = start(config=config)
    connections = []
    for number in range(200):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        value = basic("anna", f"guess {number}")["Authorization"]
        connection.sendall(
            f"GET /tables HTTP/1.1\r\nHost: localhost\r\nAuthorization: {value}\r\n\r\n".encode()
        )
        connections.append(connection)
    assert server.get("/healthz").status_code == 200
    heads = [connection.recv(4096).decode() for connection in connections]
    for connection in connections:
        connection.close()
    codes = [head.split()[1] for head in heads]
    assert set(codes) <= {"401", "429", "503"}
    assert codes.count("401") <= 10
    busy = [head for head in heads if head.split()[1] == "503"]
    assert busy and all("retry-after: " in head.lower() for head in busy)


# ---- Host and Origin


def test_a_listed_origin_may_ask_and_read(start):
    server = start(config=CONFIG + "allowed_origins: ['https://app.example.org']\n")
    origin = {"Origin": "https://app.example.org", "Sec-Fetch-Site": "cross-site"}
    answer = server.get("/tables", headers={**origin, **bearer("reader")})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert answer.headers["Vary"].lower() == "origin"
    # What went wrong may be read, too.
    answer = server.get("/tables", headers=origin)
    problem(answer, 401)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    other = {**origin, "Origin": "https://evil.example", **bearer("reader")}
    answer = server.get("/tables", headers=other)
    problem(answer, 403, "page")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_of_a_listed_origin_is_granted(start):
    server = start(config=CONFIG + "allowed_origins: ['https://app.example.org']\n")
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = server.request(
        "OPTIONS", "/query", headers={"Origin": "https://app.example.org", **ask}
    )
    assert answer.status_code == 204 and answer.content == b""
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "idempotency-key" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    for origin in ("https://evil.example", "null", "http://app.example.org"):
        answer = server.request("OPTIONS", "/query", headers={"Origin": origin, **ask})
        problem(answer, 403, "page")
        assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_listed_hosts_are_answered_to(start):
    server = start(config="allowed_hosts: [db.example.org, 'fixed.example.org:1']\n")
    for host, code in (
        ("db.example.org", 200),
        ("DB.EXAMPLE.ORG:9", 200),
        ("x.example.org", 403),
        ("fixed.example.org:1", 200),
        ("fixed.example.org:2", 403),
    ):
        assert server.get("/tables", headers={"Host": host}).status_code == code, host


# ---- other machines


def foreign_address():
    """An address of this machine that is not loopback: who connects from it is a stranger."""
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    found = [
        word for word in words if re.fullmatch(r"[\d.]+", word) and not word.startswith("127.")
    ]
    assert found, "a stranger's address is needed, and this machine has loopback addresses only"
    return found[0]


def test_while_nobody_may_ask_only_this_machine_does(start):
    address = foreign_address()
    server = start(args=("--host", "0.0.0.0"))
    far = f"http://{address}:{server.port}"
    assert server.get("/tables").status_code == 200
    for method, path in (("GET", "/tables"), ("POST", "/ingest/a"), ("GET", "/query?sql=SELECT+1")):
        answer = requests.request(method, far + path, timeout=60)
        problem(answer, 403, "protected mode", "auth.tokens", "auth.users", "tls.client_ca")
    # With a Host of ours or not, and credentials that nobody asked for.
    for headers in ({"Host": "localhost"}, {"Host": "evil.example"}, bearer("reader")):
        problem(requests.get(far + "/tables", headers=headers, timeout=60), 403, "protected mode")
    assert requests.get(far + "/healthz", timeout=60).status_code == 200
    problem(
        requests.get(far + "/healthz", headers={"Host": "evil.example"}, timeout=60), 403, "Host"
    )


def test_with_a_token_other_machines_are_served(start):
    address = foreign_address()
    server = start(config=CONFIG, args=("--host", "0.0.0.0"))
    far = f"http://{address}:{server.port}"
    problem(requests.get(far + "/tables", timeout=60), 401)
    assert requests.get(far + "/tables", headers=bearer("reader"), timeout=60).status_code == 200
    problem(server.get("/tables"), 401)  # and this machine's clients need one too
    assert requests.get(far + "/healthz", timeout=60).status_code == 200
    headers = {**bearer("reader"), "Host": "evil.example"}
    problem(requests.get(far + "/tables", headers=headers, timeout=60), 403, "Host")


def test_guesses_of_one_machine_do_not_slow_another(start):
    address = foreign_address()
    server = start(config=CONFIG, args=("--host", "0.0.0.0"))
    far = f"http://{address}:{server.port}/tables"
    wrong = {"Authorization": "Bearer wrong-0123456789abcdef"}
    for _ in range(5):
        requests.get(far, headers=wrong, timeout=60)
    assert requests.get(far, headers=bearer("reader"), timeout=60).status_code == 429
    assert server.get("/tables", headers=bearer("reader")).status_code == 200


# ---- where secrets are


def test_secrets_come_from_the_environment_and_from_files(start, tmp_path):
    (tmp_path / "token").write_text("file-0123456789abcdef\n")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "open").write_text("open-0123456789abcdef")
    (tmp_path / "open").chmod(0o644)
    server = start(
        config="auth:\n  tokens:\n    e: {token_env: T}\n    f: {token_file: token}\n"
        "    o: {token_file: open}\n"
        "    d: {token_sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}\n"
        "  users:\n    u: {password_hash_env: H}\n",
        env={"T": "environment-0123456789", "H": hash_of(PASSWORD)},
    )
    for token in (
        "environment-0123456789",
        "file-0123456789abcdef",
        "open-0123456789abcdef",
        "secret",
    ):
        headers = {"Authorization": f"Bearer {token}"}
        assert server.get("/tables", headers=headers).status_code == 200, token
    assert server.get("/tables", auth=("u", PASSWORD)).status_code == 200
    (warned,) = log_lines(server, "every user of this machine", 1)
    assert "'open'" in warned["message"]


@pytest.mark.parametrize(
    "entry, words",
    [
        ("{token_file: nowhere}", ["given.yaml:3:5", "auth.tokens.ci", "nowhere"]),
        ("{token_env: NOT_SET_ANYWHERE}", ["given.yaml:3:5", "auth.tokens.ci", "NOT_SET_ANYWHERE"]),
        ("{token_file: .}", ["auth.tokens.ci", "no ordinary file"]),
        ("{token: tooshort}", ["given.yaml:3:5", "openssl rand -hex 32"]),
        ("{}", ["given.yaml:3:5", "token_file"]),
        (
            "{token: 0123456789abcdef0}\n    cd: {token: 0123456789abcdef0}",
            ["'cd'", "same token", "given.yaml:4:5"],
        ),
    ],
)
def test_a_secret_that_is_missing_or_bad_is_named(start, entry, words):
    with pytest.raises(StartFailed) as failed:
        start(config=f"auth:\n  tokens:\n    ci: {entry}\n")
    for word in words:
        assert word in failed.value.stderr
    assert "0123456789abcdef0" not in failed.value.stderr
    assert "tooshort" not in failed.value.stderr


def test_a_client_needs_none_of_the_servers_secrets(start, tmp_path):
    """The configuration leads the command line to the server; its secrets are not for everybody
    who may read it. A check looks at them."""
    (tmp_path / "arrowport.yaml").write_text("auth: {tokens: {ci: {token_env: NOT_SET_ANYWHERE}}}")
    assert run("config", "show", cwd=tmp_path).returncode == 0
    checked = run("config", "check", cwd=tmp_path)
    assert checked.returncode == 2 and b"NOT_SET_ANYWHERE" in checked.stderr


def test_secrets_are_told_nowhere(start, tmp_path):
    """Every way to give a secret, every way to be wrong about it, and all that is ever printed."""
    digest_of = "of-the-digest-0123456789"
    digest = hashlib.sha256(digest_of.encode()).hexdigest()
    hashes = {name: hash_of(f"password of {name}") for name in ("plain", "variable", "file")}
    secrets = {
        "plain": "plain-0123456789abcdef",
        "variable": "variable-0123456789abcdef",
        "file": "file-0123456789abcdef",
    }
    (tmp_path / "token").write_text(secrets["file"])
    (tmp_path / "hash").write_text(hashes["file"])
    config = (
        "log_level: debug\nauth:\n  tokens:\n"
        f"    a: {{token: {secrets['plain']}, scopes: [read]}}\n"
        "    b: {token_env: SECRET_TOKEN}\n    c: {token_file: token}\n"
        f"    d: {{token_sha256: {digest}}}\n"
        f"  users:\n    plain: {{password_hash: '{hashes['plain']}'}}\n"
        "    variable: {password_hash_env: SECRET_HASH}\n    file: {password_hash_file: hash}\n"
    )
    env = {"SECRET_TOKEN": secrets["variable"], "SECRET_HASH": hashes["variable"]}
    hidden = [
        *secrets.values(),
        digest_of,
        digest,
        *(f"password of {name}" for name in hashes),
        *hashes.values(),
        "a-wrong-secret-0123",
        "wrong:password",
    ]
    hidden += [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in hidden]
    said = []

    server = start(config=config, env=env)
    for token in [*secrets.values(), digest_of]:
        for path in (
            "/tables",
            "/tables/nothing",
            "/query?sql=SELEC",
            "/nothing",
            "/ingest/x",
            "/metrics",
        ):
            answer = server.get(path, headers={"Authorization": f"Bearer {token}"})
            said += [answer.text, str(answer.headers)]
            assert answer.status_code != 401, (path, answer.text)
    for name in hashes:
        answer = server.get("/tables", auth=(name, f"password of {name}"))
        assert answer.status_code == 200
        said += [answer.text, str(answer.headers)]
    for number in range(12):  # 401, then 429
        answer = server.get("/tables", headers={"Authorization": "Bearer a-wrong-secret-0123"})
        said += [answer.text, str(answer.headers)]
        answer = server.get("/tables", auth=("plain" if number % 2 else "nobody", "wrong:password"))
        said += [answer.text, str(answer.headers)]
    answer = server.get("/metrics", headers={"Authorization": f"Bearer {secrets['plain']}"})
    said.append(answer.text)
    server.stop()
    said += [server.stderr(), *server.lines]
    for command in (("config", "show"), ("config", "show", "--json"), ("config", "check")):
        done = run(*command, "--config", "given.yaml", cwd=tmp_path, env=env)
        assert done.returncode == 0
        said += [done.stdout.decode(), done.stderr.decode()]
        assert command[1] == "check" or "(hidden)" in said[-2]

    # What is wrong with them, too.
    for broken in (
        config.replace(secrets["plain"], secrets["plain"] + ", tokn: x"),
        config.replace(secrets["plain"], f"&{secrets['plain']} x"),
        config.replace(secrets["plain"], f"*{secrets['plain']} "),
        config.replace(secrets["plain"], f"!{secrets['plain']} x"),
        config.replace(secrets["plain"], f"[{secrets['plain']}]"),
        config.replace(secrets["plain"], f"{secrets['plain']} with more"),
        config.replace(secrets["plain"], f"{secrets['plain']}, token_env: X"),
        config.replace(secrets["plain"], secrets["variable"]),
        config.replace(digest, digest + "0"),
        config.replace(hashes["plain"], hashes["plain"].replace("ln=10", "ln=99")),
    ):
        (tmp_path / "broken.yaml").write_text(broken)
        done = run("config", "check", "--config", "broken.yaml", cwd=tmp_path, env=env)
        assert done.returncode != 0, broken
        said += [done.stdout.decode(), done.stderr.decode()]
    (tmp_path / "token").write_text(secrets["file"] + "\0")
    (tmp_path / "hash").write_text(hashes["file"] + "x!")
    done = run("config", "check", "--config", "given.yaml", cwd=tmp_path, env=env)
    assert done.returncode != 0
    said += [done.stdout.decode(), done.stderr.decode()]

    everything = "\n".join(said)
    for secret in hidden:
        assert secret not in everything, secret


# ---- arrowport hash-password


def test_a_hash_is_made_of_one_line(start, tmp_path):
    done = run("hash-password", cwd=tmp_path, stdin=PASSWORD.encode() + b"\nmore\n")
    assert done.returncode == 0, done.stderr.decode()
    made = done.stdout.decode()
    assert re.fullmatch(r"\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\n", made)
    (tmp_path / "anna.hash").write_text(made)
    server = start(config="auth: {users: {anna: {password_hash_file: anna.hash}}}")
    assert server.get("/tables", auth=("anna", PASSWORD)).status_code == 200
    problem(server.get("/tables", auth=("anna", PASSWORD + "\n")), 401)


@pytest.mark.parametrize("password", [b"", b"short\n", b"x" * 1025, b"with a \0 in it\n"])
def test_a_bad_password_is_refused_without_being_told(tmp_path, password):
    done = run("hash-password", cwd=tmp_path, stdin=password)
    assert done.returncode == 2 and done.stdout == b""
    assert b"password" in done.stderr
    assert b"short" not in done.stderr and b"xxxx" not in done.stderr


def on_terminal(tmp_path, *lines):
    """Types lines when asked; what the terminal showed, and the exit code."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [binary(), "hash-password"],
        cwd=tmp_path,
        env=environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    shown = b""
    waiting = list(lines)
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if waiting and shown.rstrip(b" ").endswith(b":"):
            os.write(master, waiting.pop(0))
    os.close(master)
    return process.wait(60), shown.decode()


def test_a_terminal_is_asked_twice_and_shows_nothing(tmp_path):
    typed = PASSWORD.encode() + b"\n"
    code, shown = on_terminal(tmp_path, typed, typed)
    assert code == 0 and "$scrypt$" in shown and PASSWORD not in shown
    code, shown = on_terminal(tmp_path, typed, b"something else\n")
    assert code == 2 and "$scrypt$" not in shown and "differ" in shown
    code, shown = on_terminal(tmp_path, b"\x03")
    assert code == -signal.SIGINT and "$scrypt$" not in shown


# ---- with the rest of the server


def test_a_required_certificate_is_configured_access(start, tmp_path):
    """Whoever has one may everything, from other machines too; a token is asked for besides."""
    address = foreign_address()
    ca = certs.Authority(tmp_path)
    server_pair, client = ca.issue("server", alt=f"IP:{address}"), ca.issue("client")
    tls = f"tls: {{cert: {server_pair.cert}, key: {server_pair.key}, client_ca: {ca.cert}}}\n"
    options = {"verify": str(ca.cert), "cert": (str(client.cert), str(client.key)), "timeout": 60}
    for config, headers, code in (
        (tls, {}, 200),
        (tls + CONFIG, {}, 401),
        (tls + CONFIG, bearer("reader"), 200),
    ):
        server = start(config=config, args=("--host", "0.0.0.0"))
        far = f"https://{address}:{server.port}/tables"
        assert requests.get(far, headers=headers, **options).status_code == code
        server.stop()
    optional = tls.replace("}", ", client_certificates: optional}")
    server = start(config=optional, args=("--host", "0.0.0.0"))
    problem(requests.get(f"https://{address}:{server.port}/tables", **options), 403, "protected")


def test_rights_change_with_the_configuration(start):
    server = start(config=CONFIG)
    new = {"Authorization": "Bearer new-0123456789abcdef"}
    assert server.get("/tables", headers=bearer("reader")).status_code == 200
    given = server.directory / "given.yaml"
    given.write_text("auth: {tokens: {new: {token: new-0123456789abcdef}}}\n")

    def taken():  # without a wrong try, which would be slowed
        return server.get("/tables", headers=bearer("reader")).status_code == 401

    wait_until(taken, "the old token is nobody's")
    assert server.get("/tables", headers=new).status_code == 200
    # A configuration whose secrets are missing is refused whole.
    given.write_text("auth: {tokens: {new: {token_env: NOT_SET_ANYWHERE}}}\n")
    wait_until(lambda: "NOT_SET_ANYWHERE" in server.stderr(), "the log says so")
    assert server.get("/tables", headers=new).status_code == 200


@pytest.mark.parametrize("http2", [False, True])
def test_both_protocols_ask_who_it_is(start, http2):
    anna = users(anna=PASSWORD).removeprefix("auth:\n")
    server = start(config=CONFIG.replace("auth:\n", "auth:\n" + anna))
    options = {"http1": not http2, "http2": http2, "trust_env": False}
    with httpx.Client(base_url=server.url, **options) as client:
        answer = client.get("/tables")
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert answer.status_code == 401
        offered = answer.headers.get_list("www-authenticate")
        assert {value.split()[0] for value in offered} == {"Bearer", "Basic"}
        assert client.get("/tables", headers=bearer("reader")).status_code == 200
        body = ipc(pa.table({"id": pa.array(range(500_000), pa.int64())}))
        landed = client.post(
            "/ingest/b",
            content=body,
            auth=("anna", PASSWORD),
            headers={"Content-Type": ARROW},
            timeout=60,
        )
        assert landed.status_code == 200 and landed.json()["rows"] == 500_000
        wrong = client.post(
            "/ingest/b",
            content=body,
            auth=("anna", "no"),
            headers={"Content-Type": ARROW},
            timeout=60,
        )
        assert wrong.status_code == 401
        assert (
            client.get("/tables", headers={**bearer("reader"), "Host": "evil.example"}).status_code
            == 403
        )


def test_sql_is_held_to_scopes_and_patterns(start):
    server = start(config=CONFIG)

    def ask(who, sql):
        headers = {"Content-Type": "application/sql", **bearer(who)}
        return server.post("/query", data=sql.encode(), headers=headers)

    for sql in (
        "CREATE TABLE secret AS SELECT 42 AS a",
        "CREATE TABLE sensor_a AS SELECT 1 AS a",
        "CREATE SCHEMA lab",
        "CREATE TABLE lab.b AS SELECT 2 AS a",
        "CREATE VIEW sensor_view AS FROM secret",
    ):
        assert ask("admin", sql).status_code == 200, sql
    for sql in (
        "CREATE TABLE made (a INTEGER)",
        "INSERT INTO secret VALUES (1)",
        "DELETE FROM secret",
        "DROP TABLE secret",
        "SELECT 1; DROP TABLE secret",
    ):
        problem(ask("reader", sql), 403)
        problem(ask("writer", sql), 403, "scope read")
        problem(ask("sensors", sql), 403)
    for sql in (
        "FROM sensor_a",
        "FROM main.SENSOR_A",
        "FROM lab.b",
        "INSERT INTO sensor_a VALUES (3)",
    ):
        assert ask("sensors", sql).status_code == 200, sql
    for sql in (
        "FROM secret",
        "FROM main.secret",
        'FROM "SECRET"',
        "FROM sensor_a, secret",
        "SELECT (SELECT a FROM secret) FROM sensor_a",
        "WITH s AS (FROM secret) FROM s",
        "FROM sensor_a WHERE a IN (SELECT a FROM secret)",
        "FROM query_table('secret')",
        "FROM query('FROM secret')",
        "FROM sensor_view",
        "DESCRIBE secret",
        "SUMMARIZE secret",
        "FROM duckdb_tables()",
        "FROM information_schema.tables",
        "SHOW TABLES",
        "INSERT INTO sensor_a FROM secret",
        "CREATE TABLE sensor_b AS FROM secret",
        "COPY secret TO '/tmp/x'",
        "FROM pragma_table_info('secret')",
        "FROM not_there",
    ):
        answer = ask("sensors", sql)
        assert answer.status_code in (400, 403, 404), (sql, answer.text)
        assert "42" not in answer.text, (sql, answer.text)
    # Nor does it show whether a table is there.
    for form in ("FROM {}", "SELECT count(*) FROM {}", "INSERT INTO {} VALUES (1)", "TABLE {}"):
        there = problem(ask("sensors", form.format("secret")), 403)
        absent = problem(ask("sensors", form.format("nothing")), 403)
        assert there["detail"].replace("secret", "nothing") == absent["detail"]
