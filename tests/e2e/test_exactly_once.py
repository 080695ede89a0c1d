"""Idempotency-Key: a request that is repeated adds nothing, whenever and from wherever it comes
again. (Across `kill -9`, at random moments: test_crash.py.)"""

import base64
import concurrent.futures
import os
import pathlib
import threading
import time

import httpx
import pyarrow as pa
import pytest
import requests
from crowd import Crowd
from wire import Connection, ingest_head

from server import ARROW, ipc, problem, wait_until

REPLAYED = "Idempotent-Replayed"
BIG = 300_000


def numbers(first, count):
    return pa.table({"id": pa.array(range(first, first + count), pa.int64())})


def post(server, stream, data, token=None, session=None, **query):
    body = ipc(data, max_chunksize=50_000) if isinstance(data, pa.Table) else data
    headers = {"Content-Type": ARROW}
    if token is not None:
        headers["Idempotency-Key"] = token
    url = f"{server.url}/ingest/{stream}"
    client = session or server.session
    return client.post(url, data=body, params=query, headers=headers, timeout=60)


def post_json(server, stream, table, data, key=None, header=None):
    config = {"target_table": table}
    if key is not None:
        config["idempotency_key"] = key
    body = {"config": config, "batch": {"data": base64.b64encode(ipc(data)).decode()}}
    headers = {} if header is None else {"Idempotency-Key": header}
    return server.post(f"/stream/{stream}", json=body, headers=headers)


def first(answer):
    assert answer.status_code == 200, answer.text
    assert REPLAYED not in answer.headers
    return answer.json()


def again(answer, told=None):
    """A repeated request: it says so, and answers as the first one did."""
    assert answer.status_code == 200, answer.text
    assert answer.headers[REPLAYED] == "true"
    body = answer.json()
    if told is not None:
        assert {**body, "duration_ms": 0} == {**told, "duration_ms": 0}
    return body


def count(server, table):
    return server.value(f"SELECT count(*) AS n FROM {table}")


def at_once(clients, work):
    """`work(k, session)` of so many clients that begin together."""
    barrier = threading.Barrier(clients)

    def one(k):
        with requests.Session() as session:
            session.trust_env = False
            barrier.wait(60)
            return work(k, session)

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, range(clients)))


def until_it_lands(server, *args, **options):
    """As a client does: 409 means that the other one has not ended."""
    for _ in range(100):
        answer = post(server, *args, **options)
        if answer.status_code != 409:
            return answer
        assert int(answer.headers["Retry-After"]) <= 60
        time.sleep(0.1)
    raise AssertionError(answer.text)


# ---- one after the other


@pytest.mark.asan
@pytest.mark.parametrize("rows", [1, 200, BIG])
def test_the_same_request_twice_adds_its_rows_once(server, name, rows):
    data = numbers(0, rows)
    told = first(post(server, name, data, "key"))
    assert told["rows"] == rows
    for _ in range(2):
        again(post(server, name, data, "key"), told)
    assert count(server, name) == rows
    first(post(server, name, data, "another"))
    first(post(server, name, data))
    assert count(server, name) == 3 * rows


def test_a_request_without_rows_is_remembered_too(server, name):
    told = first(post(server, name, numbers(0, 0), "none"))
    assert told["rows"] == 0
    again(post(server, name, numbers(0, 0), "none"), told)


@pytest.mark.asan
def test_the_same_key_with_other_rows_is_refused(server, name):
    first(post(server, name, numbers(0, 10), "key"))
    for rows in (9, 11, 0, BIG):
        answer = post(server, name, numbers(100, rows), "key")
        problem(answer, 422, "landed before", "10 rows", str(rows))
    assert count(server, name) == 10
    again(post(server, name, numbers(0, 10), "key"))


@pytest.mark.asan
def test_keys_that_are_none(server, name):
    for key in ("", "x" * 256, "two words", "tab\tin it", "\x7f", "caf\xe9", b"\xff\xfe"):
        answer = post(server, name, numbers(0, 1), key)
        assert answer.status_code == 400, (key, answer.text)
    assert not server.has_table(name)


def test_keys_may_be_anything_visible(server, name):
    keys = ["x", "x" * 255, '"quoted"', "';DROP/**/TABLE/**/t;--"]
    keys += ["".join(map(chr, range(33, 127)))]
    keys += ["X", "%00", "\\x1f", "x" * 254]
    for k, key in enumerate(keys):
        first(post(server, name, numbers(k, 1), key))
    for k, key in enumerate(keys):
        again(post(server, name, numbers(k, 1), key))
    assert count(server, name) == len(keys)


def test_a_table_has_its_own_keys(server, name):
    for table in (f"{name}_a", f"{name}_b"):
        first(post(server, table, numbers(0, 3), "key"))
        again(post(server, table, numbers(0, 3), "key"))
        assert count(server, table) == 3


