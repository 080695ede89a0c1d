"""Flight with what no decent client sends, and with clients, deadlines and certificates that end
before their time: each is told what is wrong, nothing is left behind, and the server goes on.

What is wrong with gRPC's own framing is in test_grpc_wire.py, tickets are in test_flight.py,
handles of other users and sessions in test_flight_sql.py."""

import contextlib
import random
import threading
import time

import flight_sql
import psutil
import pyarrow as pa
import pyarrow.flight as fl
import pytest
from certs import Authority
from crowd import metric
from flight_sql import any_of, field, number
from http2 import DATA, END_STREAM, Client, frame
from test_grpc_wire import EXHAUSTED, INVALID, OK, UNIMPLEMENTED, Answer, ask, message

from flight import Put, Wire, client, command, path, put, ticket
from server import ipc, run, wait_until

pytestmark = pytest.mark.asan

SCHEMA = pa.schema({"id": pa.int64(), "word": pa.string()})
WORDS = pa.schema({"id": pa.int64(), "word": pa.dictionary(pa.int8(), pa.string())})
ENDLESS = (
    "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b "
    "WHERE (a.range ^ b.range) % 7 = 3"
)


def rows(first, count):
    words = [f"row {i}" for i in range(first, first + count)]
    return pa.record_batch([range(first, first + count), words], schema=SCHEMA)


def words(*texts):
    column = pa.array(texts).dictionary_encode()
    column = pa.DictionaryArray.from_arrays(column.indices.cast(pa.int8()), column.dictionary)
    return pa.table([pa.array(range(len(texts)), pa.int64()), column], schema=WORDS)


KEPT_BYTES = 64 << 10  # by prepared statements that others have left open, with their parameters


def idle(server):
    """Nobody works for anybody, and all memory was given back."""

    def is_so():
        return (
            metric(server, "arrowport_ingests_in_flight") == 0
            and metric(server, "arrowport_queries_running") == 0
            and metric(server, "arrowport_memory_budget_used_bytes") < KEPT_BYTES
        )

    wait_until(is_so, "the server is idle")


def works(server):
    """It takes rows and gives them."""
    assert server.alive()
    server.land("works", pa.table({"x": [1]}))
    with client(server) as connection:
        assert connection.do_get(ticket(sql="SELECT 42 AS x")).read_all().num_rows == 1


def count(server, table):
    return server.value(f"SELECT count(*) FROM {table}") if server.has_table(table) else None


# ---- messages by hand


def data(part=None, *, descriptor=None, metadata=None):
    """A FlightData of an IPC message, or of bytes (header and body)."""
    header, body = part if part is not None else (None, None)
    made = b"" if descriptor is None else field(1, descriptor.serialize())
    made += b"" if header is None else field(2, header)
    made += b"" if metadata is None else field(3, metadata)
    return made + (field(1000, body) if body else b"")


def parts(table, **options):
    """The messages of an IPC stream: schema, dictionaries, batches."""
    reader = pa.ipc.MessageReader.open_stream(ipc(table, **options))
    found = []
    with contextlib.suppress(StopIteration):
        while True:
            one = reader.read_next_message()
            body = b"" if one.body is None else one.body.to_pybytes()
            found.append((one.metadata.to_pybytes(), body))
    return found


def send(server, *messages, end=True):
    """A DoPut of these messages, and how it was answered."""
    with Client(server.port) as raw:
        ask(raw, 1, "DoPut", end=False)
        body = b"".join(map(message, messages))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for at in range(0, len(body), 16000):
                raw.send(frame(DATA, 0, 1, body[at : at + 16000]))
            if end:
                raw.send(frame(DATA, END_STREAM, 1))
        return Answer(raw, 1)


PLAIN = parts(pa.Table.from_batches([rows(0, 10)]))
OTHER = parts(pa.table({"id": ["text"]}))
CODED = parts(words("a", "b"))


