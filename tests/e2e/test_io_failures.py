"""Every call of a commit and of a checkpoint made to fail in turn: what is acknowledged is there
whole, once, also after `kill -9`; what is refused is not; what is not known is called so; and the
server goes on without a restart. docs/internals/commit-failures.md has the table."""

import copy
import errno
import itertools
import threading
import time

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import requests
from io_fail import CHANGES, FOREVER, KINDS, IoFail
from wire import Connection, chunk, ingest_head

from server import ARROW, ipc, problem, wait_until

NO_TRUNCATE = CHANGES & ~KINDS["truncate"]  # a log that cannot be cut off ends the process
# how it fails: the error, how often from there on, whether half of a write fits
FAULTS = (
    (errno.EIO, 1, False),
    (errno.ENOSPC, 1, False),
    (errno.ENOSPC, FOREVER, True),
)


def rows_of(request, count):
    numbers = pa.array(range(count), pa.int64())
    words = pc.binary_join_element_wise(str(request), numbers.cast(pa.string()), ".")
    return pa.table(
        {"request": pa.array([request] * count, pa.int64()), "row": numbers, "word": words}
    )


class Ledger:
    """What each request was told, and whether the table says the same."""

    def __init__(self, rows):
        self.rows = rows
        self.sizes = {}
        self.numbers = itertools.count(1)
        self.kept, self.refused, self.unknown = set(), set(), set()

    def send(self, server, query="", rows=None):
        request = next(self.numbers)
        self.sizes[request] = rows or self.rows
        table = rows_of(request, self.sizes[request])
        answer = server.ingest("ledger", table, query=query)
        if answer.status_code == 200:
            assert answer.json()["rows"] == table.num_rows
            self.kept.add(request)
        elif answer.status_code == 500:
            assert problem(answer, 500, "not known")["code"] == "UNKNOWN"
            self.unknown.add(request)
        else:
            assert answer.status_code in (507, 503), answer.text
            if answer.status_code == 503:
                assert int(answer.headers["Retry-After"]) > 0
            self.refused.add(request)
        return answer.status_code

    def check(self, server):
        there = set()
        for row in server.rows(
            "SELECT request, count(*) AS n, count(DISTINCT row) AS d, "
            "count(*) FILTER (word = request || '.' || row) AS w FROM ledger GROUP BY ALL"
        ):
            request = row.pop("request")
            assert row == dict.fromkeys("ndw", self.sizes[request]), request
            there.add(request)
        assert self.kept <= there, f"lost: {self.kept - there}"
        assert not there & self.refused, f"refused and there: {there & self.refused}"
        assert there <= self.kept | self.unknown
        # from now on they are known
        self.kept |= there
        self.refused |= self.unknown - there
        self.unknown = set()


@pytest.fixture
def fail(tmp_path):
    return IoFail(tmp_path / "io-fail")


def restarted(server, start, fail, **options):
    """After `kill -9`."""
    fail.disarm()
    server.kill()
    return start(env=fail.environment, **options)


def reopened(server):
    (line,) = [
        line
        for line in server.get("/metrics").text.splitlines()
        if line.startswith("arrowport_database_reopened_total ")
    ]
    return int(line.split()[1])


