"""gRPC calls as no decent client makes them: broken messages, floods, deadlines, clients that
vanish; and what every client is told when it is refused."""

import gzip
import re
import struct
import time
import zlib

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    Client,
    frame,
)

from server import ipc, wait_until

pytestmark = pytest.mark.asan

OK, CANCELLED, INVALID, DEADLINE, NOT_FOUND = 0, 1, 3, 4, 5
EXHAUSTED, UNIMPLEMENTED, UNAUTHENTICATED = 8, 12, 16
SERVICE = "/arrow.flight.protocol.FlightService/"
CALL = (("content-type", "application/grpc"), ("te", "trailers"))


def message(data, flag=0):
    return struct.pack(">BI", flag, len(data)) + data


class Answer:
    """One call's answer: fields of each head, messages, how the stream ended."""

    def __init__(self, client, stream):
        self.heads, self.data, self.reset = [], b"", None
        ended = False
        while (found := client.next()) is not None:
            kind, flags, number, payload = found
            if kind == PING and not flags:
                client.send(frame(PING, 1, payload=payload))
            fields = dict(client.decoder.decode(payload)) if kind == HEADERS else None
            if number != stream:
                continue
            if kind == HEADERS:
                self.heads.append(fields)
            if kind == DATA:
                self.data += payload
            if kind == RST_STREAM:
                self.reset = struct.unpack(">I", payload)[0]
            ended = ended or bool(kind in (HEADERS, DATA) and flags & END_STREAM)
            if ended or self.reset is not None:
                break

    @property
    def status(self):
        return int(self.heads[-1]["grpc-status"])

    @property
    def text(self):
        return self.heads[-1].get("grpc-message", "")

    @property
    def is_trailers_only(self):
        return len(self.heads) == 1 and self.heads[0][":status"] == "200"


def ask(client, stream, method, *fields, body=b"", end=True):
    path = method if method.startswith("/") else SERVICE + method
    client.request(stream, "POST", path, *CALL, *fields, body=body, end=end)


def answer_of(server, method, *fields, body=b"", end=True):
    with Client(server.port) as client:
        ask(client, 1, method, *fields, body=body, end=end)
        return Answer(client, 1)


# ---- messages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"\x02\0\0\0\x01x", INVALID, "prefix begins with 2"),
        (b"\x01\0\0\0\x01x", INVALID, "no grpc-encoding says how"),
        (b"\0\xff\xff\xff\xff", EXHAUSTED, "a message has 4294967295 bytes"),
        (b"\0\0", INVALID, "in the middle of a message"),
        (b"\0\0\0\0\x05abc", INVALID, "in the middle of a message"),
        (b"", INVALID, "none came"),
        (message(b"") * 2, INVALID, "a second one came"),
    ],
)
def test_broken_messages(server, body, status, text):
    answer = answer_of(server, "GetFlightInfo", body=body)
    assert answer.is_trailers_only
    assert (answer.status, text in answer.text) == (status, True), answer.text


