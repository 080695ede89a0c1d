"""Those of Arrow's Flight integration scenarios that no other file has: headers through
middleware, PollFlightInfo, and a status for each kind of error. Handshakes and expiration are in
test_flight.py, sessions and ordered endpoints in test_flight_sql.py, app_metadata in
test_flight_put.py, echoes in test_flight_exchange.py."""

import struct
import time

import grpc
import pyarrow as pa
import pyarrow.flight as fl
import pytest
from flight_sql import any_of, field, fields, number
from test_access import hash_of

from flight import client, command, path, ticket
from server import wait_until

READER = "reader-0123456789abcdef"
AUTH = f"""
auth:
  tokens:
    reader: {{token: {READER}, scopes: [read], tables: [open_*]}}
  users:
    anna: {{password_hash: '{hash_of("secret")}', scopes: [read]}}
"""
ROWS = pa.table({"a": [1, 2, 3]})
SERVICE = "/arrow.flight.protocol.FlightService/"


class Factory(fl.ClientMiddlewareFactory):
    """Sends a header with each call, and keeps what comes back."""

    def __init__(self):
        super().__init__()
        self.sent = 0
        self.received = []  # (method, the call's own), once for each call whose header came back

    def start_call(self, info):
        self.sent += 1
        return Middleware(self, info.method, f"call-{self.sent}")


class Middleware(fl.ClientMiddleware):
    def __init__(self, factory, method, name):
        super().__init__()
        self.factory, self.method, self.name = factory, method, name

    def sending_headers(self):
        # Several values of one name, and one of bytes: nobody minds what he does not know.
        return {"x-request-id": self.name, "x-middleware": ["a", "b"], "x-raw-bin": b"\x00\xff"}

    def received_headers(self, headers):
        got = [v for k, values in headers.items() if k.lower() == "x-request-id" for v in values]
        if got:  # the headers of the answer, or, where it failed, those at its end
            self.factory.received.append((self.method, got == [self.name]))


@pytest.mark.asan
def test_a_header_comes_back_with_every_kind_of_call(server, name):
    server.land(name, ROWS)
    factory = Factory()
    with client(server, middleware=[factory]) as connection:
        list(connection.list_flights())
        info = connection.get_flight_info(path(name))
        connection.get_schema(path(name))
        connection.do_get(info.endpoints[0].ticket).read_all()
        list(connection.do_action("health"))
        list(connection.list_actions())
        writer, reader = connection.do_put(path(name), ROWS.schema)
        with writer:
            writer.write_table(ROWS)
            writer.done_writing()
            while reader.read() is not None:
                pass
        exchange, answers = connection.do_exchange(command(sql="FROM input"))
        with exchange:
            exchange.begin(ROWS.schema)
            exchange.write_table(ROWS)
            exchange.done_writing()
            assert answers.read_all().equals(ROWS)
        with pytest.raises(KeyError):  # an error has headers, too
            connection.get_flight_info(path("nowhere"))
    methods = {method for method, _ in factory.received}
    assert len(methods) == 8 and factory.sent == 9, methods
    assert len(factory.received) == factory.sent
    assert all(same for _, same in factory.received), factory.received


class Raw:
    """Calls with one message, of bytes."""

    def __init__(self, server):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def call(self, method, message=b"", token=None, timeout=30):
        """The messages of the answer."""
        metadata = [("authorization", f"Bearer {token}")] if token else []
        made = self.channel.unary_stream(SERVICE + method)
        return list(made(message, metadata=metadata, timeout=timeout))


def sql_descriptor(sql):
    return number(1, 2) + field(2, any_of("CommandStatementQuery", field(1, sql)))


def path_descriptor(name):
    return number(1, 1) + field(3, name)


