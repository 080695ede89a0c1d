"""transaction: batch: each record batch commits by itself, and the answer tells how many did."""

import random
import threading
import time

import pyarrow as pa
import pytest
import requests
from crowd import Crowd, metric
from test_exactly_once import REPLAYED, post, post_json
from wire import Connection, chunk, ingest_head

from server import ARROW, problem, wait_until

CONFIG = "transaction: batch\nstreams: {whole: {transaction: request}}\n"
COLUMNS = "id BIGINT NOT NULL, v BIGINT"


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    from server import Server

    server = Server(tmp_path_factory.mktemp("batches"), config=CONFIG)
    yield server
    server.stop()


def stream_of(rows_of_each, null_in=None, first=0):
    """Batches of so many rows, numbered through; one of them has a NULL for its last id."""
    schema = pa.schema([("id", pa.int64()), ("v", pa.int64())])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for k, rows in enumerate(rows_of_each):
            ids = list(range(first, first + rows))
            first += rows
            if k == null_in:
                ids[-1] = None
            writer.write_batch(
                pa.record_batch([pa.array(ids, pa.int64()), pa.array([k] * rows)], schema=schema)
            )
    return sink.getvalue().to_pybytes()


def found(server, table):
    (row,) = server.rows(f"SELECT count(*) AS n, count(DISTINCT id) AS d FROM {table}")
    assert row["n"] == row["d"], row
    return row["n"]


@pytest.mark.asan
@pytest.mark.parametrize("sizes", [[5], [1, 2, 3], [0, 4, 0], [], [200_000, 3, 150_000]])
def test_the_answer_tells_the_commits(batches, name, sizes):
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    body = stream_of(sizes)
    answer = post(batches, name, body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["rows"], told["batches"]) == (sum(sizes), len(sizes))
    assert told["commits"] == max(1, len(sizes))
    assert found(batches, name) == sum(sizes)


def test_a_stream_of_its_own_policy_commits_once(batches):
    answer = post(batches, "whole", stream_of([1, 2, 3]))
    assert answer.json().get("commits", 1) == 1
    batches.rows("CREATE OR REPLACE TABLE whole (id BIGINT NOT NULL, v BIGINT)")
    problem(post(batches, "whole", stream_of([10, 10, 10], null_in=2)), 422, "id")
    assert found(batches, "whole") == 0


@pytest.mark.asan
@pytest.mark.parametrize("rows", [10, 50_000])
def test_a_bad_batch_in_the_middle_keeps_those_before_it(batches, name, rows):
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    body = problem(post(batches, name, stream_of([rows] * 6, null_in=3)), 422, "id")
    assert (body["batches_committed"], body["rows_committed"]) == (3, 3 * rows)
    assert found(batches, name) == 3 * rows
    body = problem(post(batches, name, stream_of([rows] * 3, null_in=0, first=10**7)), 422)
    assert (body["batches_committed"], body["rows_committed"]) == (0, 0)


def test_the_other_door(batches, name):
    data = pa.table({"id": range(10), "v": range(10)})
    answer = post_json(batches, name, name, data)
    assert answer.status_code == 200 and answer.json()["rows_processed"] == 10
    assert found(batches, name) == 10


