"""DoPut of rows as pyarrow sends them: where they go, when they are committed, what is
acknowledged, and how a stream that broke off is gone on with."""

import base64
import contextlib
import threading

import pyarrow as pa
import pyarrow.flight as fl
import pytest
from crowd import metric
from test_ducklake import CONFIG as LAKE

from flight import Put, Wire, client, command, path, put
from server import wait_until

pytestmark = pytest.mark.asan


def numbers(first, count, **more):
    ids = pa.array(range(first, first + count), pa.int64())
    words = pa.array([f"row {first + i}" for i in range(count)], pa.string())
    return pa.table({"id": ids, "word": words, **more})


# Streams that would be small enough to land with others, whole, are looked at by themselves.
ALONE = "group_commit: {bytes_max: 1}\n"


@pytest.fixture
def connection(server):
    with client(server) as made:
        yield made


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server that commits a stream after each thousand rows, not by time."""
    from server import Server

    server = Server(
        tmp_path_factory.mktemp("small"),
        config="flight: {commit_rows: 1000, commit_interval_ms: 3600000}\n" + ALONE,
    )
    yield server
    server.stop()


@pytest.fixture
def parts(small):
    with client(small) as made:
        yield made
    assert small.alive()


def there(server, table):
    found = server.rows(f'SELECT count(*) AS n, count(DISTINCT id) AS d FROM "{table}"')[0]
    assert found["n"] == found["d"], found
    return found["n"]


def committed(acks):
    return [ack["committed"]["rows"] for ack in acks]


# ---- where rows go


def test_a_path_names_the_stream(server, connection, name):
    (ack,) = put(connection, path(name), numbers(0, 10), rows=4)
    assert ack == {
        "stream": name,
        "table": name,
        "received": {"batches": 3, "rows": 10},
        "committed": {"batches": 3, "rows": 10},
        "durable": True,
    }
    assert server.arrow(f"SELECT * FROM {name} ORDER BY id").equals(numbers(0, 10))


def test_a_path_of_several_parts_names_a_table_in_its_schema(server, connection, name):
    assert server.query(f"CREATE SCHEMA {name}").status_code == 200
    (ack,) = put(connection, path(name, "inner"), numbers(0, 10))
    assert ack["table"] == f"{name}.inner"
    assert there(server, f'{name}"."inner') == 10


@pytest.mark.parametrize("member", ["stream_name", "stream", "table"])
def test_a_json_command_names_the_stream(server, connection, name, member):
    put(connection, command(**{member: name, "mode": None}), numbers(0, 10))
    assert there(server, name) == 10


REFUSED = [
    (path(), "0 parts"),
    (path("a", "b", "c", "d"), "4 parts"),
    (path(""), "name"),
    (command(), "stream_name"),
    (command(stream_name=7), '"stream_name" must be a text'),
    (command(stream_name="a", table="b"), "named twice"),
    (command(stream_name="a\0b"), "NUL"),
    (command(stream_name="t", colour="red"), '"colour" is not known'),
    (command(stream_name="t", tokens="x"), 'did you mean "token"'),
    (command(stream_name="t", mode="apend"), "did you mean append"),
    (command(stream_name="t", mode=1), '"mode" must be a text'),
    (command(stream_name="t", mode="upsert"), 'add "key"'),
    (command(stream_name="t", key=["a", 1], mode="upsert"), '"key" must be a text'),
    (command(stream_name="t", key="a,A", mode="upsert"), "twice"),
    (command(stream_name="t", commit="often"), "watermark, batch or stream"),
    (command(stream_name="t", commit="batch", mode="overwrite"), "overwrite"),
    (command(stream_name="t", resume="yes", token="x"), "true or false"),
    (command(stream_name="t", resume=True), 'name the "token"'),
    (command(stream_name="t", resume=True, token="x", commit="stream"), "committed once"),
    (command(stream_name="t", token=""), "idempotency key"),
    (command(stream_name="t", token="x", idempotency_key="y"), "given twice"),
    (command(stream_name="t", token="x\x1f0"), "idempotency key"),
    (fl.FlightDescriptor.for_command(b"{"), "not JSON"),
    (fl.FlightDescriptor.for_command(b'{"stream_name": "a", "stream_name": "b"}'), "not JSON"),
    (fl.FlightDescriptor.for_command(b" [1]"), "command is none"),
]


@pytest.mark.parametrize(("descriptor", "words"), REFUSED)
def test_what_is_wrong_with_a_descriptor_is_told(connection, descriptor, words):
    with pytest.raises(pa.ArrowInvalid) as error:
        put(connection, descriptor, numbers(0, 10))
    assert words in str(error.value)


# ---- modes and schemas


def test_modes(server, connection, name):
    put(connection, command(stream_name=name), numbers(0, 100))
    put(connection, command(stream_name=name, mode="append"), numbers(100, 100))
    assert there(server, name) == 200
    changed = pa.table({"id": pa.array([5, 500], pa.int64()), "word": ["five", "new"]})
    put(connection, command(stream_name=name, mode="upsert", key="id"), changed, rows=1)
    assert there(server, name) == 201
    assert server.value(f"SELECT word FROM {name} WHERE id = 5") == "five"
    merged = pa.table({"id": pa.array([6, 7], pa.int64()), "_op": ["d", None]})
    put(connection, command(stream_name=name, mode="merge", key=["id"]), merged)
    assert there(server, name) == 200
    assert server.value(f"SELECT word FROM {name} WHERE id = 7") == "row 7"
    (ack,) = put(
        connection, command(stream_name=name, mode="overwrite"), numbers(0, 5000), rows=100
    )
    assert (ack["committed"]["rows"], there(server, name)) == (5000, 5000)
    double = pa.table({"id": pa.array([1, 1], pa.int64()), "word": ["a", "b"]})
    with pytest.raises(pa.ArrowException, match="earlier row"):
        put(
            connection,
            command(stream_name=name, mode="upsert", key="id", on_duplicate="error"),
            double,
        )
    assert server.value(f"SELECT word FROM {name} WHERE id = 1") == "row 1"


def test_schema_policies(start):
    streams = "".join(f"  {p}: {{schema_policy: {p}}}\n" for p in ("strict", "skip", "merge"))
    server = start(config=f"streams:\n{streams}")
    wider = numbers(10, 10, more=[1.5] * 10)
    with client(server) as connection:
        for stream in ("strict", "skip", "merge"):
            put(connection, path(stream), numbers(0, 10))
        for stream in ("strict", "skip"):
            with pytest.raises(pa.ArrowException, match="more") as error:
                put(connection, path(stream), wider, rows=3)
            assert there(server, stream) == 10
        assert "10 rows in 4 batches were set aside" in str(error.value)
        (ack,) = put(connection, path("merge"), wider)
        assert "more" in str(ack["schema_changes"]) and there(server, "merge") == 20
        fewer = numbers(20, 10).select(["id"])
        put(connection, path("skip"), fewer)
        assert there(server, "skip") == 20


# ---- as it is sent


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_compressed_and_dictionary_encoded_batches(server, connection, name, codec):
    colours = ["red", "green", None, "blue"]
    table = pa.table(
        {
            "id": pa.array(range(40_000), pa.int64()),
            "colour": pa.array([colours[i % 4] for i in range(40_000)]).dictionary_encode(),
        }
    )
    options = fl.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(compression=codec))
    put(connection, path(name), table, options, rows=9_000)
    assert there(server, name) == 40_000
    wrong = "sum((colour IS DISTINCT FROM ['red', 'green', NULL, 'blue'][id % 4 + 1])::INT)"
    assert server.value(f"SELECT {wrong}::INT FROM {name}") == 0


def test_dictionaries_that_change_between_batches(server, connection, name):
    schema = pa.schema({"id": pa.int64(), "word": pa.dictionary(pa.int8(), pa.string())})
    options = fl.FlightCallOptions(
        write_options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    )
    with Put(connection, path(name), schema, options) as stream:
        for k, words in enumerate((["a", "b"], ["a", "b", "c"], ["x"])):
            column = pa.DictionaryArray.from_arrays(pa.array([len(words) - 1], pa.int8()), words)
            stream.write(pa.record_batch([pa.array([k], pa.int64()), column], schema=schema))
        stream.finish()
    assert [r["word"] for r in server.rows(f"SELECT word FROM {name} ORDER BY id")] == [
        "b",
        "c",
        "x",
    ]


def test_grpc_compression(server, name):
    options = [("grpc.default_compression_algorithm", 2)]  # gzip
    with client(server, generic_options=options) as connection:
        put(connection, path(name), numbers(0, 50_000), rows=10_000)
    assert there(server, name) == 50_000


def test_an_empty_stream_makes_its_table(server, connection, name):
    (ack,) = put(connection, path(name), numbers(0, 0))
    assert ack["committed"] == {"batches": 0, "rows": 0}
    assert there(server, name) == 0
    with Put(connection, path(name), numbers(0, 0).schema) as stream:
        stream.write(pa.RecordBatch.from_pylist([], schema=numbers(0, 0).schema))
        (ack,) = stream.finish()
    assert ack["committed"] == {"batches": 1, "rows": 0}


def test_big_batches(server, connection, name):
    """32 MB in two batches: more than a window of HTTP/2, several commits' worth of nothing."""
    count = 2_000_000
    table = pa.table({"id": pa.array(range(count), pa.int64()), "x": pa.array([1.5] * count)})
    acks = put(connection, path(name), table, rows=count // 2)
    assert acks[-1]["committed"] == {"batches": 2, "rows": count}
    assert there(server, name) == count


# ---- commits and acknowledgements


def test_each_commit_is_acknowledged(small, parts, name):
    acks = put(parts, path(name), numbers(0, 3_500), rows=400)
    assert committed(acks) == [1200, 2400, 3500]
    assert [a["committed"]["batches"] for a in acks] == [3, 6, 9]
    assert [a["durable"] for a in acks] == [True] * 3
    assert there(small, name) == 3_500


def test_a_commit_for_each_batch(small, parts, name):
    acks = put(parts, command(stream_name=name, commit="batch"), numbers(0, 500), rows=100)
    assert committed(acks) == [100, 200, 300, 400, 500]


def test_one_commit_at_the_end(small, parts, name):
    with Put(parts, command(stream_name=name, commit="stream"), numbers(0, 0).schema) as stream:
        for batch in numbers(0, 5_000).to_batches(max_chunksize=500):
            stream.write(batch)
        (ack,) = stream.finish()
    assert ack["committed"] == {"batches": 10, "rows": 5_000}


def test_acknowledgements_come_while_the_stream_goes_on(small, parts, name):
    with Put(parts, path(name), numbers(0, 0).schema) as stream:
        for k in range(3):
            stream.write(numbers(1000 * k, 1000).to_batches()[0], f"note {k}".encode())
            ack = stream.ack()
            assert ack["committed"] == {"batches": k + 1, "rows": 1000 * (k + 1)}
            assert [base64.b64decode(m) for m in ack["app_metadata"]] == [f"note {k}".encode()]
            assert there(small, name) == 1000 * (k + 1)
        assert stream.finish() == []


def test_rows_are_committed_after_a_time(start):
    server = start(config="flight: {commit_interval_ms: 200}\n")
    with client(server) as connection:
        with Put(connection, path("t"), numbers(0, 0).schema) as stream:
            for k in range(2):
                stream.write(numbers(10 * k, 10).to_batches()[0])
                assert stream.ack()["committed"]["rows"] == 10 * (k + 1)
                assert there(server, "t") == 10 * (k + 1)
            assert stream.finish() == []


def test_commits_by_bytes(start):
    server = start(config="flight: {commit_bytes: 100000, commit_interval_ms: 3600000}\n" + ALONE)
    table = pa.table({"id": pa.array(range(40_000), pa.int64())})
    with client(server) as connection:
        acks = put(connection, path("t"), table, rows=5_000)
    assert committed(acks) == [15_000, 30_000, 40_000]


def test_app_metadata_comes_back_with_its_commit(small, parts, name):
    notes = [bytes([i]) * (i * 100 + 1) for i in range(6)]
    with Put(parts, path(name), numbers(0, 0).schema) as stream:
        for i, note in enumerate(notes):
            stream.write(numbers(400 * i, 400).to_batches()[0], note)
        stream.writer.write_metadata(b"the last word")
        acks = stream.finish()
    told = [[base64.b64decode(m) for m in ack.get("app_metadata", [])] for ack in acks]
    assert sum(told, []) == [*notes, b"the last word"]
    assert told[0] == notes[:3]


def test_where_nothing_is_durable_it_says_so(start, tmp_path):
    server = start(
        db=None, args=("--db", ":memory:"), config="streams: {gone: {storage_backend: 'null'}}\n"
    )
    with client(server) as connection:
        for stream in ("gone", "kept"):
            (ack,) = put(connection, path(stream), numbers(0, 10))
            assert (ack["durable"], ack["committed"]["rows"]) == (False, 10)


def test_a_lakes_version_is_told(start):
    server = start(
        config=LAKE + ALONE + "flight: {commit_rows: 100, commit_interval_ms: 3600000}\n"
    )
    with client(server) as connection:
        acks = put(connection, path("trips"), numbers(0, 300), rows=100)
        versions = [ack["version"] for ack in acks]
        assert len(versions) == 3 and sorted(set(versions)) == versions
        assert all(ack["durable"] for ack in acks)


def test_small_puts_share_commits(start):
    server = start()
    puts, clients = 8, 32
    put_one = threading.Barrier(clients)
    failed = []

    def run(k):
        try:
            with client(server) as connection:
                for n in range(puts):
                    put_one.wait(60)
                    (ack,) = put(connection, path("t"), numbers(10 * (n * clients + k), 10))
                    assert ack["committed"]["rows"] == 10, ack
        except Exception as error:
            failed.append(error)
            put_one.abort()

    with client(server) as connection:
        put(connection, path("t"), numbers(10**6, 1))
    before = metric(server, "arrowport_group_commits_total")
    threads = [threading.Thread(target=run, args=(k,)) for k in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert there(server, "t") == 10 * puts * clients + 1
    assert metric(server, "arrowport_group_requests_total") == puts * clients + 1
    assert metric(server, "arrowport_group_commits_total") - before < puts * clients


# ---- tokens: everything sent again, or gone on with


def breaks_off(server, descriptor, batches, wait_rows):
    """Sends batches of 400 rows, waits until so many rows are acknowledged, and vanishes."""
    with Wire(server) as wire, client(wire) as connection:
        with Put(connection, descriptor, numbers(0, 0).schema) as stream:
            for k in range(batches):
                stream.write(numbers(400 * k, 400).to_batches()[0])
            while wait_rows and stream.ack()["committed"]["rows"] < wait_rows:
                pass
            wire.cut()
    wait_until(lambda: metric(server, "arrowport_ingests_in_flight") == 0, "the stream is over")


@pytest.mark.parametrize("resume", [False, True])
def test_a_stream_that_broke_off_goes_on(small, name, resume):
    token = f"token-{name}"
    breaks_off(small, command(stream_name=name, token=token), 7, 2400)
    assert there(small, name) == 2400
    with client(small) as again:
        asked = command(stream_name=name, token=token, resume=resume)
        with Put(again, asked, numbers(0, 0).schema) as stream:
            if resume:
                ack = stream.ack()  # before anything was sent: how far the last one got
                assert (ack["committed"], ack["resumed"]) == ({"batches": 6, "rows": 2400}, True)
            first = 2400 if resume else 0
            for batch in numbers(first, 5_000 - first).to_batches(max_chunksize=400):
                stream.write(batch)
            acks = stream.finish()
        assert acks[-1]["committed"]["rows"] == 5_000
        assert acks[-1]["received"]["rows"] == 5_000
        assert there(small, name) == 5_000
        # And once more, whole: nothing is added.
        acks = put(again, command(stream_name=name, token=token), numbers(0, 5_000), rows=600)
        assert acks[-1]["committed"]["rows"] == 5_000 and acks[-1]["repeated"]
        assert there(small, name) == 5_000


def test_what_is_sent_again_may_be_cut_otherwise(small, name):
    token = f"token-{name}"
    breaks_off(small, command(stream_name=name, token=token), 4, 1200)
    notes = []
    with client(small) as again:
        with Put(again, command(stream_name=name, token=token), numbers(0, 0).schema) as stream:
            for k, batch in enumerate(numbers(0, 3_500).to_batches(max_chunksize=700)):
                stream.write(batch, bytes([k]))
            for ack in stream.finish():
                notes += ack.get("app_metadata", [])
    assert there(small, name) == 3_500
    assert [base64.b64decode(n) for n in notes] == [bytes([k]) for k in range(5)]


def test_a_token_of_a_stream_that_was_longer_is_refused(small, parts, name):
    token = f"token-{name}"
    put(parts, command(stream_name=name, token=token), numbers(0, 3_000), rows=500)
    with pytest.raises(pa.ArrowException, match="it was another one"):
        put(parts, command(stream_name=name, token=token), numbers(0, 2_000), rows=500)
    assert there(small, name) == 3_000


def test_a_small_stream_with_a_token_lands_once(small, parts, name):
    asked = command(stream_name=name, idempotency_key=f"token-{name}")
    first = put(parts, asked, numbers(0, 10))[-1]
    second = put(parts, asked, numbers(0, 10))[-1]
    assert "repeated" not in first and second["repeated"]
    assert second["committed"] == first["committed"]
    assert there(small, name) == 10


def test_a_stream_for_each_commit_of_a_token_lands_whole_or_not(small, name):
    asked = command(stream_name=name, token=f"token-{name}", commit="stream")
    breaks_off(small, asked, 5, 0)
    with client(small) as again:
        for _ in range(2):
            acks = put(again, asked, numbers(0, 2_000), rows=400)
            assert acks[-1]["committed"]["rows"] == 2_000
    assert there(small, name) == 2_000


def test_two_streams_of_one_token_at_a_time_add_nothing_twice(small, name):
    """What the second one has not seen landing it may not believe to be its own."""
    asked = command(stream_name=name, token=f"token-{name}")
    with client(small) as one, client(small) as two:
        first = Put(one, asked, numbers(0, 0).schema)
        second = Put(two, asked, numbers(0, 0).schema)
        first.write(numbers(0, 600).to_batches()[0])
        second.write(numbers(0, 600).to_batches()[0])
        first.write(numbers(600, 600).to_batches()[0])
        while first.ack()["committed"]["rows"] == 0:
            pass
        with contextlib.suppress(pa.ArrowException):
            second.write(numbers(600, 1400).to_batches()[0])
        with pytest.raises(pa.ArrowException, match="token"):
            second.finish()
        first.write(numbers(1200, 800).to_batches()[0])
        acks = first.finish()
        assert acks[-1]["committed"]["rows"] == 2_000
    assert there(small, name) == 2_000
