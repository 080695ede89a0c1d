"""A database that cannot be written: the request says so, nothing of it remains, and the
server goes on."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import threading

import numpy as np
import pyarrow as pa
import pytest
import requests

from server import ROOT, StartFailed, ipc, problem, run, wait_until

ROW = pa.table({"id": pa.array([1], pa.int64())})


def noise(rows):
    """Rows that no compression makes smaller: 32 bytes each."""
    numbers = np.random.default_rng(7)
    return pa.table(
        {c: pa.array(numbers.integers(-(2**63), 2**63 - 1, rows), pa.int64()) for c in "abcd"}
    )


# ---- a disk that is full


class SmallDisk:
    """A folder on which few bytes fit, and how to make room: a small tmpfs where this
    process may mount one, else a limit on the size of the server's files."""

    def __init__(self, path):
        self.path = path
        self.path.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)]
        self.mounted = (
            os.geteuid() == 0
            and shutil.which("mount") is not None
            and subprocess.run(mount, capture_output=True).returncode == 0
        )
        self.server = None

    def limit(self):
        """What the server does before it starts, where there is no small disk."""
        if self.mounted:
            return None

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, resource.RLIM_INFINITY))

        return small_files

    def make_room(self):
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,size=512m", str(self.path)], check=True)
        else:
            resource.prlimit(
                self.server.process.pid,
                resource.RLIMIT_FSIZE,
                (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
            )

    def close(self):
        if self.mounted:
            subprocess.run(["umount", str(self.path)], check=True)


@pytest.fixture
def small_disk(tmp_path, start):
    disk = SmallDisk(tmp_path / "disk")
    disk.server = start(db="disk/small.duckdb", preexec_fn=disk.limit())
    yield disk
    disk.server.kill()
    disk.close()


def test_a_full_disk_refuses_a_load_whole_and_recovers(small_disk, start):
    server = small_disk.server
    server.land("kept", ROW)
    body = ipc(noise(1_500_000), max_chunksize=65_536)  # 48 MB
    for _ in range(2):
        problem(server.ingest("big", body), 507)
        assert server.get("/healthz").status_code == 200
        assert server.rows("SELECT * FROM kept") == [{"id": 1}]
        assert not server.has_table("big")
    small_disk.make_room()
    assert server.land("big", body)["rows"] == 1_500_000
    assert server.value("SELECT count(*) AS n FROM big") == 1_500_000
    server.land("kept", ROW)
    server.stop()
    small_disk.server = again = start(db="disk/small.duckdb")
    assert again.value("SELECT count(*) AS n FROM big") == 1_500_000
    assert again.value("SELECT count(*) AS n FROM kept") == 2
    again.stop()


def test_a_full_disk_refuses_sql_that_writes_and_recovers(small_disk):
    server = small_disk.server
    server.land("kept", ROW)
    problem(
        server.query(
            "CREATE TABLE big AS SELECT hash(i) AS a, hash(i + 1) AS b, hash(i + 2) AS c "
            "FROM range(2000000) t(i)"
        ),
        507,
    )
    assert not server.has_table("big")
    assert server.rows("SELECT * FROM kept") == [{"id": 1}]
    small_disk.make_room()
    server.rows("CREATE TABLE big AS SELECT hash(i) AS a FROM range(2000000) t(i)")
    assert server.value("SELECT count(*) AS n FROM big") == 2_000_000


class Clients(threading.Thread):
    """Posts loads of `rows` rows, one after the other, until told to stop or `count` are sent."""

    def __init__(self, server, number, rows, count):
        super().__init__()
        self.url, self.number, self.rows, self.count = server.url, number, rows, count
        self.kept, self.codes, self.failure = [], set(), None

    def run(self):
        session = requests.Session()
        session.trust_env = False
        numbers = np.random.default_rng(self.number)
        try:
            for i in range(self.count):
                load = self.number * 1_000_000 + i
                values = pa.array(numbers.integers(-(2**63), 2**63 - 1, self.rows), pa.int64())
                table = pa.table({"load": pa.array([load] * self.rows, pa.int64()), "v": values})
                answer = session.post(
                    f"{self.url}/ingest/filled",
                    data=ipc(table),
                    headers={"Content-Type": "application/vnd.apache.arrow.stream"},
                    timeout=120,
                )
                self.codes.add(answer.status_code)
                if answer.status_code == 200:
                    self.kept.append((load, self.rows))
        except Exception as error:  # told by the test's thread
            self.failure = error


def all_of(clients):
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
        assert not client.is_alive()
        assert client.failure is None, client.failure


def check_filled(server, clients):
    """Exactly what was acknowledged, each whole and once."""
    there = {
        row["load"]: row["n"]
        for row in server.rows("SELECT load, count(*) AS n FROM filled GROUP BY ALL")
    }
    assert there == dict(kept for client in clients for kept in client.kept)


def test_many_clients_fill_a_disk_and_go_on_when_there_is_room(small_disk, start):
    """Small loads side by side, from room to none; a large one among them at the end."""
    server = small_disk.server
    clients = [Clients(server, i, 2000, 24) for i in range(1, 33)]  # 24 MB of values
    all_of(clients)
    assert server.alive()
    codes = set().union(*(client.codes for client in clients))
    assert 507 in codes and 200 in codes
    assert codes <= {200, 507, 503}
    check_filled(server, clients)

    innocent = [Clients(server, i, 5, 4) for i in range(41, 49)]
    guilty = Clients(server, 60, 1_000_000, 1)
    all_of([guilty, *innocent])
    assert guilty.codes <= {507, 503}
    assert set().union(*(client.codes for client in innocent)) <= {200, 507, 503}
    clients += [guilty, *innocent]
    check_filled(server, clients)

    small_disk.make_room()
    later = [Clients(server, i, 5, 4) for i in range(71, 75)]
    wait_until(lambda: server.ingest("room", ROW).status_code == 200, "a load once there is room")
    all_of(later)
    assert set().union(*(client.codes for client in later)) == {200}
    check_filled(server, clients + later)
    server.kill()
    small_disk.server = again = start(db="disk/small.duckdb")
    check_filled(again, clients + later)
    again.stop()


# ---- a database that may only be read


def without_override():
    """Root ignores the permissions of files, unless this capability is dropped."""
    if os.geteuid() == 0:
        PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
        if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
            raise OSError("CAP_DAC_OVERRIDE cannot be dropped")


def test_a_read_only_database_takes_no_rows_and_answers_questions(start, tmp_path):
    first = start()
    first.land("kept", ROW)
    first.stop()
    path = tmp_path / "test.duckdb"
    before = path.read_bytes()
    path.chmod(0o444)
    server = start(preexec_fn=without_override)
    problem(server.ingest("kept", ROW), 503, "read")
    problem(server.ingest("other", ROW), 503, "read")
    problem(server.query("INSERT INTO kept VALUES (2)"), 503, "read")
    problem(server.query("CREATE TABLE other (a INTEGER)"), 503, "read")
    assert server.rows("SELECT * FROM kept") == [{"id": 1}]
    assert [t["name"].split(".")[-1] for t in server.get("/tables").json()["tables"]] == ["kept"]
    server.stop()
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_at_start(tmp_path, start):
    (tmp_path / "test.duckdb").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StartFailed) as failed:
        start()
    assert failed.value.code not in (0, None) and failed.value.code > 0
    assert "test.duckdb" in failed.value.stderr