def fail_each_call(start, fail, ledger, commit, faults=FAULTS):
    """`commit(server)` with each of its calls failing, in each way; of a row of writes to one file,
    which are all alike to DuckDB, the first and the last."""
    server = start(env=fail.environment)
    assert ledger.send(server) == 200
    assert commit(server) == 200  # once without: later ones make the same calls
    fail.arm()
    assert commit(server) == 200
    calls = fail.log()
    fail.disarm()
    assert any(call.startswith("fsync") for call in calls), calls
    kinds = ["", *(call.rsplit(" ", 1)[0] for call in calls), ""]
    ends = [i for i in range(1, len(calls) + 1) if not kinds[i - 1] == kinds[i] == kinds[i + 1]]
    for at, (error, count, half) in itertools.product(ends, faults):
        if half and kinds[at].startswith("fsync"):
            continue  # there is no half of it
        fail.arm(at, count=count, error=error, half=half, kinds=NO_TRUNCATE)
        code = commit(server)
        assert fail.failed > 0, f"{at} of {calls} was not reached"
        log = fail.log()
        fail.disarm()
        assert code != 200, f"acknowledged although it failed: {log}"
        assert ledger.send(server, rows=1) == 200, f"does not go on after {log}"
        ledger.check(server)
        if error == errno.EIO:  # what is on the disk, with nothing after the failure
            fail.arm(at, error=error, kinds=NO_TRUNCATE)
            commit(server)
            server = restarted(server, start, fail)
            ledger.check(server)
    server = restarted(server, start, fail)
    ledger.check(server)
    server.stop()
    return calls


def test_each_call_of_a_small_load(start, fail):
    ledger = Ledger(10)
    calls = fail_each_call(start, fail, ledger, ledger.send)
    assert len(calls) >= 2


def test_each_call_of_a_load_of_row_groups(start, fail):
    ledger = Ledger(130_000)
    calls = fail_each_call(start, fail, ledger, ledger.send, (FAULTS[0], FAULTS[2]))
    assert any(call.startswith("pwrite") for call in calls), calls


def test_each_call_of_an_upsert(start, fail):
    ledger = Ledger(10)
    fail_each_call(
        start, fail, ledger, lambda server: ledger.send(server, "?mode=upsert&key=request&key=row")
    )


def test_each_call_of_a_checkpoint(start, fail):
    ledger = Ledger(10)

    def checkpoint(server):
        """Of something: what the log holds."""
        armed = fail.pause()
        assert ledger.send(server) == 200
        fail.resume(armed)
        return server.query("CHECKPOINT").status_code

    calls = fail_each_call(start, fail, ledger, checkpoint)
    assert any(call.startswith("remove") for call in calls), calls


def test_a_checkpoint_of_the_servers_own_costs_no_acknowledgement(start, fail, tmp_path):
    """It fails, the database is opened anew, and who was answered 200 finds his rows."""
    ledger = Ledger(500)
    server = start(env=fail.environment, config="checkpoint_wal_bytes: 65536\n")
    assert ledger.send(server) == 200
    codes = []
    for _ in range(3):
        before = reopened(server)
        fail.arm(1, error=errno.EIO, kinds=KINDS["unlink"])  # of the log, in the end
        for _ in range(40):
            codes.append(ledger.send(server))
            if fail.failed:
                break
        assert fail.failed
        fail.disarm()
        wait_until(lambda seen=before: answers(server) and reopened(server) > seen, "opened anew")
    assert codes.count(200) > len(codes) // 2
    ledger.check(server)
    server = restarted(server, start, fail)
    ledger.check(server)


def answers(server):
    return server.query("SELECT 1").status_code == 200


def test_a_log_that_cannot_be_cut_off_ends_the_process(start, fail):
    """DuckDB's own doing: as good as `kill -9`, which is safe."""
    ledger = Ledger(10)
    server = start(env=fail.environment)
    assert ledger.send(server) == 200
    fail.arm(1, count=FOREVER, error=errno.EIO, half=True)
    with pytest.raises(OSError):
        ledger.send(server)
    ledger.unknown.add(2)  # nobody was told
    assert server.process.wait(60) != 0
    fail.disarm()
    server = restarted(server, start, fail)
    ledger.check(server)
    assert ledger.send(server) == 200
    server.stop()