@pytest.mark.parametrize(
    "method", ["GetFlightInfo", "PollFlightInfo", "GetSchema", "DoGet", "DoAction", "ListFlights"]
)
@pytest.mark.parametrize("garbage", [b"\xff" * 30, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x7fx"])
def test_protobuf_garbage(server, method, garbage):
    answer = answer_of(server, method, body=message(garbage))
    assert answer.is_trailers_only
    assert answer.status == INVALID


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_requests(server, encoding, pack):
    """The same answer, whether the request is compressed or not."""
    descriptor = b"\x08\x01\x1a\x07nowhere"  # type: PATH, path: nowhere
    plain = answer_of(server, "GetFlightInfo", body=message(descriptor))
    field = ("grpc-encoding", encoding)
    packed = answer_of(server, "GetFlightInfo", field, body=message(pack(descriptor), flag=1))
    assert (packed.status, packed.text) == (plain.status, plain.text)
    assert plain.status == NOT_FOUND
    bomb = pack(bytes(64 << 20))
    answer = answer_of(server, "GetFlightInfo", field, body=message(bomb, flag=1))
    assert (answer.status, "expands to more" in answer.text) == (EXHAUSTED, True)


# ---- refusals -----------------------------------------------------------------------------


def test_refused_before_a_message(server):
    cases = [
        ("/nothing.here/Method", (), UNIMPLEMENTED),
        (SERVICE + "NoSuchMethod", (), UNIMPLEMENTED),
        ("DoGet", (("grpc-encoding", "snappy"),), UNIMPLEMENTED),
        ("DoGet", (("grpc-timeout", "1"),), INVALID),
        ("DoGet", tuple((f"x-{i}", "y" * 2000) for i in range(50)), EXHAUSTED),
    ]
    for method, fields, status in cases:
        answer = answer_of(server, method, *fields, end=False)
        assert answer.is_trailers_only, method
        assert answer.status == status, (method, answer.text)
        assert answer.text


def test_unauthenticated(start):
    server = start(config="auth: {tokens: {ci: {token_env: T}}}", env={"T": "secret-secret-1234"})
    for fields in ((), (("authorization", "Bearer wrong"),)):
        answer = answer_of(server, "DoPut", *fields, end=False)
        assert answer.is_trailers_only
        assert answer.status == UNAUTHENTICATED
    client = flight.connect(f"grpc://127.0.0.1:{server.port}")
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.list_flights())


def test_early_error_stops_the_sender(server):
    """A client that has much to send hears soon that nobody wants it, and stops."""
    client = flight.connect(f"grpc://127.0.0.1:{server.port}")
    batch = pa.record_batch({"id": pa.array(range(65536), pa.int64())})
    descriptor = flight.FlightDescriptor.for_path("no", "such", "stream")
    sent = 0
    with pytest.raises((flight.FlightError, pa.ArrowException)):  # noqa: PT012
        writer, _ = client.do_put(descriptor, batch.schema)
        for sent in range(1000):  # noqa: B007
            writer.write_batch(batch)
    assert sent < 500  # how soon its library looks is its own affair
    with Client(server.port) as raw:
        ask(raw, 1, "/nothing.here/Method", body=message(b"x"), end=False)
        assert Answer(raw, 1).status == UNIMPLEMENTED
        assert raw.until(lambda kind, *_: kind == RST_STREAM)[3] == b"\0\0\0\0"


# ---- time, and clients that go ------------------------------------------------------------


def test_deadline(server):
    for timeout in ("1n", "100m"):
        answer = answer_of(server, "GetFlightInfo", ("grpc-timeout", timeout), end=False)
        assert answer.is_trailers_only
        assert answer.status == DEADLINE


def test_deadline_of_a_query(server):
    """The statement is stopped, not only its client told."""
    client = flight.connect(f"grpc://127.0.0.1:{server.port}")
    sql = b'{"sql": "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"}'
    began = time.monotonic()
    with pytest.raises(flight.FlightTimedOutError):
        client.do_get(flight.Ticket(sql), flight.FlightCallOptions(timeout=0.5)).read_all()
    for _ in range(4):  # more than there are workers
        assert server.value("SELECT 42 AS answer") == 42
    assert time.monotonic() - began < 30


def test_cancelled_calls_leave_nothing(server):
    for method, body in (("DoGet", b'{"sql": "FROM range(1000000000)"}'), ("DoPut", b"")):
        with Client(server.port) as client:
            for stream in range(1, 41, 2):
                ticket = message(b"\x0a" + bytes([len(body)]) + body) if body else b""
                ask(client, stream, method, body=ticket, end=bool(body))
                client.send(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
            ask(client, 41, "ListActions", body=message(b""))
            assert Answer(client, 41).status == OK
    wait_until(lambda: in_flight(server) == 0, "nobody works for them")


def in_flight(server):
    text = server.get("/metrics").text
    return int(re.search(r"^arrowport_requests_in_flight (\d+)$", text, re.M)[1])


# ---- floods -------------------------------------------------------------------------------


def settings(client):
    return frame(SETTINGS)


def pings(client):
    return frame(PING, payload=b"12345678")


def empty_data(client):
    return frame(DATA, 0, 1)


def empty_messages_and_resets(client):
    client.opened += 2
    fields = client.head("POST", SERVICE + "DoPut", *CALL)
    stream = client.opened - 1
    return (
        frame(HEADERS, END_HEADERS, stream, fields)
        + frame(DATA, 0, stream, message(b""))
        + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
    )


def continuations(client):
    if client.opened == 2:
        client.opened = 4
        return frame(HEADERS, 0, 3, client.head("POST", SERVICE + "DoPut", *CALL))
    return frame(CONTINUATION, 0, 3, b"")


def test_floods(start):
    server = start()
    server.value("SELECT 42 AS answer")
    for flood in (settings, pings, empty_data, empty_messages_and_resets, continuations):
        with Client(server.port) as client:
            ask(client, 1, "GetFlightInfo", end=False)
            client.opened = 2
            try:
                for _ in range(1000):
                    client.send(flood(client))
            except (BrokenPipeError, ConnectionResetError):
                pass  # that is how it should end
            client.until(lambda kind, *_: kind == GOAWAY)
            assert client.goaway in (ENHANCE_YOUR_CALM, None), flood  # a reset may overtake it
        assert server.value("SELECT 42 AS answer") == 42


def test_keep_alive_pings(start):
    """A client that pings as often as gRPC lets it, on a connection where a call stands still."""
    server = start(config="http: {body_timeout_ms: 1000, idle_timeout_ms: 1000}")
    with Client(server.port) as client:
        ask(client, 1, "GetFlightInfo", end=False)
        for _ in range(12):
            client.send(frame(PING, payload=b"12345678"))
            time.sleep(0.25)
        assert client.until(lambda kind, *_: kind == PING) is not None
        client.send(frame(DATA, END_STREAM, 1, b"\x07\0\0\0\0"))
        assert Answer(client, 1).status == INVALID


def test_other_requests_on_the_connection(server, name):
    """Calls and plain requests share a connection."""
    body = ipc(pa.table({"id": pa.array(range(1000), pa.int64())}))
    with Client(server.port) as client:
        ask(client, 1, "ListActions", body=message(b""))
        client.request(
            3,
            "POST",
            f"/ingest/{name}",
            ("content-type", "application/vnd.apache.arrow.stream"),
            body=body,
        )
        assert Answer(client, 3).heads[0][":status"] == "200"
        ask(client, 5, "ListActions", body=message(b""))
        assert Answer(client, 5).status == OK
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 1000