def test_a_folder_that_cannot_be_is_refused_at_start(tmp_path, start):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartFailed) as failed:
        start(db="file/below.duckdb")
    assert failed.value.code > 0
    assert "below.duckdb" in failed.value.stderr or "file" in failed.value.stderr


def test_missing_folders_above_the_database_are_made(tmp_path, start):
    server = start(db="new/folders/test.duckdb")
    server.land("kept", ROW)
    assert (tmp_path / "new" / "folders" / "test.duckdb").exists()


def test_two_servers_do_not_share_a_file(start, tmp_path):
    first = start()
    first.land("kept", ROW)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(StartFailed) as failed:
        start(directory=other, db=str(tmp_path / "test.duckdb"))
    assert failed.value.code > 0
    assert "test.duckdb" in failed.value.stderr
    assert first.rows("SELECT * FROM kept") == [{"id": 1}]


# ---- a database from elsewhere


def test_a_database_that_duckdb_made_is_served_and_given_back(start, tmp_path):
    import duckdb

    with duckdb.connect(str(tmp_path / "test.duckdb")) as own:
        own.execute("CREATE TABLE theirs AS SELECT i AS id FROM range(1000) t(i)")
    server = start()
    assert server.value("SELECT sum(id)::BIGINT AS s FROM theirs") == 499_500
    server.land("theirs", pa.table({"id": pa.array([1000], pa.int64())}))
    server.stop()
    with duckdb.connect(str(tmp_path / "test.duckdb"), read_only=True) as own:
        assert own.sql("SELECT count(*) FROM theirs").fetchone() == (1001,)


def test_rows_survive_a_restart(start, flights):
    first = start()
    first.land("flights", flights)
    first.stop()
    assert start().value("SELECT count(*) AS n FROM flights") == 200_000


def test_the_clone_is_left_clean(tmp_path):
    """Nothing is written beside the database and where a test asked for it."""
    before = set(os.listdir(ROOT))
    assert run("version", cwd=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert set(os.listdir(ROOT)) == before
