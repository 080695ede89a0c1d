"""Arrow Flight as pyarrow speaks it: what there is, reading it, who may, and what goes wrong."""

import base64
import decimal
import json
import threading
import time

import pyarrow as pa
import pyarrow.flight as fl
import pytest
from certs import Authority
from test_access import hash_of
from test_metrics import samples

from flight import act, bearer, client, command, path, read, ticket
from server import wait_until

pytestmark = pytest.mark.asan

READER = "reader-0123456789abcdef"
OTHER = "other-0123456789abcdef"
ADMIN = "admin-0123456789abcdef"
AUTH = f"""
auth:
  tokens:
    reader: {{token: {READER}, scopes: [read], tables: [open_*]}}
    other: {{token: {OTHER}, scopes: [read]}}
    admin: {{token: {ADMIN}, scopes: [admin]}}
  users:
    anna: {{password_hash: '{hash_of("secret")}', scopes: [read]}}
"""
ROWS = pa.table({"a": pa.array(range(1000), pa.int64()), "b": [f"row {i}" for i in range(1000)]})
# So long does it run that only an interrupt ends it within a test.
ENDLESS = (
    "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b "
    "WHERE (a.range ^ b.range) % 7 = 3"
)


@pytest.fixture
def there(server):
    server.query("DROP TABLE IF EXISTS flights")
    server.land("flights", ROWS)
    with client(server) as connection:
        yield connection


@pytest.fixture
def guarded(start):
    server = start(config=AUTH)
    for name in ("open_a", "closed_b"):
        answer = server.post(
            f"/ingest/{name}",
            data=ipc_of(ROWS),
            headers={
                "Authorization": f"Bearer {ADMIN}",
                "Content-Type": "application/vnd.apache.arrow.stream",
            },
        )
        assert answer.status_code == 200, answer.text
    with client(server) as connection:
        yield server, connection


