"""Our Flight client, against servers that pyarrow makes."""

import base64
import ctypes
import datetime
import json
import os
import subprocess
import threading
import time

import c_api
import pyarrow as pa
import pyarrow.flight as fl
import pytest
from certs import Authority
from services import flight_peers

from server import ROOT, read_arrow, run

NOW = datetime.datetime.now(datetime.UTC)
PAST, LATER = (
    pa.scalar(NOW + datetime.timedelta(hours=h), pa.timestamp("ns", "UTC")) for h in (-1, 1)
)


class Peer(fl.FlightServerBase):
    """Holds tables by their path; `made` has what it was asked."""

    def __init__(self, location="grpc://127.0.0.1:0", *, parts=1, ordered=False, **options):
        super().__init__(location, **options)
        self.tables = {}
        self.parts = parts
        self.ordered = ordered
        self.locations = []
        self.expires = None
        self.asked = []
        self.delays = {}
        self.fail = {}
        self.url = f"grpc://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()

    def info(self, path):
        table = self.tables[path]
        endpoints = [
            fl.FlightEndpoint(
                f"{path}|{i}", self.locations, *([self.expires] if self.expires else [])
            )
            for i in range(self.parts)
        ]
        return fl.FlightInfo(
            table.schema,
            fl.FlightDescriptor.for_path(path),
            endpoints,
            table.num_rows,
            table.nbytes,
            self.ordered,
        )

    def list_flights(self, context, criteria):
        return (self.info(p) for p in self.tables if criteria.decode() in p)

    def get_flight_info(self, context, descriptor):
        self.asked.append("info")
        name = (descriptor.path or [descriptor.command])[0].decode()
        if name in self.fail:
            raise self.fail[name]
        return self.info(name)

    def do_get(self, context, ticket):
        name, part = ticket.ticket.decode().split("|")
        self.asked.append(name)
        time.sleep(self.delays.get(int(part), 0))
        table = self.tables[name]
        rows = -(-table.num_rows // self.parts)
        return fl.RecordBatchStream(table.slice(int(part) * rows, rows))

    def do_put(self, context, descriptor, reader, writer):
        name = (descriptor.path or [descriptor.command])[0].decode()
        batches = []
        for chunk in reader:
            batches.append(chunk.data)
            writer.write(json.dumps({"rows": chunk.data.num_rows}).encode())
        self.tables[name] = pa.Table.from_batches(batches, reader.schema)

    def do_exchange(self, context, descriptor, reader, writer):
        for i, chunk in enumerate(reader):
            if i == 0:
                writer.begin(reader.schema)
            writer.write_batch(chunk.data)
            writer.write_batch(chunk.data.slice(0, 1))

    def do_action(self, context, action):
        self.asked.append(action.type)
        if action.type == "RenewFlightEndpoint":
            self.expires = LATER
            yield self.info("t").endpoints[0].serialize()
            return
        if action.type == "refuse":
            raise fl.FlightUnauthorizedError("not for you")
        yield action.body.to_pybytes() + b"!"
        yield b"\x00\xff"

    def list_actions(self, context):
        return [("echo", "says it again"), ("refuse", "never")]


@pytest.fixture
def peer():
    with Peer() as made:
        yield made


@pytest.fixture
def ask(tmp_path):
    """A command of ours to its end."""

    def asked(*args, code=0, **options):
        done = run(*args, cwd=tmp_path, **options)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout if code == 0 else done.stderr.decode()

    return asked


def get(ask, url, path="t", *more):
    return read_arrow(ask("flight", "get", path, "--format", "arrow", "--url", url, *more))


TYPES = pa.table(
    {
        "id": pa.array(range(1000)),
        "word": pa.array([None if i % 7 == 0 else "wörd" * (i % 5) for i in range(1000)]),
        "kind": pa.array(["a", "b", None, "c"] * 250).dictionary_encode(),
        "list": pa.array([[i, None] if i % 3 else None for i in range(1000)]),
        "time": pa.array(range(1000), pa.timestamp("us", "UTC")),
        "none": pa.nulls(1000),
        "deep": pa.array([{"a": i, "b": [str(i)]} for i in range(1000)]),
    }
)


@pytest.mark.asan
def test_what_is_put_is_got_again(peer, ask, tmp_path):
    with pa.ipc.new_stream(tmp_path / "t.arrows", TYPES.schema) as writer:
        writer.write_table(TYPES, 300)
    said = ask("flight", "put", "t", "t.arrows", "--url", peer.url).decode()
    assert [json.loads(line)["rows"] for line in said.splitlines()] == [300, 300, 300, 100]
    assert peer.tables["t"] == TYPES
    assert get(ask, peer.url) == TYPES


def test_a_list_an_info_and_rows_for_people(peer, ask):
    peer.tables = {"first": TYPES, "second": TYPES.slice(0, 3).select(["id"])}
    listed = ask("flight", "ls", "--url", peer.url).decode()
    assert "first" in listed and "1,000" in listed and "second" in listed
    one = json.loads(ask("flight", "ls", "sec", "--json", "--url", peer.url))
    assert [(i["path"], i["rows"]) for i in one] == [(["second"], 3)]
    info = ask("flight", "info", "second", "--url", peer.url).decode()
    assert "3 rows" in info and "int64" in info and "this server" in info
    assert ask("flight", "get", "second", "--url", peer.url) == b"id\r\n0\r\n1\r\n2\r\n"


def test_actions(peer, ask):
    assert "says it again" in ask("flight", "action", "--url", peer.url).decode()
    assert ask("flight", "action", "echo", "hé", "--url", peer.url).decode() == "hé!\n<2 bytes>\n"
    said = json.loads(ask("flight", "action", "echo", "x", "--json", "--url", peer.url))
    assert said == ["x!", {"hex": "00ff"}]
    assert "not for you" in ask("flight", "action", "refuse", "--url", peer.url, code=5)


@pytest.mark.parametrize("ordered", [True, False])
def test_endpoints_are_read_side_by_side(ask, ordered):
    with Peer(parts=8, ordered=ordered) as peer:
        peer.tables["t"] = TYPES
        peer.delays = {i: 0.3 for i in range(8)} | {0: 1.0}
        begin = time.monotonic()
        table = get(ask, peer.url)
        if ordered:
            assert table == TYPES
        assert sorted(table["id"].to_pylist()) == list(range(1000))
        assert peer.asked.count("t") == 8
        assert time.monotonic() - begin < 8 * 0.3 + 0.7 + 8, "one after the other"


def test_locations_are_gone_to_and_those_that_are_dead_passed_over(peer, ask):
    with Peer() as other:
        peer.tables["t"] = other.tables["t"] = TYPES
        peer.locations = ["grpc://127.0.0.1:1", "grpc+unix:///nowhere", other.url]
        assert get(ask, peer.url) == TYPES
        assert other.asked == ["t"] and "t" not in peer.asked
        peer.locations = ["arrow-flight-reuse-connection://?"]
        assert get(ask, peer.url) == TYPES
        assert "t" in peer.asked
        peer.locations = ["http://127.0.0.1:1/x"]
        assert "http://127.0.0.1:1/x" in ask("flight", "get", "t", "--url", peer.url, code=10)


def test_an_endpoint_that_has_expired_is_renewed_if_the_server_can(peer, ask):
    peer.tables["t"] = TYPES
    peer.expires = PAST
    assert get(ask, peer.url) == TYPES
    assert peer.asked == ["info", "RenewFlightEndpoint", "t"]
    peer.asked.clear()
    assert get(ask, peer.url) == TYPES
    assert peer.asked == ["info", "t"]


def test_a_servers_errors_come_through(peer, ask):
    for error, code in (
        (fl.FlightUnauthenticatedError("who are you"), 17),
        (fl.FlightUnauthorizedError("not you"), 5),
        (fl.FlightTimedOutError("too long"), 14),
        (fl.FlightCancelledError("enough"), 15),
        (pa.ArrowInvalid("broken"), 2),
        (NotImplementedError("later"), 10),
        (KeyError("gone"), 4),
    ):
        peer.fail["x"] = error
        said = ask("flight", "get", "x", "--url", peer.url, code=code)
        assert str(error).strip("'") in said


def test_nobody_there_and_too_slow(peer, ask):
    said = ask("flight", "ls", "--url", "grpc://127.0.0.1:1", "--timeout", 0.5, code=8)
    assert "127.0.0.1" in said
    peer.tables["t"] = TYPES
    peer.delays = {0: 3}
    ask("flight", "get", "t", "--timeout", 0.5, "--url", peer.url, code=14)


# ---- who asks ------------------------------------------------------------------------------


class Headers(fl.ServerMiddlewareFactory):
    """Wants a bearer, which a Handshake gives for a user and a password."""

    def __init__(self):
        self.seen = []

    def start_call(self, info, headers):
        self.seen.append((info.method, headers))
        said = headers.get("authorization", [""])[0]
        if said == "Basic " + base64.b64encode(b"anna:secret").decode():
            return Sending({"authorization": "Bearer given", "set-cookie": "session=7; Path=/"})
        if said != "Bearer given":
            raise fl.FlightUnauthenticatedError("no token")


class Sending(fl.ServerMiddleware):
    def __init__(self, headers):
        self.headers = headers

    def sending_headers(self):
        return self.headers


class NoHandshake(fl.ServerAuthHandler):
    def authenticate(self, outgoing, incoming):
        pass

    def is_valid(self, token):
        return ""


class Payload(fl.ServerAuthHandler):
    """The older kind: a BasicAuth message in the Handshake, a token in each call."""

    def authenticate(self, outgoing, incoming):
        auth = fl.BasicAuth.deserialize(incoming.read())
        if (auth.username, auth.password) != (b"anna", b"secret"):
            raise fl.FlightUnauthenticatedError("wrong password")
        outgoing.write(b"token of anna")

    def is_valid(self, token):
        if token != b"token of anna":
            raise fl.FlightUnauthenticatedError("wrong token")
        return "anna"


def test_a_user_becomes_a_bearer_and_headers_and_cookies_are_sent(ask):
    headers = Headers()
    with Peer(auth_handler=NoHandshake(), middleware={"headers": headers}) as peer:
        peer.tables["t"] = TYPES
        env = {"ARROWPORT_PASSWORD": "secret"}
        args = ("--user", "anna", "--header", "X-Tenant: 9")
        done = ask("flight", "get", "t", "--url", peer.url, *args, env=env)
        assert done.count(b"\n") > 1000
        asked = [h for m, h in headers.seen if m != fl.FlightMethod.HANDSHAKE]
        assert len(asked) == 2
        for had in asked:
            assert had["authorization"] == ["Bearer given"]
            assert had["x-tenant"] == ["9"]
            assert had["cookie"] == ["session=7"]
        assert "no token" in ask("flight", "ls", "--url", peer.url, code=17)
        env = {"ARROWPORT_TOKEN": "given"}
        ask("flight", "ls", "--url", peer.url, env=env)
        env = {"ARROWPORT_PASSWORD": "wrong"}
        ask("flight", "ls", "--url", peer.url, "--user", "anna", env=env, code=17)


def test_a_user_is_told_as_older_servers_want_it(ask):
    with Peer(auth_handler=Payload()) as peer:
        env = {"ARROWPORT_PASSWORD": "secret"}
        ask("flight", "ls", "--url", peer.url, "--user", "anna", env=env)
        env = {"ARROWPORT_PASSWORD": "wrong"}
        said = ask("flight", "ls", "--url", peer.url, "--user", "anna", env=env, code=17)
        assert "secret" not in said


def test_another_host_hears_nothing_of_us(ask):
    there, here = Headers(), Headers()
    options = {"auth_handler": NoHandshake()}
    with (
        Peer("grpc://127.0.0.1:0", middleware={"h": here}, **options) as peer,
        Peer("grpc://127.0.0.1:0", middleware={"h": there}, **options) as other,
    ):
        peer.tables["t"] = other.tables["t"] = TYPES
        peer.locations = [f"grpc://localhost:{other.port}"]
        env = {"ARROWPORT_TOKEN": "given"}
        ask("flight", "get", "t", "--url", peer.url, env=env, code=17)
        assert there.seen and all("authorization" not in h for _, h in there.seen)


def test_tls_and_a_certificate_of_ours(ask, tmp_path):
    authority = Authority(tmp_path)
    server, client = authority.issue("server"), authority.issue("client")
    pair = (server.cert.read_bytes(), server.key.read_bytes())
    with Peer(
        "grpc+tls://127.0.0.1:0",
        tls_certificates=[pair],
        verify_client=True,
        root_certificates=authority.cert.read_bytes(),
    ) as peer:
        peer.tables["t"] = TYPES
        mine = ("--client-cert", client.cert, "--client-key", client.key)
        for scheme in ("grpc+tls", "flightsql"):
            url = f"{scheme}://127.0.0.1:{peer.port}"
            assert get(ask, url, "t", "--ca-cert", authority.cert, *mine) == TYPES
        said = ask("flight", "ls", "--url", url, *mine, code=5)
        assert "certificate" in said
        ask("flight", "ls", "--url", url, "--insecure", *mine)


# ---- ingest ------------------------------------------------------------------------------------


def test_ingest_sends_the_command_that_servers_know(peer, ask, flights_path, flights):
    args = ("--mode", "upsert", "--key", "a,b", "--idempotency-key", "k", "--commit", "stream")
    said = ask("ingest", "x", flights_path, *args, "--url", peer.url).decode()
    assert "200,000 rows" in said
    (command,) = peer.tables
    assert json.loads(command) == {
        "stream_name": "x",
        "mode": "upsert",
        "key": ["a", "b"],
        "token": "k",
        "commit": "stream",
    }
    assert peer.tables[command] == flights


def test_commit_is_for_flight_alone(ask, flights_path):
    said = ask("ingest", "x", flights_path, "--commit", "batch", "--local", code=2)
    assert "grpc://" in said


# ---- the C API -----------------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path):
    """examples/flight.c, compiled against the library under test."""
    library = c_api.library_path()
    command = [os.environ.get("CC", "cc"), "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    command += ["-I", ROOT / "include", ROOT / "examples" / "flight.c", "-o", tmp_path / "flight"]
    subprocess.run([*command, library, f"-Wl,-rpath,{library.parent}"], check=True, timeout=60)

    def copied(*args):
        return subprocess.run(
            [tmp_path / "flight", *args], capture_output=True, text=True, timeout=60
        )

    return copied


def test_the_c_example_copies_a_flight(peer, example, flights):
    with Peer() as other:
        peer.tables["flights"] = flights
        done = example(peer.url, "flights", other.url, "copy")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "200000 rows"
        assert other.tables["copy"] == flights


def test_the_c_example_says_what_is_wrong(peer, example):
    for args, said in (
        ((), "four words"),
        (("http://x", "a", peer.url, "b"), "grpc+tls://"),
        ((peer.url, "none", peer.url, "b"), "none"),
    ):
        done = example(*args)
        assert done.returncode == 1
        assert said in done.stderr


class Descriptor(ctypes.Structure):
    _fields_ = [
        ("path", ctypes.POINTER(ctypes.c_char_p)),
        ("path_count", ctypes.c_size_t),
        ("command", ctypes.c_char_p),
        ("command_bytes", ctypes.c_size_t),
    ]


class Call(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("timeout_ms", ctypes.c_int64),
        ("headers", ctypes.c_void_p),
        ("header_count", ctypes.c_size_t),
        ("cancel", ctypes.c_void_p),
    ]


class Api:
    """arrowport/flight.h by ctypes: each call returns the status."""

    def __init__(self, url):
        self.library = ctypes.CDLL(str(c_api.library_path()))
        self.error = ctypes.create_string_buffer(1024)
        self.flight = ctypes.c_void_p()
        assert self("open", url.encode(), None, ctypes.byref(self.flight)) == 0, self.said()

    def __call__(self, name, *args):
        return getattr(self.library, f"arrowport_flight_{name}")(*args, self.error)

    def said(self):
        return self.error.value.decode()

    def close(self):
        self.library.arrowport_flight_close(self.flight)


CANCELLED, STRUCT_BYTES = 14, 128


def test_batches_go_both_ways_by_doexchange(peer):
    api = Api(peer.url)
    path = (ctypes.c_char_p * 1)(b"echo")
    descriptor = Descriptor(path, 1, None, 0)
    exchange = ctypes.c_void_p()
    batches = TYPES.to_batches(max_chunksize=400)
    schema = ctypes.create_string_buffer(STRUCT_BYTES)
    TYPES.schema._export_to_c(ctypes.addressof(schema))
    status = api(
        *("exchange_open", api.flight, ctypes.byref(descriptor), schema, None),
        ctypes.byref(exchange),
    )
    assert status == 0, api.said()
    for batch in batches:
        array = ctypes.create_string_buffer(STRUCT_BYTES)
        batch._export_to_c(ctypes.addressof(array))
        assert api("exchange_write", exchange, array) == 0, api.said()
    assert api("exchange_done", exchange) == 0, api.said()
    back = []
    while True:
        array = ctypes.create_string_buffer(STRUCT_BYTES)
        assert api("exchange_next", exchange, array) == 0, api.said()
        if not any(array.raw):
            break
        back.append(pa.RecordBatch._import_from_c(ctypes.addressof(array), TYPES.schema))
        assert len(back) <= 6
    api.library.arrowport_flight_exchange_close(exchange)
    api.close()
    assert back == [b for batch in batches for b in (batch, batch.slice(0, 1))]


def test_a_stream_outlives_its_client_and_is_cancelled_from_another_thread(peer):
    api = Api(peer.url)
    peer.tables["t"] = TYPES
    path = (ctypes.c_char_p * 1)(b"t")
    descriptor = Descriptor(path, 1, None, 0)
    stream = ctypes.create_string_buffer(STRUCT_BYTES)
    status = api("get", api.flight, ctypes.byref(descriptor), None, stream)
    assert status == 0, api.said()
    cancel = ctypes.c_void_p()
    assert api("cancel_new", ctypes.byref(cancel)) == 0
    peer.delays = {0: 2}
    threading.Timer(0.5, api.library.arrowport_flight_cancel_now, [cancel]).start()
    call = Call(ctypes.sizeof(Call), cancel=cancel)
    other = ctypes.create_string_buffer(STRUCT_BYTES)
    status = api("get", api.flight, ctypes.byref(descriptor), ctypes.byref(call), other)
    assert status == CANCELLED, api.said()
    api.library.arrowport_flight_cancel_free(cancel)
    api.close()
    reader = pa.RecordBatchReader._import_from_c(ctypes.addressof(stream))
    assert reader.read_all() == TYPES


# ---- Flight SQL ----------------------------------------------------------------------


def test_queries_of_our_own_server(server, ask):
    url = server.url.replace("http://", "grpc://")
    rows = ask("query", "SELECT i AS x FROM range(3) t(i)", "--format", "csv", "--url", url)
    assert rows == b"x\r\n0\r\n1\r\n2\r\n"
    table = read_arrow(ask("query", "FROM range(300000)", "--format", "arrow", "--url", url))
    assert table.column(0).to_pylist() == list(range(300000))
    assert "SELEC" in ask("query", "SELEC", "--url", url, code=2)


def test_queries_parameters_and_updates_of_sqlite(ask, tmp_path):
    with flight_peers.sqlite(tmp_path) as sqlite:
        url = ("--url", f"grpc://127.0.0.1:{sqlite.port}")
        csv = ("--format", "csv", *url)
        assert ask("query", "SELECT id FROM intTable WHERE value = ?", "-p", 1, *csv) == (
            b"id\r\n1\r\n"
        )
        insert = "INSERT INTO intTable (keyName, value) VALUES (?, ?)"
        assert ask("query", insert, "-p", "six", "-p", 6, "--update", *url) == b"1 row changed\n"
        sql = "SELECT value FROM intTable WHERE keyName = 'six'"
        assert ask("query", sql, *csv) == b"value\r\n6\r\n"
        assert "no such column" in run("query", "SELECT nope", *url, cwd=tmp_path).stderr.decode()