def test_streams_of_one_table_share_its_keys(start):
    server = start(config="streams: {one: {target_table: t}, two: {target_table: T}}\n")
    told = first(post(server, "one", numbers(0, 3), "key"))
    for stream in ("two", "t", "main.t", "T", '"T"'):
        body = again(post(server, requests.utils.quote(stream), numbers(0, 3), "key"))
        assert (body["stream"], body["rows"]) == (stream, told["rows"])
    assert count(server, "t") == 3


@pytest.mark.parametrize("mode", ["overwrite", "upsert", "merge"])
def test_a_key_in_every_mode(server, name, mode):
    query = {"mode": mode} | ({} if mode == "overwrite" else {"key": "id"})
    old = numbers(0, 5).append_column("v", pa.array(["old"] * 5))
    new = numbers(0, 5).append_column("v", pa.array(["new"] * 5))
    first(post(server, name, old))
    told = first(post(server, name, old, "old", **query))
    first(post(server, name, new, "new", **query))
    again(post(server, name, old, "old", **query), told)
    assert server.rows(f"SELECT count(*) AS n, min(v) AS a, max(v) AS b FROM {name}") == [
        {"n": 5, "a": "new", "b": "new"}
    ]


def test_a_failed_request_leaves_its_key_free(server, name):
    server.rows(f"CREATE TABLE {name} (id BIGINT NOT NULL, n TINYINT)")
    wrong = {
        "NULL": pa.table({"id": pa.array([1, None], pa.int64())}),
        "range": pa.table({"id": pa.array([1, 2], pa.int64()), "n": [1, 1000]}),
        "schema": pa.table({"id": pa.array([1, 2], pa.int64()), "other": [1, 2]}),
        "bytes": ipc(numbers(0, 2))[:-9],
    }
    for kind, data in wrong.items():
        assert post(server, name, data, kind).status_code in (400, 422)
    for kind in wrong:
        told = first(post(server, name, numbers(5, 3), kind))  # corrected, also in its number
        again(post(server, name, numbers(5, 3), kind), told)
    assert count(server, name) == 3 * len(wrong)


def test_a_new_table_of_an_old_name(server, name):
    """The key belongs to a load that landed. What became of the table afterwards is not the
    client's to know: its retry must not bring the rows back."""
    first(post(server, name, numbers(0, 3), "key"))
    server.rows(f"DROP TABLE {name}")
    server.rows(f"CREATE TABLE {name} (id BIGINT)")
    again(post(server, name, numbers(0, 3), "key"))
    assert count(server, name) == 0


# ---- POST /stream


@pytest.mark.asan
def test_the_other_door_takes_keys_as_a_member_and_as_a_header(server, name):
    first(post_json(server, name, name, numbers(0, 3), key="member"))
    first(post_json(server, name, name, numbers(0, 3), header="header"))
    for options in ({"key": "member"}, {"header": "header"}, {"key": "header"}):
        again(post_json(server, name, name, numbers(0, 3), **options))
    again(post(server, name, numbers(0, 3), "member"))  # a table's keys, whatever the door
    again(post_json(server, name, name, numbers(0, 3), key="member", header="member"))
    answer = post_json(server, name, name, numbers(0, 3), key="member", header="header")
    assert answer.status_code == 400 and set(answer.json()) == {"detail"}
    for key in ("", "x" * 256, "two words", "\u0000", "ä", 5):
        answer = post_json(server, name, name, numbers(0, 3), key=key)
        assert answer.status_code == 400, answer.text
        assert "idempotency" in answer.json()["detail"]
    assert count(server, name) == 6


# ---- at once


@pytest.mark.asan
@pytest.mark.parametrize("rows", [10, BIG])
@pytest.mark.parametrize("clients", [2, 16])
def test_the_same_request_from_several_clients_at_once(server, name, rows, clients):
    data = ipc(numbers(0, rows), max_chunksize=50_000)
    rounds = 5 if rows == 10 else 1
    for k in range(rounds):
        answers = at_once(
            clients, lambda _, session, k=k: until_it_lands(server, name, data, f"{k}", session)
        )
        assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
        assert sum(REPLAYED not in a.headers for a in answers) == 1
        assert {a.json()["rows"] for a in answers} == {rows}
    assert count(server, name) == rounds * rows


def test_the_same_request_many_times_on_one_connection(server, name):
    """HTTP/2: they are in one group."""
    with httpx.Client(http1=False, http2=True, base_url=server.url, trust_env=False) as client:
        body = ipc(numbers(0, 7))
        headers = {"Content-Type": ARROW, "Idempotency-Key": "key"}

        def send(_):
            return client.post(f"/ingest/{name}", content=body, headers=headers, timeout=60)

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(send, range(48)))
    assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
    assert sum(REPLAYED not in a.headers for a in answers) == 1
    assert count(server, name) == 7