def test_requests_that_wait_for_their_clients_do_not_keep_a_dead_database(start, fail):
    """An upload that trickles in and an answer that nobody reads hold sessions of the old one."""
    ledger = Ledger(10)
    server = start(env=fail.environment)
    assert ledger.send(server) == 200
    body = ipc(rows_of(999, 200_000), max_chunksize=50_000)
    with Connection(server) as upload, Connection(server) as reader:
        upload.send(ingest_head(server, "ledger", "Transfer-Encoding: chunked"))
        upload.send(chunk(body[: len(body) // 2]))
        sql = b"SELECT i, hash(i) AS h FROM range(50000000) t(i)"
        reader.send(
            b"POST /query HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/sql\r\n"
            b"Accept: text/csv\r\nContent-Length: %d\r\n\r\n%s" % (server.port, len(sql), sql)
        )
        reader.reader.read(1000)  # and no more
        time.sleep(0.3)
        fail.arm(1, error=errno.EIO, kinds=KINDS["sync"])
        assert ledger.send(server) == 500
        fail.disarm()
        wait_until(lambda: ledger.send(server) == 200, "a load after the failure")
        assert upload.answer().status_code == 503
        assert reopened(server) == 1
    ledger.check(server)
    server.stop()


@pytest.mark.parametrize("rows", [10, 130_000])
def test_with_a_key_an_outcome_is_always_known_and_a_retry_lands_once(start, fail, rows):
    """The server looks its own token up when a commit ends in the middle of nowhere."""
    server = start(env=fail.environment)
    headers = {"Content-Type": ARROW, "Idempotency-Key": "warm"}
    body = ipc(rows_of(0, 1))
    assert server.post("/ingest/ledger", data=body, headers=headers).status_code == 200
    sizes = {0: 1}
    for request, (error, kind) in enumerate(
        [(errno.EIO, "sync"), (errno.ENOSPC, "sync"), (errno.EIO, "write")], 1
    ):
        sizes[request] = rows
        body = ipc(rows_of(request, rows))
        headers["Idempotency-Key"] = f"load-{request}"
        fail.arm(1, error=error, kinds=KINDS[kind])
        first = server.post("/ingest/ledger", data=body, headers=headers)
        assert fail.disarm() > 0
        assert first.status_code in (200, 503, 507), first.text
        again = server.post("/ingest/ledger", data=body, headers=headers)
        assert again.status_code == 200, again.text
        third = server.post("/ingest/ledger", data=body, headers=headers)
        assert third.headers["Idempotent-Replayed"] == "true"
        assert third.json()["rows"] == rows
    server.kill()
    server = start()
    counts = server.rows("SELECT request, count(*) AS n FROM ledger GROUP BY ALL")
    assert {row["request"]: row["n"] for row in counts} == sizes


def test_many_clients_while_the_disk_comes_and_goes(start, fail):
    """Each is told the truth about his own rows, whatever group they were committed in."""
    ledger = Ledger(20)
    lock, over = threading.Lock(), threading.Event()
    server = start(env=fail.environment)
    assert ledger.send(server) == 200
    failures = []

    def produce():
        own = Ledger(20)
        own.numbers = ledger.numbers
        client = copy.copy(server)
        client.session = requests.Session()
        client.session.trust_env = False
        try:
            while not over.is_set():
                own.send(client)
        except Exception as error:  # told by the test's thread
            failures.append(error)
        with lock:
            ledger.kept |= own.kept
            ledger.refused |= own.refused
            ledger.unknown |= own.unknown
            ledger.sizes |= own.sizes

    threads = [threading.Thread(target=produce) for _ in range(12)]
    for thread in threads:
        thread.start()
    for error, kinds in ((errno.EIO, "sync"), (errno.ENOSPC, "write"), (errno.EIO, "write")) * 2:
        time.sleep(0.15)
        fail.arm(3, count=2, error=error, kinds=KINDS[kinds])
        wait_until(lambda: fail.failed > 0, "a call that fails")
        fail.disarm()
        wait_until(lambda: answers(server), "the database")
    over.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not failures, failures
    assert len(ledger.kept) > 24
    assert ledger.refused or ledger.unknown
    ledger.check(server)
    ledger.check(restarted(server, start, fail))