@pytest.mark.asan
def test_a_poll_is_complete_at_once(server, name):
    server.land(name, ROWS)
    with Raw(server) as raw:
        for descriptor in (sql_descriptor(f"SELECT * FROM {name}"), path_descriptor(name)):
            (answer,) = raw.call("PollFlightInfo", descriptor)
            poll = fields(answer)
            assert 2 not in poll  # no descriptor to poll again with
            assert struct.unpack("<d", struct.pack("<q", poll[3])) == (1.0,)
            info = fl.FlightInfo.deserialize(poll[1])
            assert info.schema.names == ["a"]
            with client(server) as connection:
                (endpoint,) = info.endpoints
                assert connection.do_get(endpoint.ticket).read_all()["a"].to_pylist() == [1, 2, 3]


ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE (a.range^b.range)%7=3"
CODES = [
    ("GetFlightInfo", path_descriptor("nowhere"), READER, "PERMISSION_DENIED"),
    ("GetFlightInfo", path_descriptor("open_nowhere"), READER, "NOT_FOUND"),
    ("GetFlightInfo", sql_descriptor("SELEC"), READER, "INVALID_ARGUMENT"),
    ("GetFlightInfo", sql_descriptor("SELECT 1"), None, "UNAUTHENTICATED"),
    ("GetFlightInfo", sql_descriptor("SELECT 1"), "wrong-0123456789abcdef", "UNAUTHENTICATED"),
    ("GetFlightInfo", number(1, 2) + field(2, any_of("CommandNobody")), READER, "UNIMPLEMENTED"),
    ("GetFlightInfo", b"\xff\xff\xff", READER, "INVALID_ARGUMENT"),
    ("GetFlightInfo", b"", READER, "INVALID_ARGUMENT"),
    ("PollFlightInfo", path_descriptor("open_nowhere"), READER, "NOT_FOUND"),
    ("GetSchema", path_descriptor("open_nowhere"), READER, "NOT_FOUND"),
    ("DoGet", field(1, "nonsense"), READER, "INVALID_ARGUMENT"),
    ("DoGet", field(1, '{"table": "closed"}'), READER, "PERMISSION_DENIED"),
    ("DoAction", field(1, "nobody"), READER, "UNIMPLEMENTED"),
    ("DoAction", field(1, "table.drop") + field(2, '{"table":"t"}'), READER, "PERMISSION_DENIED"),
    ("NoSuchMethod", b"", READER, "UNIMPLEMENTED"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    from server import Server

    server = Server(tmp_path_factory.mktemp("scenarios"), config=AUTH)
    yield server
    server.stop()


@pytest.mark.parametrize(("method", "message", "token", "code"), CODES)
def test_each_error_has_its_status(guarded, method, message, token, code):
    with Raw(guarded) as raw, pytest.raises(grpc.RpcError) as failed:
        raw.call(method, message, token)
    assert failed.value.code().name == code, failed.value.details()
    assert failed.value.details()


def test_deadlines_and_cancelling_have_theirs(server):
    wanted = ticket(sql=ENDLESS).serialize()
    with Raw(server) as raw:
        with pytest.raises(grpc.RpcError) as failed:
            raw.call("DoGet", wanted, timeout=0.5)
        assert failed.value.code().name == "DEADLINE_EXCEEDED"
        call = raw.channel.unary_stream(SERVICE + "DoGet")(wanted, timeout=30)
        call.cancel()
        with pytest.raises(grpc.RpcError) as failed:
            list(call)
        assert failed.value.code().name == "CANCELLED"


def test_whoever_cancels_early_leaves_nothing_running(server):
    """Also when the statement is just beginning."""

    def idle():
        return "arrowport_queries_running 0" in server.get("/metrics").text

    wanted = ticket(sql=ENDLESS).serialize()
    with Raw(server) as raw:
        for i in range(120):
            call = raw.channel.unary_stream(SERVICE + "DoGet")(wanted, timeout=30)
            time.sleep(i % 6 * 0.0006)
            call.cancel()
    wait_until(idle, "the statements have ended")
