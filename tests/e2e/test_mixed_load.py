"""Everything at once: ingests, queries, slow clients, scrapes and new configurations.

ARROWPORT_MIXED_SECONDS  how long (5); make soak runs it for longer, also on the build with
                         ThreadSanitizer, whose memory is not judged (ARROWPORT_MIXED_MEMORY=0)"""

import os
import signal
import threading
import time

import psutil
import pyarrow as pa
import pytest
import requests
from wire import Connection, ingest_head

from server import ARROW, ipc

SECONDS = float(os.environ.get("ARROWPORT_MIXED_SECONDS", "5"))
MEMORY = os.environ.get("ARROWPORT_MIXED_MEMORY", "1") == "1"
LIMIT_MB = 512
MORE_MB = 200
INGESTS, QUERIES, SLOW = 4, 4, 100
ROWS = 200_000


class Load:
    def __init__(self, server):
        self.server = server
        self.over = threading.Event()
        self.failures = []
        self.landed = [0] * INGESTS
        self.asked = [0] * QUERIES
        self.peak_mb = 0.0
        self.threads = []

    def run(self, work, *args):
        def guarded():
            try:
                while not self.over.is_set():
                    work(*args)
            except Exception as error:  # told by the test, not lost with the thread
                if not self.over.is_set():
                    self.failures.append(f"{work.__name__}: {error!r}")
                    self.over.set()

        self.threads.append(threading.Thread(target=guarded))
        self.threads[-1].start()

    def ingest(self, k, session, body):
        answer = session.post(
            f"{self.server.url}/ingest/load{k}", data=body, headers={"Content-Type": ARROW}
        )
        if answer.status_code == 429:
            time.sleep(min(1, int(answer.headers["Retry-After"])))
            return
        assert answer.status_code == 200, answer.text
        self.landed[k] += answer.json()["rows"]

    def ask(self, k, session):
        sql = f"SELECT id, word FROM load{k % INGESTS} LIMIT 300000"
        answer = session.post(
            f"{self.server.url}/query",
            data=sql.encode(),
            headers={"Content-Type": "application/sql", "Accept": ARROW},
            stream=True,
        )
        with answer:
            assert answer.status_code in (200, 429, 503), answer.text
            assert sum(len(part) for part in answer.iter_content(1 << 20)) > 0
            self.asked[k] += answer.status_code == 200

    def drip(self, clients):
        """A hundred bodies, a byte now and then; each is in the middle of a batch."""
        for connection in clients:
            connection.send(b"\0")
        time.sleep(0.2)

    def scrape(self, session):
        assert session.get(f"{self.server.url}/metrics").status_code == 200
        assert session.get(f"{self.server.url}/healthz").status_code == 200
        time.sleep(0.1)

    def reload(self):
        self.server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)

    def watch(self):
        rss = psutil.Process(self.server.process.pid).memory_info().rss
        self.peak_mb = max(self.peak_mb, rss / 2**20)
        time.sleep(0.02)


def session():
    made = requests.Session()
    made.trust_env = False
    return made


@pytest.mark.asan
@pytest.mark.timeout(int(SECONDS) + 240)
def test_everything_at_once_within_the_memory_limit(start):
    server = start(
        config=f"memory_limit: {LIMIT_MB}MiB\nhttp: {{body_bytes_per_timeout: 1}}\n"
        "streams: {x: {target_table: y}}\n"
    )
    rows = range(ROWS)
    table = pa.table({"id": pa.array(rows, pa.int64()), "word": [f"row {i}" for i in rows]})
    body = ipc(table, max_chunksize=20_000)
    for k in range(INGESTS):
        server.land(f"load{k}", table.slice(0, 10))
    slow = [Connection(server) for _ in range(SLOW)]
    for k, connection in enumerate(slow):
        connection.send(ingest_head(server, f"slow{k}", "Content-Length: 100000000"))
        connection.send(body[: 4096 + k])
    load = Load(server)
    for k in range(INGESTS):
        load.run(load.ingest, k, session(), body)
    for k in range(QUERIES):
        load.run(load.ask, k, session())
    load.run(load.drip, slow)
    load.run(load.scrape, session())
    load.run(load.reload)
    load.run(load.watch)
    load.over.wait(SECONDS)
    load.over.set()
    for thread in load.threads:
        thread.join(120)
        assert not thread.is_alive(), "a request never ended"
    for connection in slow:
        connection.close()
    assert server.alive(), server.stderr()[-3000:]
    assert not load.failures, load.failures
    assert all(load.landed) and all(load.asked), (load.landed, load.asked)
    for k, landed in enumerate(load.landed):
        assert server.value(f"SELECT count(*) AS n FROM load{k}") == landed + 10
    assert not server.has_table("slow0")
    print(f"{sum(load.landed):,} rows, {sum(load.asked)} queries, {load.peak_mb:.0f} MB at most")
    if MEMORY and "asan" not in os.environ.get("ARROWPORT_BIN", ""):
        assert load.peak_mb < LIMIT_MB + MORE_MB
