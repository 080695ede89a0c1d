"""`kill -9` during loads: what was acknowledged is there whole, what was not is there
whole or not at all, and never what was not even sent whole."""

import random
import threading

import pyarrow as pa
import pytest
import requests
from wire import Connection, ingest_head

from server import ipc

ROWS = 20_000
KILLS = 10


def request_table(request_id):
    return pa.table(
        {
            "request": pa.array([request_id] * ROWS, pa.int64()),
            "row": pa.array(range(ROWS), pa.int64()),
            "word": [f"{request_id}.{i}" for i in range(ROWS)],
        }
    )


class Producers:
    """Threads that send requests of ROWS rows until the server is gone."""

    def __init__(self, server, first_id, threads=3):
        self.server = server
        self.lock = threading.Lock()
        self.next_id = first_id
        self.sent, self.acknowledged, self.refused = set(), set(), []
        self.changed = threading.Condition(self.lock)
        self.threads = [threading.Thread(target=self._produce) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _produce(self):
        session = requests.Session()
        session.trust_env = False
        while True:
            with self.lock:
                request_id, self.next_id = self.next_id, self.next_id + 1
                self.sent.add(request_id)
            body = ipc(request_table(request_id), max_chunksize=6000)
            try:
                answer = session.post(
                    f"{self.server.url}/ingest/crash",
                    data=body,
                    timeout=60,
                    headers={"Content-Type": "application/vnd.apache.arrow.stream"},
                )
            except requests.RequestException:
                return
            with self.changed:
                if answer.status_code == 200:
                    self.acknowledged.add(request_id)
                else:
                    self.refused.append(answer.text)
                self.changed.notify_all()

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.acknowledged) >= count, 60)

    def join(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.refused, self.refused


def landed(server):
    """Request -> rows, after checking that each is whole."""
    rows = server.rows(
        "SELECT request, count(*) AS n, count(DISTINCT row) AS d, "
        "sum(row)::BIGINT AS s, "
        "count(*) FILTER (word = request || '.' || row) AS w FROM crash GROUP BY ALL"
    )
    for row in rows:
        assert row == {
            "request": row["request"],
            "n": ROWS,
            "d": ROWS,
            "w": ROWS,
            "s": ROWS * (ROWS - 1) // 2,
        }
    return {row["request"] for row in rows}


@pytest.mark.timeout(600)
def test_acknowledged_requests_survive_kill_9(start):
    chance = random.Random(20260301)
    server = start()
    server.land("crash", request_table(0).slice(0, 0))
    sent, acknowledged, never = set(), set(), set()
    next_id = 1
    for kill in range(KILLS):
        unfinished = Connection(server)
        body = ipc(request_table(next_id))
        never.add(next_id)
        unfinished.send(ingest_head(server, "crash", f"Content-Length: {len(body)}") + body[:-1])
        producers = Producers(server, next_id + 1)
        producers.wait_for(chance.randint(1, 5))
        threading.Event().wait(chance.random() / 20)  # anywhere within a commit
        server.kill()
        producers.join()
        unfinished.close()
        sent |= producers.sent
        acknowledged |= producers.acknowledged
        next_id = producers.next_id
        server = start()
        there = landed(server)
        assert acknowledged <= there, f"kill {kill}: lost {acknowledged - there}"
        assert there <= sent, f"kill {kill}: never sent {there - sent}"
        assert not there & never
    server.land("crash", request_table(next_id))
    assert next_id in landed(server)
