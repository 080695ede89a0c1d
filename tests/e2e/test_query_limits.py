"""Limits of /query, its line, and what becomes of statements whose clients go away."""

import socket
import threading
import time

import pytest
import requests

from server import ARROW, problem, wait_until

PARQUET = "application/vnd.apache.parquet"
LONG = "SELECT count(*) FROM range(100000000000) t(a) WHERE a % 7 = 3"


def post(server, sql, query="", accept="application/json", **options):
    return requests.post(
        server.url + "/query" + query,
        data=sql.encode(),
        headers={"Content-Type": "application/sql", "Accept": accept},
        timeout=options.pop("timeout", 60),
        **options,
    )


def ask(server, sql):
    """A request whose client reads nothing: the socket."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = (
        f"POST /query HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\naccept: {ARROW}\r\n"
        f"content-type: application/sql\r\ncontent-length: {len(sql)}\r\n\r\n"
    )
    connection.sendall((head + sql).encode())
    return connection


def running(server):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith("arrowport_queries_running "):
            return float(line.split()[1])
    raise AssertionError("no arrowport_queries_running in /metrics")


def memory_free(server):
    """What the engine holds for statements that have ended: nothing."""
    return server.value(
        "SELECT coalesce(sum(temporary_storage_bytes), 0)::BIGINT AS n FROM duckdb_memory()"
    )


@pytest.mark.parametrize("accept", [ARROW, "application/json", "text/csv", PARQUET])
def test_too_many_rows_are_an_error_that_names_the_limit(start, accept):
    server = start(config="query: {rows_max: 1000}\n")
    sql = "SELECT range AS a FROM range({})"
    assert post(server, sql.format(1000), accept=accept).status_code == 200
    problem(post(server, sql.format(1001), accept=accept), 413, "1000 rows", "query.rows_max")
    problem(post(server, sql.format(20), "?rows_max=19", accept=accept), 413, "rows_max", "19")
    assert post(server, sql.format(19), "?rows_max=19", accept=accept).status_code == 200
    problem(post(server, sql.format(1001), "?rows_max=2000", accept=accept), 413, "query.rows_max")


def test_too_many_rows_that_show_late_break_the_answer_off(start):
    server = start(config="query: {rows_max: 500000}\n")
    with pytest.raises(requests.exceptions.RequestException):
        post(server, "SELECT range, repeat('x', 50) FROM range(2000000)")
    assert len(post(server, "SELECT range AS a FROM range(500000)").json()) == 500000


@pytest.mark.parametrize("accept", [ARROW, "text/csv", PARQUET])
def test_too_many_bytes_are_an_error_that_names_the_setting(start, accept):
    server = start(config="query: {bytes_max: 20000}\n")
    sql = "SELECT md5(range::VARCHAR) AS a FROM range({})"
    assert post(server, sql.format(100), accept=accept).status_code == 200
    problem(post(server, sql.format(100000), accept=accept), 413, "20000 bytes", "query.bytes_max")


def test_a_change_whose_answer_is_too_large_is_undone(start):
    server = start(config="query: {rows_max: 10}\n")
    server.rows("CREATE TABLE t (a BIGINT)")
    problem(post(server, "INSERT INTO t FROM range(20) RETURNING a"), 413, "rows_max")
    assert server.value("SELECT count(*) AS n FROM t") == 0
    assert len(post(server, "INSERT INTO t FROM range(10) RETURNING a").json()) == 10
    assert server.value("SELECT count(*) AS n FROM t") == 10


@pytest.mark.parametrize(
    "query", ["rows_max=0", "rows_max=x", "timeout_s=-1", "timeout_s=", "compression=fast"]
)
def test_a_parameter_that_is_none_is_named(server, query):
    problem(post(server, "SELECT 1", "?" + query), 400, query)


@pytest.mark.parametrize("accept", [ARROW, PARQUET])
def test_a_request_may_allow_less_time(server, accept):
    begun = time.monotonic()
    problem(post(server, LONG, "?timeout_s=1", accept=accept), 504, "time")
    assert time.monotonic() - begun < 30


def test_a_slow_reader_is_not_timed_out_by_the_statements_time(start):
    server = start(args=("--query-timeout-s", "2"))
    connection = ask(server, "SELECT range AS a, repeat('x', 100) AS b FROM range(1000000)")
    time.sleep(5)
    size = 0
    connection.settimeout(60)
    while data := connection.recv(1 << 20):
        size += len(data)
        if data.endswith(b"0\r\n\r\n"):
            break
    connection.close()
    assert size > 100_000_000


def test_statements_beyond_the_limit_wait_for_their_turn(start):
    server = start(config="query: {concurrent_max: 1}\n")
    server.rows("CREATE TABLE t (a BIGINT)")
    first = ask(server, LONG)
    wait_until(lambda: running(server) == 1, "the first statement runs")
    waiting = []
    for i in range(3):
        waiting.append(ask(server, f"INSERT INTO t VALUES ({i})"))
        time.sleep(0.3)
    waiting[1].close()  # its client goes away while it waits
    time.sleep(1.5)
    assert running(server) == 1
    problem(post(server, "SELECT 1", "?timeout_s=1"), 504, "turn", "query.concurrent_max")
    first.close()
    for connection in (waiting[0], waiting[2]):
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()
    assert [row["a"] for row in server.rows("SELECT a FROM t ORDER BY rowid")] == [0, 2]


@pytest.mark.parametrize(
    "sql",
    [
        LONG,
        "SELECT a, count(*) FROM range(100000000000) t(a) GROUP BY a % 3, a HAVING a < 0",
        "SELECT range FROM range(100000000000) WHERE range < 0",
        "SELECT range AS a, repeat('x', 100) AS b FROM range(100000000000)",
    ],
)
def test_the_engine_is_free_when_a_client_has_gone(start, sql):
    server = start(config="query: {concurrent_max: 1}\nmemory_limit: 256MB\n")
    for _ in range(2):
        connection = ask(server, sql)
        wait_until(lambda: running(server) == 1, "the statement runs")
        time.sleep(0.5)
        connection.close()
        assert post(server, "SELECT 1 AS a", timeout=60).json() == [{"a": 1}]
    wait_until(lambda: running(server) == 0, "nothing runs")
    assert memory_free(server) == 0
    assert server.value("SELECT count(*) AS n FROM duckdb_temporary_files()") == 0


def test_a_parquet_answer_is_given_up_when_its_client_goes(start):
    server = start(config="query: {concurrent_max: 1}\n")
    connection = socket.create_connection(("127.0.0.1", server.port))
    sql = "SELECT range AS a FROM range(100000000000)"
    connection.sendall(
        (
            f"POST /query HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\naccept: {PARQUET}\r\n"
            f"content-type: application/sql\r\ncontent-length: {len(sql)}\r\n\r\n{sql}"
        ).encode()
    )
    wait_until(lambda: running(server) == 1, "the statement runs")
    time.sleep(0.5)
    connection.close()
    assert post(server, "SELECT 1 AS a").json() == [{"a": 1}]


def test_statements_end_when_the_time_to_drain_is_over(start):
    server = start(args=("--drain-timeout-s", "1"), config="query: {concurrent_max: 1}\n")
    connections = [ask(server, LONG) for _ in range(3)]
    wait_until(lambda: running(server) == 1, "a statement runs")
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 25
    for connection in connections:
        connection.close()


def test_many_statements_at_once_are_all_answered(start):
    server = start(config="query: {concurrent_max: 2}\n")
    answers = []

    def one(i):
        answers.append(post(server, f"SELECT {i} AS a, count(*) AS n FROM range(100000)").json())

    threads = [threading.Thread(target=one, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a[0]["a"] for a in answers) == list(range(40))
