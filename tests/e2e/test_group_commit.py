"""Small requests that come while a commit is under way share the next one, and nobody can tell by
what lands, by who hears of an error, or by the order."""

import concurrent.futures
import random
import statistics
import threading
import time

import pyarrow as pa
import pytest
import requests
from crowd import Crowd, metric
from http2 import Client, frame
from wire import Connection

from server import ARROW, ipc, problem, wait_until

CROWD = 64


def rows(first, count, **more):
    ids = pa.array(range(first, first + count), pa.int64())
    return pa.table({"id": ids, "v": pa.array([1] * count, pa.int64()), **more})


def figures(server, table):
    (row,) = server.rows(
        f"SELECT count(*) AS n, count(DISTINCT id) AS d, coalesce(sum(id), 0)::BIGINT AS s "
        f"FROM {table}"
    )
    assert row["n"] == row["d"], row
    return row["n"], row["s"]


def groups(server):
    return (
        metric(server, "arrowport_group_commits_total"),
        metric(server, "arrowport_group_requests_total"),
    )


# ---- together, and alone


@pytest.mark.asan
def test_requests_that_come_together_share_commits_and_all_land(server, name):
    commits, grouped = groups(server)
    expected, first, rounds = 0, 0, 5
    server.land(name, rows(0, 0))
    with Crowd(server, CROWD) as crowd:
        for _ in range(rounds):
            bodies = []
            for k in range(CROWD):
                count = 1 + k % 7
                bodies.append((f"/ingest/{name}", ipc(rows(first, count), max_chunksize=3)))
                first += count
            answers = crowd.post(bodies)
            assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
            for k, answer in enumerate(answers):
                body = answer.json()
                assert body["rows"] == 1 + k % 7
                assert body["batches"] == (body["rows"] + 2) // 3
                assert body["table"] == name
            expected = first
    assert figures(server, name) == (expected, expected * (expected - 1) // 2)
    more_commits, more_grouped = groups(server)
    assert more_grouped - grouped == rounds * CROWD + 1
    assert rounds <= more_commits - commits < rounds * CROWD


@pytest.mark.parametrize("bound", ["rows_max: 1", "bytes_max: 1"])
def test_a_bound_of_one_gives_each_request_its_own_commit(start, bound):
    server = start(
        config="group_commit: {rows_max: 122880}\n"
        f"streams: {{alone: {{group_commit: {{{bound}}}}}}}\n"
    )
    server.land("alone", rows(0, 1))
    before = metric(server, "arrowport_transactions_total", outcome="committed")
    commits, grouped = groups(server)
    with Crowd(server, 16) as crowd:
        bodies = [("/ingest/alone", ipc(rows(10 * k + 10, 5))) for k in range(16)]
        answers = crowd.post(bodies)
    assert {a.status_code for a in answers} == {200}
    assert figures(server, "alone")[0] == 81
    assert metric(server, "arrowport_transactions_total", outcome="committed") - before == 16
    more_commits, more_grouped = groups(server)
    assert more_commits - commits == more_grouped - grouped


def test_rows_max_bounds_a_commit(start):
    """A group has ten rows at most: 64 requests of 5 rows need 32 commits."""
    server = start(config="group_commit: {rows_max: 10}\n")
    server.land("t", rows(0, 0))
    commits, _ = groups(server)
    with Crowd(server, CROWD) as crowd:
        answers = crowd.post([("/ingest/t", ipc(rows(10 * k, 5))) for k in range(CROWD)])
    assert {a.status_code for a in answers} == {200}
    assert groups(server)[0] - commits >= CROWD * 5 / 10
    assert figures(server, "t")[0] == CROWD * 5


def test_nobody_waits_for_a_group_to_fill(start):
    """One client alone: not much slower than where nothing is shared."""
    server = start(config="streams: {alone: {group_commit: {rows_max: 1}}}\n")
    took = {"alone": [], "grouped": []}
    bodies = [ipc(rows(10 * k, 10)) for k in range(30)]
    for stream in took:
        server.land(stream, rows(1000, 1))
    for body in bodies:
        for stream, times in took.items():
            begun = time.monotonic()
            server.land(stream, body)
            times.append(time.monotonic() - begun)
    alone, grouped = (statistics.median(times) for times in (took["alone"], took["grouped"]))
    assert grouped < 3 * alone + 0.02, took


# ---- one among many


POISON = {  # what it sends, and what it hears
    "null": (lambda k: pa.table({"id": [k], "v": pa.array([None], pa.int64())}), 422),
    "key": (lambda k: rows(0, 1), 422),
    "range": (lambda k: rows(k, 2, small=pa.array([1, 1000], pa.int64())), 422),
    "column": (lambda k: rows(k, 1, other=["x"]), 422),
    "type": (lambda k: pa.table({"id": [k], "v": ["text"]}), 422),
    "unsupported": (lambda k: rows(k, 1, small=pa.array([2**70], pa.decimal128(30))), 422),
    "broken": (lambda k: broken(ipc(rows(k, 10))), 400),
    "truncated": (lambda k: ipc(rows(k, 10))[:-8] + b"\0" * 8, 400),
    "vanish": (lambda k: rows(k, 5), None),
}


def broken(body):
    """The length of a buffer in the record batch's metadata is not what it says."""
    at = body.index(b"\xff\xff\xff\xff", 8)
    return body[: at + 8] + b"\xff" * 16 + body[at + 24 :]


def poisoned(server, table, kinds, seed):
    chance = random.Random(seed)
    server.rows(f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, v BIGINT NOT NULL, small TINYINT)")
    server.land(table, rows(0, 1))
    wanted, ids, first = 1, 0, 1
    with Crowd(server, CROWD) as crowd:
        for kind in kinds:
            make, status = POISON[kind]
            guilty = chance.randrange(CROWD)
            bodies = []
            for k in range(CROWD):
                count = chance.choice((1, 2, 20))
                bodies.append((f"/ingest/{table}", ipc(rows(first, count), max_chunksize=7)))
                if k != guilty:
                    wanted, ids = wanted + count, ids + sum(range(first, first + count))
                first += count
            data = make(first)
            first += 10
            bodies[guilty] = (bodies[guilty][0], ipc(data) if isinstance(data, pa.Table) else data)
            answers = crowd.post(bodies, vanish=[guilty] if status is None else [])
            for k, answer in enumerate(answers):
                if k != guilty:
                    assert answer.status_code == 200, (kind, answer.text)
                elif status is not None:
                    assert answer.status_code == status, (kind, answer.status_code, answer.text)
            assert figures(server, table) == (wanted, ids), (kind, guilty)


@pytest.mark.asan
def test_only_the_guilty_one_hears_of_it(server, name):
    poisoned(server, name, POISON, seed=6)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", POISON)
def test_only_the_guilty_one_hears_of_it_fifty_times(start, kind):
    poisoned(start(), "t", [kind] * 50, seed=7)


@pytest.mark.asan
def test_of_those_with_the_same_key_one_lands(server, name):
    """Which of them is not said: the group is not, as a whole, to blame."""
    server.rows(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, v BIGINT)")
    with Crowd(server, CROWD) as crowd:
        answers = crowd.post([(f"/ingest/{name}", ipc(rows(k % 4, 1))) for k in range(CROWD)])
    landed = [k % 4 for k, answer in enumerate(answers) if answer.status_code == 200]
    assert sorted(landed) == [0, 1, 2, 3], [a.text for a in answers]
    assert {a.status_code for a in answers} == {200, 422}
    assert figures(server, name) == (4, 6)


def test_many_guilty_ones_each_hear_their_own(server, name):
    server.rows(f"CREATE TABLE {name} (id BIGINT NOT NULL, v BIGINT)")
    bodies = []
    for k in range(CROWD):
        ids = pa.array([k * 10, None if k % 3 == 0 else k * 10 + 1], pa.int64())
        body = ipc(pa.table({"id": ids}))
        bodies.append((f"/ingest/{name}", broken(body) if k % 5 == 0 else body))
    with Crowd(server, CROWD) as crowd:
        answers = crowd.post(bodies)
    for k, answer in enumerate(answers):
        status = 400 if k % 5 == 0 else 422 if k % 3 == 0 else 200
        assert answer.status_code == status, (k, answer.text)
    good = [k for k in range(CROWD) if k % 5 and k % 3]
    assert figures(server, name) == (2 * len(good), sum(20 * k + 1 for k in good))


def test_requests_with_keys_in_one_group(server, name):
    """Half of them come twice, with the key of the one before."""
    fields = [f"Idempotency-Key: {k // 2}" for k in range(CROWD)]
    bodies = [(f"/ingest/{name}", ipc(rows(10 * (k // 2), 3)), fields[k]) for k in range(CROWD)]
    server.land(name, rows(-1, 1))
    with Crowd(server, CROWD) as crowd:
        answers = crowd.post(bodies)
        for k in [k for k, answer in enumerate(answers) if answer.status_code == 409]:
            answers[k] = None
        again = crowd.post(bodies)
    assert {a.status_code for a in answers if a is not None} == {200}
    assert {a.status_code for a in again} == {200}, [a.text for a in again]
    assert all(a.headers["Idempotent-Replayed"] == "true" for a in again)
    assert figures(server, name)[0] == CROWD // 2 * 3 + 1


# ---- order


def send_in_a_row(client, table, bodies):
    """On one HTTP/2 connection, each whole before the next begins, no answer waited for."""
    for k, body in enumerate(bodies):
        client.request(2 * k + 1, "POST", f"/ingest/{table}", ("content-type", ARROW), end=False)
        for start in range(0, len(body), 16384):
            part = body[start : start + 16384]
            last = start + 16384 >= len(body)
            client.send(frame(0, 1 if last else 0, 2 * k + 1, part))


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["small", "mixed"])
def test_what_came_first_on_a_connection_is_there_first(start, kind):
    """After a kill in the middle the requests that are there are the first ones."""
    chance = random.Random(7)
    server = start()
    server.land("t", pa.table({"round": [-1], "k": [0]}))
    seen = []
    for attempt in range(5):
        bodies = []
        for k in range(60):
            count = 2000 if kind == "mixed" and k % 7 == 3 else 2
            body = pa.table({"round": [attempt] * count, "k": [k] * count})
            bodies.append(ipc(body, max_chunksize=500))
        total = server.value("SELECT count(DISTINCT k) AS n FROM t")
        with Client(server.port) as client:
            sender = threading.Thread(target=guarded(send_in_a_row), args=(client, "t", bodies))
            sender.start()
            wait_until(lambda s=server, n=total: landed_more(s, n), "the first one is there")
            time.sleep(chance.random() * 0.03)
            server.kill()
            sender.join(60)
        server = start()
        found = server.rows(
            f"SELECT k, count(*) AS n FROM t WHERE round = {attempt} GROUP BY k ORDER BY k"
        )
        assert [row["k"] for row in found] == list(range(len(found))), (attempt, found)
        assert all(row["n"] in (2, 2000) for row in found)
        seen.append(len(found))
    assert any(seen), "nothing ever landed"


def guarded(work):
    """The server is killed under it."""

    def run(*args):
        try:
            work(*args)
        except OSError:
            pass

    return run


def landed_more(server, than):
    return metric(server, "arrowport_ingest_loads_total") > 0 or than < 0


# ---- together with what is no small append


def test_big_and_small_ones_together(server, name):
    server.land(name, rows(0, 0))
    big = 150_000
    bodies = [ipc(rows(k * big, big), max_chunksize=20_000) for k in range(3)]
    first = 3 * big
    with concurrent.futures.ThreadPoolExecutor(3) as pool, Crowd(server, 32) as crowd:
        sent = [pool.submit(post, server, name, body) for body in bodies]
        for _ in range(5):
            small = []
            for _ in range(32):
                small.append((f"/ingest/{name}", ipc(rows(first, 3))))
                first += 3
            answers = crowd.post(small)
            assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
        for answer in sent:
            assert answer.result().status_code == 200, answer.result().text
    assert figures(server, name) == (first, first * (first - 1) // 2)


def post(server, stream, body, **query):
    with requests.Session() as session:
        session.trust_env = False
        return session.post(
            f"{server.url}/ingest/{stream}",
            data=body,
            params=query,
            headers={"Content-Type": ARROW},
            timeout=60,
        )


@pytest.mark.asan
def test_every_mode_at_once_on_one_table(server, name):
    """Appends of small groups, upserts and overwrites: each request is there whole or, when
    somebody replaced it afterwards, not at all; nobody hears of anything but a conflict."""
    server.land(name, pa.table({"id": [0], "who": ["begin"], "n": [0]}))
    stop, failures, acknowledged = threading.Event(), [], {"append": [], "upsert": []}

    def request(kind, k, count):
        first = {"append": 1_000_000, "upsert": 0, "overwrite": 0}[kind] + k * 10
        ids = list(range(first, first + count)) if kind == "append" else list(range(count))
        return ipc(pa.table({"id": ids, "who": [f"{kind} {k}"] * count, "n": [count] * count}))

    def work(kind, start, count, **query):
        for k in range(start, start + 12):
            answer = post(server, name, request(kind, k, count), **query)
            if answer.status_code == 200 and kind in acknowledged:
                acknowledged[kind].append(k)
            elif answer.status_code not in (200, 409):
                failures.append(f"{kind}: {answer.status_code} {answer.text}")

    def read():
        sql = f"SELECT who, count(*) AS c, max(n) AS n FROM {name} GROUP BY who"
        while not stop.is_set():
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    server.url + "/query", data=sql, headers={"Content-Type": "application/sql"}
                )
                appended = (row for row in answer.json() if row["who"].startswith("append"))
                failures.extend(row for row in appended if row["c"] != row["n"])

    reader = threading.Thread(target=read)
    reader.start()
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        jobs = [pool.submit(work, "append", 100 * c, 5) for c in range(6)]
        jobs += [pool.submit(work, "upsert", 0, 40, mode="upsert", key="id")]
        jobs += [pool.submit(work, "overwrite", 0, 60, mode="overwrite")]
        for job in jobs:
            job.result()
    after = post(server, name, request("overwrite", 99, 60), mode="overwrite")
    assert after.status_code == 200, after.text
    with Crowd(server, CROWD) as crowd:
        bodies = [(f"/ingest/{name}", request("append", 5000 + k, 5)) for k in range(CROWD)]
        assert {a.status_code for a in crowd.post(bodies)} == {200}
    assert post(server, name, request("upsert", 99, 40), mode="upsert", key="id").ok
    stop.set()
    reader.join(60)
    assert not failures, failures[:5]
    assert acknowledged["append"] and acknowledged["upsert"]
    assert server.rows(
        f"SELECT split_part(who, ' ', 1) AS kind, count(*) AS c FROM {name} GROUP BY kind "
        "ORDER BY kind"
    ) == [
        {"kind": "append", "c": CROWD * 5},
        {"kind": "overwrite", "c": 20},
        {"kind": "upsert", "c": 40},
    ]


def test_sql_alters_and_drops_the_table_meanwhile(server, name):
    """Each request lands whole in the table that there is, or hears why not."""
    server.land(name, rows(0, 1))
    failures, acknowledged, stop = [], [], threading.Event()

    def send(client):
        for k in range(1, 10_000):
            if stop.is_set():
                return
            first = client * 1_000_000 + k * 10
            answer = post(server, name, ipc(rows(first, 3)))
            if answer.status_code == 200:
                acknowledged.append(first)
            elif answer.status_code not in (404, 409, 422):
                failures.append(f"{answer.status_code} {answer.text}")

    def sql(statement):
        for _ in range(200):
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    server.url + "/query",
                    data=statement,
                    headers={"Content-Type": "application/sql"},
                )
            if answer.status_code == 200:
                return
            assert answer.status_code == 409, answer.text
            time.sleep(0.01)
        raise AssertionError(f"{statement}: {answer.text}")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(send, client) for client in range(1, 6)]
        try:
            for k in range(4):  # no ALTER TYPE: DuckDB 1.5.5 loses rows (docs/guarantees.md)
                sql(f"ALTER TABLE {name} ADD COLUMN more{k} INTEGER")
                time.sleep(0.05)
                sql(f"ALTER TABLE {name} DROP COLUMN more{k}")
                time.sleep(0.05)
            altered = set(acknowledged)
            (there,) = server.rows(f"SELECT list(id) AS ids FROM {name}")
            lost = [i for first in altered for i in range(first, first + 3)]
            assert not set(lost) - set(there["ids"])
            sql(f"DROP TABLE {name}")
            time.sleep(0.1)
        finally:
            stop.set()
        for job in jobs:
            job.result()
    assert not failures, failures[:5]
    assert len(acknowledged) > 20
    server.land(name, rows(9_000_000, 3))
    found = server.rows(f"SELECT id // 10 AS k, count(*) AS n FROM {name} GROUP BY ALL")
    assert all(row["n"] == 3 for row in found), found


def test_connections_that_go_while_their_group_commits(server, name):
    """Each of them is there whole or not at all, and the others hear of nothing."""
    server.land(name, rows(0, 0))
    whole = []
    for attempt in range(3):
        leaving = [Connection(server) for _ in range(20)]
        first = 10_000 * (attempt + 1)
        with Crowd(server, 20) as crowd:
            bodies = [(f"/ingest/{name}", ipc(rows(first + 10 * k, 3))) for k in range(20)]
            for k, connection in enumerate(leaving):
                body = ipc(rows(first + 5000 + 10 * k, 4))
                request = f"POST /ingest/{name} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                request += f"Content-Type: {ARROW}\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.send(request.encode() + body)
                connection.reset()
            assert {a.status_code for a in crowd.post(bodies)} == {200}
    wait_until(lambda: metric(server, "arrowport_ingests_in_flight") == 0, "all are over")
    whole = server.rows(f"SELECT id // 10 AS k, count(*) AS n FROM {name} GROUP BY ALL")
    assert sum(row["n"] == 3 for row in whole) == 60
    assert {row["n"] for row in whole} <= {3, 4}


def test_a_name_that_is_no_table(server):
    with Crowd(server, 8) as crowd:
        answers = crowd.post([("/ingest/no_schema.t", ipc(rows(k, 1))) for k in range(8)])
    for answer in answers:
        problem(answer, 404, "no_schema")