@pytest.mark.parametrize(
    ("messages", "status", "text"),
    [
        ([b"\xff" * 30], INVALID, ""),
        ([b""], INVALID, "descriptor"),
        ([data(PLAIN[0])], INVALID, "no descriptor"),
        ([field(1, b"\xff\xff\xff")], INVALID, "descriptor is broken"),
        ([field(1, b"")], INVALID, "no descriptor"),
        ([field(1, b"\x08\x07")], INVALID, "names no stream"),
        ([data((b"\xff" * 40, b""), descriptor=path("faults"))], INVALID, ""),
        ([data(descriptor=path("faults"))], INVALID, "no schema"),
        ([data(descriptor=path("faults")), data(PLAIN[1])], INVALID, "schema"),
        ([data(CODED[0], descriptor=path("faults")), data(CODED[2])], INVALID, "dictionary"),
        ([data(PLAIN[0], descriptor=path("faults")), data(CODED[1])], INVALID, "dictionary"),
        ([data(PLAIN[0], descriptor=path("faults")), data(CODED[2])], INVALID, ""),
        (
            [data(PLAIN[0], descriptor=path("faults")), data(PLAIN[1]), data(OTHER[0])],
            INVALID,
            "schema",
        ),
        ([data(PLAIN[0], descriptor=path("faults")), data(OTHER[1])], INVALID, ""),
        (
            [data(PLAIN[0], descriptor=path("faults")), data((PLAIN[1][0], b"short"))],
            INVALID,
            "",
        ),
        ([data(PLAIN[0], descriptor=path("faults")), field(1000, b"body")], INVALID, "data_header"),
    ],
)
def test_broken_streams_of_rows(server, messages, status, text):
    answer = send(server, *messages)
    assert (answer.status, text in answer.text) == (status, True), (answer.status, answer.text)
    assert answer.text
    assert count(server, "faults") in (None, 0)
    idle(server)


def test_a_second_descriptor_is_not_looked_at(server, name):
    answer = send(
        server,
        data(PLAIN[0], descriptor=path(name)),
        data(PLAIN[1], descriptor=path("elsewhere")),
    )
    assert answer.status == OK
    assert count(server, name) == 10 and not server.has_table("elsewhere")


def test_streams_that_were_damaged_end_no_server(server, name):
    """Any byte of any message may be another one: it lands, or it is told, and that is all."""
    chance = random.Random(7)
    whole = [
        [data(PLAIN[0], descriptor=path(name)), data(PLAIN[1], metadata=b"note")],
        [data(CODED[0], descriptor=path(name + "c")), data(CODED[1]), data(CODED[2])],
    ]
    seen = set()
    for _ in range(80):
        messages = [bytearray(m) for m in chance.choice(whole)]
        for _ in range(chance.choice((1, 1, 3))):
            damaged = chance.choice(messages)
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.2:
            del damaged[chance.randrange(len(damaged)) :]
        if chance.random() < 0.2:
            chance.shuffle(messages)
        seen.add(send(server, *messages).status)
    assert INVALID in seen and OK in seen
    idle(server)
    works(server)


def garbage(kind):
    return any_of(kind, b"\xff\xff\xff\xff")


COMMANDS = (
    "CommandStatementQuery",
    "CommandStatementUpdate",
    "CommandStatementIngest",
    "CommandPreparedStatementQuery",
    "CommandPreparedStatementUpdate",
    "CommandGetCatalogs",
    "CommandGetDbSchemas",
    "CommandGetTables",
    "CommandGetPrimaryKeys",
    "CommandGetSqlInfo",
    "CommandGetXdbcTypeInfo",
)


@pytest.mark.parametrize("kind", [k for k in COMMANDS if k != "CommandGetCatalogs"])
def test_commands_that_are_broken_are_refused(server, kind):
    """In each method that takes them: by the message's name, or since they do not go with it."""
    wrong = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
    descriptor = fl.FlightDescriptor.for_command(garbage(kind))
    with client(server) as connection:
        for method in (connection.get_flight_info, connection.get_schema):
            with pytest.raises(wrong, match=f"{kind}|protobuf"):
                method(descriptor)
        with pytest.raises(wrong, match=f"{kind}|protobuf"):
            put(connection, descriptor, pa.Table.from_batches([rows(0, 1)]))
        with pytest.raises(pa.ArrowInvalid):
            connection.do_get(fl.Ticket(garbage(kind))).read_all()
    idle(server)