def ipc_of(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def running(server):
    return samples(server)["arrowport_queries_running"]


def resident(server):
    (value,) = [v for k, v in samples(server).items() if k.endswith("resident_memory_bytes")]
    return value


# ---- what there is


def test_a_table_is_found_described_and_read(there):
    info = there.get_flight_info(path("flights"))
    assert info.schema.names == ["a", "b"]
    assert info.descriptor.path == [b"flights"]
    assert info.endpoints[0].locations == []
    assert info.endpoints[0].expiration_time is not None
    assert there.do_get(info.endpoints[0].ticket).read_all().equals(ROWS)
    assert there.get_schema(path("flights")).schema == info.schema
    assert read(there, path("main", "flights")).num_rows == 1000
    assert read(there, command(table="flights")).equals(ROWS)
    assert read(there, command(stream_name="flights")).equals(ROWS)


def test_sql_is_a_command(there):
    descriptor = command(sql="SELECT a, b FROM flights WHERE a < ? ORDER BY a", params=[3])
    assert there.get_schema(descriptor).schema.names == ["a", "b"]
    assert read(there, descriptor).equals(ROWS.slice(0, 3))


def test_a_ticket_may_say_what_is_wanted(there):
    assert there.do_get(ticket(sql="SELECT 42 AS x")).read_all().to_pylist() == [{"x": 42}]
    assert there.do_get(ticket(table="flights")).read_all().equals(ROWS)


def test_flights_are_listed_and_matched(start):
    server = start(
        config="streams:\n  planned: {target_table: later}\n  routed: {target_table: landed}\n"
    )
    server.land("routed", ROWS)
    server.land("other", ROWS)
    with client(server) as connection:
        flights = {f.descriptor.path[0]: f for f in connection.list_flights()}
        assert set(flights) == {b"planned", b"routed", b"landed", b"other"}
        assert flights[b"routed"].schema.names == ["a", "b"]
        assert flights[b"planned"].endpoints == [] and flights[b"planned"].schema.names == []
        rows = connection.do_get(flights[b"routed"].endpoints[0].ticket).read_all()
        assert rows.num_rows == 1000
        for pattern in (b"L*d", b"l_nded".replace(b"_", b"?"), b"%anded"):
            found = [f.descriptor.path[0] for f in connection.list_flights(pattern)]
            assert found == [b"landed"], pattern


def test_actions_are_listed_and_done(there, server):
    listed = {a.type: a.description for a in there.list_actions()}
    assert {"CancelFlightInfo", "RenewFlightEndpoint", "health", "ping", "table.drop"} <= set(
        listed
    )
    assert all(listed.values())
    assert act(there, "health") == {"status": "ok"}
    assert act(there, "ping", b"there?") == b"there?"
    assert act(there, "version")["name"] == "arrowport"
    assert "flights" in [t["name"] for t in act(there, "table.list")["tables"]]
    assert act(there, "table.describe", {"table": "flights"})["columns"][0]["name"] == "a"
    act(there, "table.truncate", {"table": "flights"})
    assert server.value("SELECT count(*) FROM flights") == 0
    act(there, "table.drop", {"table": "flights"})
    assert not server.has_table("flights")
    with pytest.raises(pa.ArrowNotImplementedError, match=r"no action 'table.burn'"):
        act(there, "table.burn")
    with pytest.raises(pa.ArrowInvalid, match="table"):
        act(there, "table.drop", {"tabel": "flights"})


# ---- errors


@pytest.mark.parametrize(
    "descriptor, error, words",
    [
        (path("nowhere"), KeyError, "there is no such table"),
        (path("a", "b", "c", "d"), pa.ArrowInvalid, "4 parts"),
        (command(sql="SELEC 1"), pa.ArrowInvalid, "syntax error"),
        (command(colour="red"), pa.ArrowInvalid, "asks for nothing"),
        (command(table=7), pa.ArrowInvalid, "must be a string"),
        (command(table="flights", version=-3), pa.ArrowInvalid, "version"),
        (fl.FlightDescriptor.for_command(b"{"), pa.ArrowInvalid, "JSON"),
        (fl.FlightDescriptor.for_command(b"\xff\xff\xff"), pa.ArrowInvalid, "command is none"),
        (fl.FlightDescriptor.for_command(b""), pa.ArrowInvalid, "command is none"),
        (
            fl.FlightDescriptor.for_command(b"\x0a\x1ftype.googleapis.com/a.b.Strange"),
            pa.ArrowNotImplementedError,
            "type.googleapis.com/a.b.Strange is not known",
        ),
    ],
)
def test_what_is_wrong_with_a_descriptor_is_told(there, descriptor, error, words):
    for ask in (there.get_flight_info, there.get_schema):
        with pytest.raises(error, match=words):
            ask(descriptor)


@pytest.mark.parametrize("bad", [b"", b"table", b"\x01" + bytes(80), bytes(45)])
def test_tickets_of_nobody_are_refused(there, bad):
    with pytest.raises(pa.ArrowInvalid, match="none of this server's"):
        there.do_get(fl.Ticket(bad)).read_all()


def test_a_ticket_that_was_changed_does_not_open(there):
    made = bytearray(there.get_flight_info(path("flights")).endpoints[0].ticket.ticket)
    for at in (0, 1, 13, len(made) // 2, len(made) - 1):
        other = bytearray(made)
        other[at] ^= 1
        with pytest.raises(pa.ArrowInvalid, match="none of this server's"):
            there.do_get(fl.Ticket(bytes(other))).read_all()
    with pytest.raises(pa.ArrowInvalid, match="none of this server's"):
        there.do_get(fl.Ticket(bytes(made[:-1]))).read_all()
    assert there.do_get(fl.Ticket(bytes(made))).read_all().num_rows == 1000


def test_tickets_expire_and_are_renewed(start):
    server = start(config="flight: {ticket_s: 3}\n")
    server.land("flights", ROWS)
    with client(server) as connection:
        endpoint = connection.get_flight_info(path("flights")).endpoints[0]
        time.sleep(1.5)
        # RenewFlightEndpointRequest: field 1 holds the endpoint.
        body = endpoint.serialize()
        request = b"\x0a" + varint(len(body)) + body
        (result,) = connection.do_action(fl.Action("RenewFlightEndpoint", request))
        renewed = fl.FlightEndpoint.deserialize(result.body.to_pybytes())
        assert renewed.expiration_time.value > endpoint.expiration_time.value
        time.sleep(1.7)
        with pytest.raises(KeyError, match="has expired"):
            connection.do_get(endpoint.ticket).read_all()
        assert connection.do_get(renewed.ticket).read_all().num_rows == 1000
        server.stop()


def varint(number):
    made = b""
    while number > 127:
        made += bytes([number & 127 | 128])
        number >>= 7
    return made + bytes([number])


def cancel_body(info):
    body = info.serialize()
    return b"\x0a" + varint(len(body)) + body


def test_an_info_that_was_cancelled_cannot_be_read(there):
    info = there.get_flight_info(path("flights"))
    (result,) = there.do_action(fl.Action("CancelFlightInfo", cancel_body(info)))
    assert result.body.to_pybytes() == b"\x08\x01"  # CANCELLED
    with pytest.raises(fl.FlightCancelledError, match="was cancelled"):
        there.do_get(info.endpoints[0].ticket).read_all()


# ---- statements that are given up


def test_cancelling_an_info_stops_its_statement(start):
    server = start()
    with client(server) as connection, client(server) as second:
        info = connection.get_flight_info(command(sql=ENDLESS))
        failed = []

        def reads():
            try:
                connection.do_get(info.endpoints[0].ticket).read_all()
            except fl.FlightCancelledError as error:
                failed.append(error)

        reader = threading.Thread(target=reads)
        reader.start()
        wait_until(lambda: running(server) == 1, "the statement runs")
        list(second.do_action(fl.Action("CancelFlightInfo", cancel_body(info))))
        reader.join(30)
        assert len(failed) == 1
        wait_until(lambda: running(server) == 0, "the statement has ended")


def test_a_deadline_and_a_client_that_cancels_stop_the_statement(start):
    server = start()
    with client(server) as connection:
        with pytest.raises(fl.FlightTimedOutError):
            connection.do_get(ticket(sql=ENDLESS), fl.FlightCallOptions(timeout=0.5)).read_all()
        wait_until(lambda: running(server) == 0, "the statement has ended")
        reader = connection.do_get(ticket(sql="SELECT range AS n FROM range(2000000000)"))
        reader.read_chunk()
        assert running(server) == 1
        reader.cancel()
        wait_until(lambda: running(server) == 0, "the statement has ended")


def test_the_servers_own_time_out_is_told(start):
    server = start(config="query_timeout_s: 1\n")
    with client(server) as connection:
        with pytest.raises(fl.FlightTimedOutError, match="time"):
            connection.do_get(ticket(sql=ENDLESS)).read_all()


def test_a_slow_reader_stops_the_query_and_gets_everything(start):
    server = start(config="memory_limit: 512MB\nquery_timeout_s: 2\n")
    rows = 12_000_000
    with client(server) as connection:
        reader = connection.do_get(ticket(sql=f"SELECT range AS n FROM range({rows})"))
        got = reader.read_chunk().data.num_rows
        held = resident(server)
        time.sleep(2.5)  # longer than query_timeout_s: it is the client who is waited for
        assert resident(server) - held < 64 << 20
        assert running(server) == 1
        for chunk in reader:
            got += chunk.data.num_rows
        assert got == rows


def test_statements_of_flight_stand_in_line_with_those_of_query(start):
    server = start(config="query: {concurrent_max: 1}\n")
    with client(server) as connection:
        reader = connection.do_get(ticket(sql="SELECT range AS n FROM range(2000000000)"))
        reader.read_chunk()
        # Whoever asks for no statement does not wait.
        assert act(connection, "health") == {"status": "ok"}
        with pytest.raises(fl.FlightTimedOutError):
            connection.do_get(ticket(sql="SELECT 1"), fl.FlightCallOptions(timeout=0.5)).read_all()
        reader.cancel()
        assert connection.do_get(ticket(sql="SELECT 1 AS x")).read_all().num_rows == 1


# ---- rows


def test_every_type_comes_back_as_it_landed(server):
    table = pa.table(
        {
            "flag": pa.array([True, None, False]),
            "tiny": pa.array([1, None, -128], pa.int8()),
            "big": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "real": pa.array([1.5, None, float("inf")], pa.float64()),
            "price": pa.array([decimal.Decimal("1.23"), None, decimal.Decimal("-9.99")]),
            "text": pa.array(["", None, "grüß"]),
            "blob": pa.array([b"\x00\xff", None, b""]),
            "at": pa.array([0, None, 10**15], pa.timestamp("us", "UTC")),
            "day": pa.array([0, None, 20000], pa.date32()),
            "list": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
            "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": None}]),
            "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        }
    )
    server.query("DROP TABLE IF EXISTS all_types")
    server.land("all_types", table)
    with client(server) as connection:
        got = read(connection, path("all_types"))
        assert got.to_pylist() == table.to_pylist()
        got.validate(full=True)
        empty = connection.do_get(ticket(sql="SELECT * FROM all_types WHERE false")).read_all()
        assert empty.num_rows == 0 and empty.schema.names == table.schema.names