@pytest.mark.parametrize("rows", [10, BIG])
def test_when_the_first_of_them_fails_another_one_lands(server, name, rows):
    """The first one's body comes slowly, holds the key, and ends in a wrong way."""
    server.land(name, numbers(0, 0))
    good = ipc(numbers(0, rows), max_chunksize=10_000)
    for k, ending in enumerate(("vanish", "truncated", "broken")):
        with Connection(server) as slow:
            wrong = good[:-8] + (b"broken!!" if ending == "broken" else b"")
            length = len(good) if ending != "truncated" else len(wrong)
            fields = (f"Idempotency-Key: {k}", f"Content-Length: {length}")
            slow.send(ingest_head(server, name, *fields) + wrong[: len(wrong) // 2])
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                other = pool.submit(until_it_lands, server, name, good, f"{k}")
                time.sleep(0.05)
                slow.send(wrong[len(wrong) // 2 :])
                if ending == "vanish":
                    slow.reset()
                else:
                    assert slow.answer().status_code in (400, 413)
                assert other.result().status_code == 200
        assert count(server, name) == rows * (k + 1)
        again(post(server, name, good, f"{k}"))


def test_two_that_differ_meet(server, name):
    """One of them lands; the other hears that the key is taken."""
    for k in range(5):
        answers = at_once(
            2,
            lambda c, session, k=k: until_it_lands(
                server, name, numbers(0, 5 + c), f"{k}", session
            ),
        )
        assert sorted(a.status_code for a in answers) == [200, 422], [a.text for a in answers]
    assert 25 <= count(server, name) <= 30


# ---- clients that vanish, servers that end


@pytest.mark.asan
@pytest.mark.parametrize("rows", [10, BIG])
def test_a_client_that_never_reads_its_answer_and_repeats(server, name, rows):
    body = ipc(numbers(0, rows), max_chunksize=50_000)
    rounds = 10 if rows == 10 else 3
    for k in range(rounds):
        with Connection(server) as connection:
            fields = (f"Idempotency-Key: {k}", f"Content-Length: {len(body)}")
            connection.send(ingest_head(server, name, *fields) + body)
            connection.reset()
        assert until_it_lands(server, name, body, f"{k}").status_code == 200
    assert count(server, name) == rounds * rows


@pytest.mark.asan
def test_keys_outlive_the_server(start):
    server = start()
    told = {}
    for k, rows in enumerate((1, 100, BIG)):
        told[k] = first(post(server, "t", numbers(0, rows), f"{k}"))
    for end in (server.stop, None):
        if end is None:
            server.kill()
        else:
            end()
        server = start()
        for k, rows in enumerate((1, 100, BIG)):
            again(post(server, "t", numbers(0, rows), f"{k}"), told[k])
        problem(post(server, "t", numbers(0, 2), "0"), 422, "landed before")
    assert count(server, "t") == 101 + BIG


def test_a_kill_before_the_answer_and_a_retry(start):
    """The body is whole, and the server is gone before anybody knows."""
    body = ipc(numbers(0, BIG), max_chunksize=20_000)
    server = start()
    for k in range(6):
        with Connection(server) as connection:
            fields = (f"Idempotency-Key: {k}", f"Content-Length: {len(body)}")
            connection.send(ingest_head(server, "t", *fields) + body)
            time.sleep(0.03 * k)
            server.kill()
        server = start()
        assert post(server, "t", body, f"{k}").status_code == 200
        assert count(server, "t") == BIG * (k + 1)


# ---- how long, how many


def test_the_oldest_keys_are_forgotten_when_there_are_too_many(start):
    server = start(config="tokens_max: 1000\n")
    body = ipc(numbers(0, 1))
    first(post(server, "t", body, "first"))
    with Crowd(server, 60) as crowd:
        for k in range(20):
            keys = [f"Idempotency-Key: {k}/{i}" for i in range(60)]
            answers = crowd.post([("/ingest/t", body, key) for key in keys])
            assert {a.status_code for a in answers} == {200}
    assert count(server, "t") == 1201
    again(post(server, "t", body, "19/59"))
    wait_until(
        lambda: REPLAYED not in post(server, "t", body, "first").headers, "the oldest are forgotten"
    )
    again(post(server, "t", body, "19/59"))
    assert count(server, "t") == 1202


# ---- what SQL sees of it


def test_the_table_of_the_keys_is_not_in_the_way(start):
    server = start()
    first(post(server, "t", numbers(0, 3), "key"))
    names = [table["name"] for table in server.get("/tables").json()["tables"]]
    assert names == ["t"], names
    answer = post(server, "_arrowport.tokens", numbers(0, 1))
    assert 400 <= answer.status_code < 500, answer.text
    again(post(server, "t", numbers(0, 3), "key"))
    server.stop()
    assert pathlib.Path(server.directory / "test.duckdb").is_file()
    assert not [n for n in os.listdir(server.directory) if "token" in n]