def test_unknown_commands_are_named(server):
    table = pa.Table.from_batches([rows(0, 1)])
    for cmd, words in (
        (any_of("CommandMakeCoffee"), "CommandMakeCoffee is not known"),
        (field(1, "type.googleapis.com/a.b.Strange"), "a.b.Strange is not known"),
        (any_of("CommandGetTables"), "DoPut does not go with"),
        (any_of("CommandStatementSubstraitPlan"), "Substrait"),
    ):
        descriptor = fl.FlightDescriptor.for_command(cmd)
        with client(server) as connection:
            with pytest.raises(pa.ArrowNotImplementedError, match=words):
                put(connection, descriptor, table)
    answer = send(server, field(1, field(2, any_of("CommandMakeCoffee")) + number(1, 2)))
    assert (answer.status, "CommandMakeCoffee" in answer.text) == (UNIMPLEMENTED, True)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "names no table"),
        (field(2, "t" * 4000), "4000 bytes"),
        (field(2, "t") + number(5, 1) + field(3, "main"), "temporary"),
        (field(2, "t") + field(1, number(1, 99)), "if_not_exist is 99"),
        (field(2, "t") + field(1, number(2, 99)), "if_exists is 99"),
        (field(2, "t") + field(1000, field(1, "colour") + field(2, "red")), "colour"),
        (field(2, "t") + field(6, b"no such transaction"), "transaction"),
    ],
)
def test_ingests_that_make_no_sense_are_refused(server, message, words):
    descriptor = fl.FlightDescriptor.for_command(any_of("CommandStatementIngest", message))
    with client(server) as connection:
        with pytest.raises((pa.ArrowException, fl.FlightError, KeyError)) as error:
            put(connection, descriptor, pa.Table.from_batches([rows(0, 1)]))
    assert words in str(error.value)
    assert not server.has_table("t")
    idle(server)


# ---- clients that vanish


def vanish(server, descriptor, batches, wait_rows=0):
    """Sends batches of 100 rows, waits for so many to be acknowledged, and is gone."""
    with Wire(server) as wire, client(wire) as connection:
        with Put(connection, descriptor, SCHEMA) as stream:
            for k in range(batches):
                stream.write(rows(100 * k, 100))
            while wait_rows and stream.ack()["committed"]["rows"] < wait_rows:
                pass
            if not wait_rows:
                wait_until(
                    lambda: metric(server, "arrowport_ingests_in_flight") == 1, "it is there"
                )
            wire.cut()
    idle(server)


def test_of_a_stream_with_one_commit_nothing_remains(start):
    server = start(config="group_commit: {bytes_max: 1}\n")
    vanish(server, command(stream_name="t", commit="stream"), 20)
    assert count(server, "t") is None
    vanish(server, path("t"), 0)
    assert count(server, "t") is None
    works(server)


def test_what_was_acknowledged_stays_and_the_rest_does_not(start):
    config = "flight: {commit_rows: 500, commit_interval_ms: 3600000}\n"
    server = start(config=config + "group_commit: {bytes_max: 1}\n")
    vanish(server, path("t"), 23, wait_rows=2000)
    assert count(server, "t") == 2000
    assert server.query("ALTER TABLE t ADD COLUMN more INT").status_code == 200


def test_an_ingest_that_breaks_off_is_rolled_back(start):
    """Table and rows; nothing stands in the way of others afterwards."""
    server = start()
    make = fl.FlightDescriptor.for_command(any_of("CommandStatementIngest", field(2, "t")))
    vanish(server, make, 20)
    assert count(server, "t") is None
    with flight_sql.Client(server) as connection:
        transaction = connection.begin()
        inside = any_of("CommandStatementIngest", field(2, "t") + field(6, transaction))
        vanish(server, fl.FlightDescriptor.for_command(inside), 20)
        with contextlib.suppress(pa.ArrowException, fl.FlightError, KeyError):
            connection.end(transaction)
    assert count(server, "t") is None
    with client(server) as other:
        put(other, path("t"), pa.Table.from_batches([rows(0, 10)]))
    assert count(server, "t") == 10


def test_a_deadline_ends_a_put_and_its_rows(start):
    server = start(config="group_commit: {bytes_max: 1}\n")
    with client(server) as connection:
        options = fl.FlightCallOptions(timeout=0.7)
        descriptor = command(stream_name="t", commit="stream")
        with pytest.raises(fl.FlightTimedOutError):  # noqa: PT012
            with Put(connection, descriptor, SCHEMA, options) as stream:
                for k in range(1000):
                    stream.write(rows(100 * k, 100))
                    time.sleep(0.05)
    idle(server)
    assert count(server, "t") is None


def processor_s(server):
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