@pytest.mark.parametrize("method", ["none", "lz4", "zstd", "zstd:7"])
def test_compression_is_asked_for_by_a_header(there, method):
    options = bearer(None, ("x-arrowport-compression", method))
    got = there.do_get(ticket(sql="SELECT range % 10 AS n FROM range(300000)"), options).read_all()
    assert got.num_rows == 300000 and sum(got["n"].to_pylist()[:20]) == 90
    with pytest.raises(pa.ArrowInvalid, match="compression"):
        there.do_get(
            ticket(table="flights"), bearer(None, ("x-arrowport-compression", "rar"))
        ).read_all()


def test_many_readers_at_once_get_their_own_rows(there):
    failed = []

    def reads(number):
        try:
            sql = f"SELECT range AS n FROM range({number * 100000})"
            got = there.do_get(ticket(sql=sql)).read_all()
            assert got.num_rows == number * 100000
        except Exception as error:
            failed.append(error)

    readers = [threading.Thread(target=reads, args=(i,)) for i in range(16)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert failed == []


# ---- who may


def test_nobody_is_told_anything(guarded):
    _, connection = guarded
    for ask in (
        lambda: list(connection.list_flights()),
        lambda: connection.get_flight_info(path("open_a")),
        lambda: connection.do_get(ticket(table="open_a")).read_all(),
        lambda: act(connection, "health"),
        lambda: list(connection.list_actions()),
    ):
        with pytest.raises(fl.FlightUnauthenticatedError, match="wants to know who asks"):
            ask()
    with pytest.raises(fl.FlightUnauthenticatedError, match="none that this server knows"):
        connection.get_flight_info(path("open_a"), bearer("wrong-0123456789abcdef"))


def test_a_token_reads_what_it_may(guarded):
    _, connection = guarded
    mine = bearer(READER)
    assert read(connection, path("open_a"), mine).num_rows == 1000
    assert [f.descriptor.path for f in connection.list_flights(options=mine)] == [[b"open_a"]]
    for descriptor in (path("closed_b"), command(table="closed_b")):
        with pytest.raises(fl.FlightUnauthorizedError, match="closed_b"):
            connection.get_flight_info(descriptor, mine)
    for wanted in (ticket(table="closed_b"), ticket(sql="SELECT * FROM closed_b")):
        with pytest.raises(fl.FlightUnauthorizedError, match="closed_b"):
            connection.do_get(wanted, mine).read_all()
    with pytest.raises(fl.FlightUnauthorizedError, match="admin"):
        act(connection, "table.drop", {"table": "open_a"}, mine)
    assert act(connection, "table.drop", {"table": "open_a"}, bearer(ADMIN)) == {"status": "ok"}


def test_a_ticket_is_its_askers(guarded):
    _, connection = guarded
    info = connection.get_flight_info(path("open_a"), bearer(READER))
    with pytest.raises(fl.FlightUnauthorizedError, match="somebody else"):
        connection.do_get(info.endpoints[0].ticket, bearer(OTHER)).read_all()
    with pytest.raises(fl.FlightUnauthorizedError, match="somebody else"):
        list(connection.do_action(fl.Action("CancelFlightInfo", cancel_body(info)), bearer(OTHER)))
    assert connection.do_get(info.endpoints[0].ticket, bearer(READER)).read_all().num_rows == 1000


def test_a_handshake_with_a_header_gives_a_token(guarded):
    server, connection = guarded
    name, value = connection.authenticate_basic_token("anna", "secret")
    assert name == b"authorization" and value.startswith(b"Bearer ")
    options = fl.FlightCallOptions(headers=[(name, value)])
    assert read(connection, path("open_a"), options).num_rows == 1000
    answer = server.get("/tables", headers={"Authorization": value.decode()})
    assert answer.status_code == 200
    with pytest.raises(fl.FlightUnauthenticatedError, match="no user of this name"):
        connection.authenticate_basic_token("anna", "wrong")
    # It is not written down anywhere.
    assert value.split()[1].decode() not in server.stderr()


class OldHandler(fl.ClientAuthHandler):
    """The older form: a BasicAuth as payload, the token in the header auth-token-bin."""

    def __init__(self, name, password):
        super().__init__()
        self.basic = fl.BasicAuth(name, password)
        self.token = None

    def authenticate(self, outgoing, incoming):
        outgoing.write(self.basic.serialize())
        self.token = incoming.read()

    def get_token(self):
        return self.token


def test_a_handshake_of_the_older_form_gives_a_token(guarded):
    server, connection = guarded
    connection.authenticate(OldHandler("anna", "secret"))
    assert read(connection, path("closed_b")).num_rows == 1000
    with client(server) as other:
        with pytest.raises(fl.FlightUnauthenticatedError, match="no user of this name"):
            other.authenticate(OldHandler("anna", "wrong"))
        with pytest.raises(fl.FlightUnauthenticatedError):
            other.authenticate(OldHandler("", ""))


def test_a_token_of_a_handshake_ends_with_its_user(start, tmp_path):
    server = start(config=AUTH)
    with client(server) as connection:
        pair = connection.authenticate_basic_token("anna", "secret")
        options = fl.FlightCallOptions(headers=[pair])
        assert act(connection, "health", options=options) == {"status": "ok"}
        (server.directory / "given.yaml").write_text(AUTH.replace("anna", "berta"))

        def refused():
            try:
                act(connection, "health", options=options)
                return False
            except fl.FlightUnauthenticatedError:
                return True

        wait_until(refused, "the token has ended")


def test_basic_credentials_go_with_any_call(guarded):
    _, connection = guarded
    value = base64.b64encode(b"anna:secret")
    options = fl.FlightCallOptions(headers=[(b"authorization", b"Basic " + value)])
    assert read(connection, path("open_a"), options).num_rows == 1000


# ---- the connection


def test_tls_and_client_certificates(start, tmp_path):
    ca = Authority(tmp_path)
    files = ca.issue("server")
    config = (
        f"tls: {{cert: {files.cert}, key: {files.key}, client_ca: {ca.cert}, "
        "client_certificates: required}\n"
    )
    server = start(config=config)
    mine = ca.issue("me")
    trust = {"tls_root_certs": ca.cert.read_bytes()}
    pair = {"cert_chain": mine.cert.read_bytes(), "private_key": mine.key.read_bytes()}
    with client(server, scheme="grpc+tls", host="localhost", **trust, **pair) as connection:
        assert connection.do_get(ticket(sql="SELECT 1 AS x")).read_all().num_rows == 1
    short = fl.FlightCallOptions(timeout=10)
    with client(server, scheme="grpc+tls", host="localhost", **trust) as connection:
        with pytest.raises((fl.FlightUnavailableError, fl.FlightTimedOutError)):
            act(connection, "health", options=short)
    with client(server, scheme="grpc+tls", host="localhost") as connection:
        with pytest.raises((fl.FlightUnavailableError, fl.FlightTimedOutError)):
            act(connection, "health", options=short)


def test_calls_are_logged_and_counted(start):
    server = start()
    with client(server) as connection:
        act(connection, "health")
        with pytest.raises(KeyError):
            connection.get_flight_info(path("nowhere"))

    def told():
        lines = [json.loads(line) for line in server.stderr().splitlines() if "Service/" in line]
        return {line["path"].rsplit("/", 1)[1]: line for line in lines if "path" in line}

    wait_until(lambda: len(told()) == 2, "both calls are logged")
    assert told()["DoAction"]["grpc_status"] == 0 and told()["DoAction"]["status"] == 200
    assert told()["GetFlightInfo"]["grpc_status"] == 5 and told()["GetFlightInfo"]["status"] == 404
    text = server.get("/metrics").text
    assert 'endpoint="/arrow.flight.protocol.FlightService/DoAction"' in text


def test_what_is_no_call_is_told_so(server):
    answer = server.post("/arrow.flight.protocol.FlightService/DoGet", data=b"")
    assert answer.status_code == 415 and "gRPC" in answer.json()["detail"]
