"""/query: large results, slow readers, readers that vanish, statements that take too long."""

import concurrent.futures
import json
import time

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from wire import Connection, head

from server import ARROW, problem, read_arrow, wait_until

MILLION = "SELECT i AS id, i * 0.5 AS half, 'row ' || i AS word FROM range(1000000) t(i)"
ENDLESS = (
    "SELECT count(*) FROM range(10000000000) a, range(10000000000) b WHERE a.range = b.range + 1"
)
# Rows without end: the first ones come at once.
FOUNTAIN = "SELECT i AS id, 'row ' || i AS word FROM range(1000000000000) t(i)"


def start_query(server, sql, accept):
    connection = Connection(server)
    body = sql.encode()
    connection.send(
        head(
            server,
            "POST",
            "/query",
            "Content-Type: application/sql",
            f"Accept: {accept}",
            f"Content-Length: {len(body)}",
        )
        + body
    )
    return connection


def read_head(connection):
    status = connection.reader.readline()
    while connection.reader.readline() != b"\r\n":
        pass
    return int(status.split()[1])


def running(server):
    """Statements that the engine works on show as processor time of the process."""
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    time.sleep(0.3)
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system > 0.1


def test_a_million_rows_arrive_whole_in_every_form(server):
    table = server.arrow(MILLION)
    assert table.num_rows == 1_000_000
    assert pc.sum(table["id"]).as_py() == 999_999 * 500_000
    assert table["word"][999_999].as_py() == "row " + str(table["id"][999_999].as_py())
    answer = server.query(MILLION, accept="application/x-ndjson")
    lines = answer.content.splitlines()
    assert len(lines) == 1_000_000
    assert sum(json.loads(line)["id"] for line in lines) == 999_999 * 500_000
    assert server.query(MILLION, accept="text/csv").content.count(b"\r\n") == 1_000_001
    assert len(server.query(MILLION).json()) == 1_000_000


def test_arrow_batches_are_large_enough_to_be_worth_it(server):
    answer = server.query(MILLION, accept=ARROW)
    with pa.ipc.open_stream(answer.content) as reader:
        sizes = [batch.num_rows for batch in reader]
    assert sum(sizes) == 1_000_000
    assert all(size >= 65_536 for size in sizes[:-1]), sizes


def test_ordered_results_arrive_in_order(server):
    table = server.arrow(MILLION + " ORDER BY id DESC")
    assert table["id"].to_pylist() == list(range(999_999, -1, -1))


def test_a_slow_reader_gets_everything_and_holds_up_nobody(server):
    connection = start_query(server, MILLION + " ORDER BY id", ARROW)
    connection.socket.settimeout(60)
    # Nothing is read while others are served: the answer waits in bounded buffers.
    for _ in range(20):
        assert server.value("SELECT 1 AS a") == 1
    answer = connection.answer()
    connection.close()
    assert answer.status_code == 200
    assert read_arrow(answer.content)["id"].to_pylist() == list(range(1_000_000))


def test_an_unread_result_does_not_pile_up_in_memory(start):
    server = start()
    server.value("SELECT 1 AS a")
    before = psutil.Process(server.process.pid).memory_info().rss
    connection = start_query(server, FOUNTAIN, ARROW)
    assert read_head(connection) == 200
    wait_until(lambda: not running(server), "a statement whose answer nobody reads pauses")
    after = psutil.Process(server.process.pid).memory_info().rss
    assert after - before < 300 << 20
    assert server.value("SELECT 1 AS a") == 1
    connection.close()
    wait_until(lambda: not running(server), "the statement of a reader that is gone ends")


@pytest.mark.parametrize("accept", [ARROW, "application/json", "text/csv"])
def test_a_reader_that_vanishes_ends_its_statement(start, accept):
    server = start()
    for goodbye in (Connection.close, Connection.reset):
        connection = start_query(server, FOUNTAIN, accept)
        assert read_head(connection) == 200
        assert connection.reader.read(100_000)
        goodbye(connection)
    wait_until(lambda: not running(server), "statements of readers that are gone end")
    assert server.value("SELECT 1 AS a") == 1


def test_a_client_that_vanishes_before_its_answer_ends_its_statement(start):
    server = start()
    connection = start_query(server, ENDLESS, ARROW)
    wait_until(lambda: running(server), "the statement works")
    connection.reset()
    wait_until(lambda: not running(server), "the statement of a client that is gone ends")
    assert server.value("SELECT 1 AS a") == 1


def test_a_statement_that_takes_too_long_is_ended(start):
    server = start(config="query_timeout_s: 1\n")
    problem(server.query(ENDLESS), 504)
    wait_until(lambda: not running(server), "the statement ends")
    assert server.value("SELECT 1 AS a") == 1


def test_a_write_that_takes_too_long_changes_nothing(start):
    server = start(config="query_timeout_s: 1\n")
    server.rows("CREATE TABLE t (n BIGINT)")
    problem(server.query(f"INSERT INTO t VALUES (1); INSERT INTO t {ENDLESS}"), 504)
    assert server.value("SELECT count(*) AS n FROM t") == 0


def test_an_error_after_the_first_rows_breaks_the_answer_off(server):
    """The status line has long been sent: only a missing end can tell."""
    sql = "SELECT CASE WHEN i < 900000 THEN i ELSE error('late') END AS n FROM range(1000000) t(i)"
    connection = start_query(server, sql, "application/x-ndjson")
    try:
        answer = connection.answer()
    except Exception as error:  # http.client: IncompleteRead
        assert "IncompleteRead" in type(error).__name__, error
    else:
        problem(answer, 400, "late")
    connection.close()
    assert server.value("SELECT 1 AS a") == 1


def test_many_queries_at_once_are_all_answered(server):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        values = list(
            pool.map(
                lambda k: server.value(f"SELECT sum(i + {k})::BIGINT AS s FROM range(100000) t(i)"),
                range(64),
            )
        )
    assert values == [99_999 * 50_000 + 100_000 * k for k in range(64)]


def test_queries_answer_while_streams_land(server, name, flights):
    from server import ipc

    body = ipc(flights, max_chunksize=10_000)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(server.land, name, body) for _ in range(1)]
        asked = [
            pool.submit(server.value, "SELECT sum(i)::BIGINT AS s FROM range(1000) t(i)")
            for _ in range(50)
        ]
        assert all(job.result() == 499_500 for job in asked)
        for job in loads:
            job.result()
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 200_000