def test_a_deadline_stops_a_statement_whoever_runs_it(start):
    """The engine does nothing any more afterwards."""
    server = start()
    update = any_of("CommandStatementUpdate", field(1, f"CREATE TABLE u AS {ENDLESS}"))
    query = any_of("CommandStatementQuery", field(1, ENDLESS))
    short = [fl.FlightCallOptions(timeout=0.4)]

    def run_update(connection):
        descriptor = fl.FlightDescriptor.for_command(update)
        writer, reader = connection.do_put(descriptor, pa.schema([]), *short)
        writer.done_writing()
        try:
            reader.read()
        finally:
            writer.close()

    def run_query(connection):
        info = connection.get_flight_info(fl.FlightDescriptor.for_command(query))
        connection.do_get(info.endpoints[0].ticket, *short).read_all()

    def run_exchange(connection):
        descriptor = command(sql=f"SELECT (n + id) AS s FROM input, ({ENDLESS})")
        writer, reader = connection.do_exchange(descriptor, *short)
        writer.begin(SCHEMA)
        writer.write_batch(rows(0, 10))
        writer.done_writing()
        reader.read_all()

    for ask_for in (run_update, run_query, run_exchange):
        with client(server) as connection:
            with pytest.raises(fl.FlightTimedOutError):
                ask_for(connection)
            idle(server)
            before = processor_s(server)
            time.sleep(0.5)
            assert processor_s(server) - before < 0.3, ask_for.__name__
    assert not server.has_table("u")
    works(server)


# ---- handles


def test_forged_handles_open_nothing(server):
    with flight_sql.Client(server) as connection:
        good = connection.prepare("SELECT 1 AS x")[1]
        transaction = connection.begin()
        forged = [b"", b"x", bytes(len(good)), good[:-1], good + b"0", transaction, b"f" * 100_000]
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 1
        wrong = (KeyError, pa.ArrowInvalid, fl.FlightUnauthorizedError)
        for handle in [*forged, bytes(flipped)]:
            asked = any_of("CommandPreparedStatementQuery", field(1, handle))
            with pytest.raises(wrong):
                connection.flight.get_flight_info(fl.FlightDescriptor.for_command(asked))
            for kind in ("CommandPreparedStatementQuery", "CommandPreparedStatementUpdate"):
                with pytest.raises(wrong):
                    connection.put(any_of(kind, field(1, handle)))
        for handle in [good, b"x", transaction[:-1], b"f" * 100_000]:
            with pytest.raises(wrong):
                connection.end(handle)
            with pytest.raises(wrong):
                connection.query("SELECT 1", handle)
        connection.end(transaction)
        with pytest.raises(wrong):
            connection.end(transaction)
    works(server)