def test_what_has_come_is_there_before_the_rest_has(batches, name):
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    body = stream_of([1000] * 4)
    with Connection(batches) as connection:
        connection.send(ingest_head(batches, name, "Transfer-Encoding: chunked"))
        connection.send(chunk(body[: len(body) // 2 + 2000]))
        wait_until(lambda: found(batches, name) >= 1000, "the first batch is committed")
        connection.reset()
    wait_until(lambda: metric(batches, "arrowport_ingests_in_flight") == 0, "it is over")
    assert found(batches, name) in (1000, 2000)


@pytest.mark.asan
def test_a_retry_adds_what_is_missing(batches, name):
    """The bad batch was corrected: those before it are not added again."""
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    bad = post(batches, name, stream_of([100] * 6, null_in=3), "key")
    assert problem(bad, 422)["batches_committed"] == 3
    answer = post(batches, name, stream_of([100] * 6), "key")
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == 600
    assert found(batches, name) == 600
    again = post(batches, name, stream_of([100] * 6), "key")
    assert again.status_code == 200 and again.headers[REPLAYED] == "true"
    assert again.json()["rows"] == 600
    assert found(batches, name) == 600


def test_batches_of_several_requests_at_once(batches, name):
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    bodies = [
        (f"/ingest/{name}", stream_of([3, 4], null_in=1 if k % 4 == 0 else None, first=10 * k))
        for k in range(32)
    ]
    with Crowd(batches, 32) as crowd:
        answers = crowd.post(bodies)
    for k, answer in enumerate(answers):
        if k % 4 == 0:
            body = problem(answer, 422)
            assert (body["batches_committed"], body["rows_committed"]) == (1, 3)
        else:
            assert answer.status_code == 200, answer.text
            assert answer.json()["commits"] == 2
    assert found(batches, name) == 24 * 7 + 8 * 3


def test_a_broken_end_takes_nothing_back(batches, name):
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    answer = post(batches, name, stream_of([50_000] * 3)[:-8])
    assert answer.status_code == 400, answer.text
    wait_until(lambda: metric(batches, "arrowport_ingests_in_flight") == 0, "it is over")
    assert found(batches, name) in (0, 50_000, 100_000, 150_000)


def test_an_overwrite_is_one_transaction(batches, name):
    """What replaces everything is not done by halves."""
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    post(batches, name, stream_of([5]))
    answer = post(batches, name, stream_of([5, 5], null_in=1, first=10), mode="overwrite")
    assert answer.status_code == 422, answer.text
    assert found(batches, name) == 5
    assert batches.value(f"SELECT max(id) AS high FROM {name}") == 4
    assert post(batches, name, stream_of([5, 5], first=10), mode="overwrite").status_code == 200
    assert found(batches, name) == 10


@pytest.mark.parametrize("mode", ["upsert", "merge"])
def test_by_key_each_batch_commits_too(batches, name, mode):
    batches.rows(f"CREATE TABLE {name} ({COLUMNS})")
    body = stream_of([5, 5, 5], null_in=2)
    told = problem(post(batches, name, body, mode=mode, key="id"), 422)
    assert (told["batches_committed"], told["rows_committed"]) == (2, 10)
    assert found(batches, name) == 10
    answer = post(batches, name, stream_of([5, 5, 5]), mode=mode, key="id")
    assert answer.json()["commits"] == 3
    assert found(batches, name) == 15


@pytest.mark.asan
@pytest.mark.parametrize("size", [50, 20_000])
def test_a_kill_in_the_middle_and_a_retry_with_the_key(start, size):
    """Some of the batches are there, each whole and each once; the retry adds the others."""
    chance, count, kept = random.Random(11), 12, []
    server = start(config=CONFIG)
    server.rows("CREATE TABLE t (id BIGINT NOT NULL, v BIGINT)")
    for attempt in range(4):
        body = stream_of([size] * count, first=attempt * 10**7)
        sender = threading.Thread(target=send_slowly, args=(server, body, f"{attempt}"))
        sender.start()
        low = attempt * 10**7
        where = f"FROM t WHERE id BETWEEN {low} AND {low + 10**7 - 1}"
        wait_until(
            lambda s=server, w=where: s.value(f"SELECT count(*) AS n {w}") > 0, "one is there"
        )
        time.sleep(chance.random() * 0.05)
        server.kill()
        sender.join(60)
        server = start(config=CONFIG)
        groups = server.rows(f"SELECT v, count(*) AS n {where} GROUP BY v ORDER BY v")
        assert [row["v"] for row in groups] == list(range(len(groups))), groups
        assert all(row["n"] == size for row in groups), groups
        kept.append(len(groups))
        answer = post(server, "t", body, f"{attempt}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == size * count
        assert server.value(f"SELECT count(DISTINCT id) AS n {where}") == size * count
        assert server.value(f"SELECT count(*) AS n {where}") == size * count
    assert any(0 < n < count for n in kept), kept


def send_slowly(server, body, key):
    def pieces():
        step = max(1, len(body) // 24)
        for start in range(0, len(body), step):
            yield body[start : start + step]
            time.sleep(0.01)

    try:
        requests.post(
            f"{server.url}/ingest/t",
            data=pieces(),
            headers={"Content-Type": ARROW, "Idempotency-Key": key},
            proxies={"http": None},
            timeout=60,
        )
    except requests.RequestException:
        pass  # it was killed


def test_small_bodies_of_many_batches(batches, name):
    """More batches than a group may have rows for, in one small body."""
    body = stream_of([1] * 500)
    answer = post(batches, name, body)
    assert answer.status_code == 200 and answer.json()["commits"] == 500, answer.text
    assert found(batches, name) == 500
