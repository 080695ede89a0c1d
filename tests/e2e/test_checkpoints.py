"""When the write-ahead log is folded into the database's file: by length, by age, at the end of a
server that is asked to end; never by `kill -9`, after which it is replayed."""

import pyarrow as pa
import pytest

from server import problem, wait_until

ROW = pa.table({"id": pa.array([1], pa.int64())})
ROWS = pa.table({"id": pa.array(range(2000), pa.int64())})


def wal(server):
    path = server.directory / "test.duckdb.wal"
    return path.stat().st_size if path.exists() else 0


def metric(server, name):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"there is no {name}")


def folded(server):
    return metric(server, 'arrowport_checkpoints_total{outcome="ok"}')


def test_a_clean_stop_leaves_no_log_and_a_kill_leaves_one_that_is_replayed(start):
    server = start()
    server.land("kept", ROW)
    assert wal(server) > 0
    assert metric(server, "arrowport_wal_bytes") == wal(server)
    server.kill()
    assert wal(server) > 0
    server = start()
    assert server.value("SELECT count(*) AS n FROM kept") == 1
    server.land("kept", ROW)
    server.stop()
    assert wal(server) == 0
    server = start()
    assert server.value("SELECT count(*) AS n FROM kept") == 2
    server.stop()


def test_a_log_that_is_long_is_folded_in(start):
    server = start(config="checkpoint_wal_bytes: 64KiB\ncheckpoint_interval_s: 0\n")
    server.land("kept", ROW)
    assert wal(server) > 0 and folded(server) == 0
    sent = 1
    while folded(server) == 0:
        sent += server.land("kept", ROWS)["rows"]
        assert sent < 2_000_000, "no checkpoint"
    wait_until(lambda: wal(server) < 65_536, "a log that is short again")
    assert metric(server, "arrowport_checkpoint_seconds_total") > 0
    assert server.value("SELECT count(*) AS n FROM kept") == sent
    server.kill()
    assert start().value("SELECT count(*) AS n FROM kept") == sent


def test_a_log_that_is_old_is_folded_in_and_the_settings_change_while_it_runs(start):
    server = start(config="checkpoint_interval_s: 0\n")
    server.land("kept", ROW)
    given = server.directory / "given.yaml"
    given.write_text("checkpoint_interval_s: 1\n")
    wait_until(lambda: wal(server) == 0, "a checkpoint by age")
    assert folded(server) == 1
    server.land("kept", ROW)
    wait_until(lambda: folded(server) == 2, "another one")
    given.write_text("checkpoint_interval_s: 0\ncheckpoint_wal_bytes: 64KiB\n")
    for _ in range(1000):  # 16 MiB of log, as it was before, is more
        server.land("kept", ROWS)
        if folded(server) > 2:
            break
    assert folded(server) > 2
    server.stop()


@pytest.mark.parametrize(
    "sql",
    [
        "SET checkpoint_threshold = '1TB'",
        "SET GLOBAL wal_autocheckpoint = '1TB'",
        "PRAGMA wal_autocheckpoint = '1TB'",
        "RESET checkpoint_threshold",
    ],
)
def test_sql_from_outside_sets_none_of_it(server, sql):
    problem(server.query(sql), 403)