def test_thousands_of_handles_that_nobody_closes(start):
    """They are refused beyond the limit, given up after a while, and take no memory then."""
    limit = 1500
    server = start(config=f"flight: {{handles_max: {limit}, handle_idle_s: 3}}\n")
    made, refused = [], []

    def abandon():
        with flight_sql.Client(server) as connection:
            for _ in range(limit // 2):
                try:
                    made.append(connection.prepare("SELECT 1 AS x")[1])
                except (pa.ArrowException, fl.FlightError, OSError, MemoryError) as error:
                    refused.append(str(error))
                    return

    threads = [threading.Thread(target=abandon) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused and all("handles_max" in text for text in refused), refused[:1]
    assert len(made) >= limit

    def works_again():
        with flight_sql.Client(server) as connection:
            try:
                connection.prepare("SELECT 1 AS x")
                return True
            except (pa.ArrowException, fl.FlightError, OSError, MemoryError):
                return False

    wait_until(works_again, "those that nobody uses are closed")
    time.sleep(4)  # the first that was told of need not be the first that was made, and closed
    with flight_sql.Client(server) as connection, pytest.raises(KeyError):
        connection.put(any_of("CommandPreparedStatementQuery", field(1, made[0])))
    works(server)


# ---- memory


def resident_mb(server):
    return psutil.Process(server.process.pid).memory_info().rss / 1e6


class Held(Wire):
    """Lets so many bytes of each client through, and no more: a batch that never becomes whole."""

    bytes_max = 3_000_000

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            left = self.bytes_max
            towards_server = sink.getpeername()[1] == self.server.port
            while left > 0 and (got := source.recv(min(left, 1 << 16))):
                sink.sendall(got)
                left -= len(got) if towards_server else 0


def test_writers_that_stand_still_do_not_take_all_the_memory(start):
    """48 batches of 8 MB, of each of which less than half comes; a limit of 128 MB. Those that find
    no room are told to come back later, and the rest of the server goes on."""
    server = start(config="memory_limit: 128MB\n")
    before = resident_mb(server)
    batch = pa.record_batch({"x": pa.array(range(1_000_000), pa.int64())})
    told = []

    def write(connection):
        try:
            with Put(connection, command(stream_name="t"), batch.schema) as stream:
                stream.write(batch)
                stream.finish()
        except (pa.ArrowException, fl.FlightError, OSError, MemoryError) as error:
            told.append(str(error))

    with Held(server) as wire:
        connections = [client(wire) for _ in range(48)]
        threads = [threading.Thread(target=write, args=(c,), daemon=True) for c in connections]
        for thread in threads:
            thread.start()
        wait_until(lambda: any("exhausted" in text for text in told), "some are refused")
        assert resident_mb(server) - before < 300
        assert server.get("/healthz").status_code == 200
        assert server.value("SELECT 42 AS answer") == 42
        wire.cut()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    for connection in connections:
        connection.close()
    assert count(server, "t") in (None, 0)
    idle(server)
    works(server)


def test_readers_that_stand_still_are_bounded_and_given_up(start):
    server = start(
        config="memory_limit: 128MB\nquery: {concurrent_max: 8}\nhttp: {write_timeout_ms: 1000}\n"
    )
    sql = "SELECT range AS n, repeat('x', 100) || range AS text FROM range(10000000)"
    with client(server) as warm:
        warm.do_get(ticket(sql="SELECT 1 AS x")).read_all()
    before = resident_mb(server)
    connections = [client(server) for _ in range(6)]
    readers = [connection.do_get(ticket(sql=sql)) for connection in connections]
    taken = 0
    for reader in readers:
        with contextlib.suppress(pa.ArrowException, fl.FlightError, OSError, MemoryError):
            reader.read_chunk()
            taken += 1
    assert taken > 0
    assert resident_mb(server) - before < 400
    # While they hold all memory for answers others may be told to come back.
    wait_until(lambda: server.query("SELECT 42 AS answer").status_code == 200, "another's answer")
    idle(server)  # they have not read for write_timeout_ms
    for connection in connections:
        connection.close()
    works(server)


def test_notes_without_rows_are_bounded(server):
    """app_metadata that waits for a commit that never comes."""
    first = data(PLAIN[0], descriptor=command(stream_name="notes", commit="stream"))
    answer = send(server, first, *[data(metadata=b"x" * 1_000_000)] * 20, end=False)
    assert answer.status == EXHAUSTED and "app_metadata" in answer.text
    idle(server)


# ---- certificates


def test_certificates_that_are_wrong_or_expired_are_refused(start, tmp_path):
    """By both clients, without a word of the request being sent; the server goes on."""
    good, other = Authority(tmp_path), Authority(tmp_path, "other")
    cases = {
        "expired": (good.issue("old", expired=True), good.cert, "expired"),
        "of another authority": (other.issue("stranger"), good.cert, "certificate"),
        "for another name": (good.issue("named", alt="DNS:elsewhere.example"), good.cert, ""),
    }
    for what, (pair, root, words) in cases.items():
        folder = tmp_path / what.replace(" ", "-")
        folder.mkdir()
        server = start(folder, config=f"tls: {{cert: {pair.cert}, key: {pair.key}}}\n")
        trust = {"tls_root_certs": root.read_bytes()}
        with client(server, scheme="grpc+tls", host="localhost", **trust) as connection:
            with pytest.raises((fl.FlightUnavailableError, fl.FlightTimedOutError)):
                connection.do_get(ticket(sql="SELECT 1"), fl.FlightCallOptions(timeout=10))
        url = f"grpc+tls://localhost:{server.port}"
        done = run("query", "SELECT 1", "--url", url, "--ca-cert", root, cwd=tmp_path)
        said = done.stderr.decode()
        assert done.returncode == 5, (what, done.returncode, said)
        assert words in said and "certificate" in said, (what, said)
        assert '"path":"/arrow' not in server.stderr()
        assert server.alive()
        server.stop()
