"""Clients that go on while their server is killed again and again, and the books they keep.

A trial has one database file and four tables; one of them grows columns as requests bring them.
Its clients send requests of 1 to 200 rows, some of 20,000, over HTTP/1.1 and HTTP/2, from when a
server stands until it is gone, and then to the next one on the same file:

- those with a key send each request until it is acknowledged, whatever comes between: a lost
  connection, 409, 429, 5xx; and some of them once more afterwards;
- those without never send one twice;
- one has a body that is never sent whole.

`check` then asks for three things. What was acknowledged is there, once. What is there is whole
and was sent. What was refused, or not sent whole, is not there. At the end every request with a
key was acknowledged.

When something is killed is decided by the seed, after how many acknowledgements and how long a
pause; where the server is then is decided by the machine."""

import random
import threading
import time

import httpx
import pyarrow as pa
import requests
from wire import Connection, ingest_head

from server import ARROW, ipc

TABLES = ("crash_a", "crash_b", "crash_c", "crash_merge")
MERGE = TABLES[3]
EXTRAS = 40  # columns that come to it
WIDTHS = (pa.int8(), pa.int8(), pa.int16(), pa.int32(), pa.int64())
BIG_ROWS = 20_000
AGAIN = {409, 429, 500, 502, 503, 504, 507}
LOST = (requests.RequestException, httpx.TransportError)
HUNG = (requests.ReadTimeout, httpx.ReadTimeout)
WAIT_S = 60  # the server has to answer, or to be gone
# A write-ahead log that is folded into the file all the time, and one that is there to replay.
WALS = ("64KiB", "1GiB")


def request_table(request_id, rows):
    columns = {
        "request": pa.array([request_id] * rows, pa.int64()),
        "row": pa.array(range(rows), pa.int32()),
        "word": [f"{request_id}.{i}" for i in range(rows)],
    }
    if table_of(request_id) == MERGE:
        width = WIDTHS[request_id // 40 % len(WIDTHS)]
        columns["wide"] = pa.array([request_id % 100] * rows, width)
        columns[f"extra_{request_id // 16 % EXTRAS}"] = columns["request"]
    return pa.table(columns)


def table_of(request_id):
    return TABLES[request_id % len(TABLES)]


def right_rows(server, table):
    """SQL for a row that is as it was sent, as far as it is not a number from 0 on."""
    right = "word = request || '.' || row"
    if table != MERGE:
        return right
    names = [c["name"] for c in server.get(f"/tables/{table}").json()["columns"]]
    extras = [name for name in names if name.startswith("extra_")]
    if not extras:
        return right
    own = " ".join(f"WHEN {name.removeprefix('extra_')} THEN {name}" for name in extras)
    count = " + ".join(f"({name} IS NOT NULL)::INTEGER" for name in extras)
    return (
        f"{right} AND wide = request % 100 AND ({count}) = 1 "
        f"AND (CASE request // 16 % {EXTRAS} {own} END) = request"
    )


class Request:
    def __init__(self, number, rows, key):
        self.id, self.rows, self.key = number, rows, key
        self.table = table_of(number)
        chunk = 50 if rows < BIG_ROWS else 3000
        self.body = ipc(request_table(number, rows), max_chunksize=chunk)


class Http1:
    """A connection that is kept; a body may come in pieces, with pauses."""

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, request, headers, slow):
        def pieces():
            for start in range(0, len(request.body), 100_000):
                yield request.body[start : start + 100_000]
                time.sleep(0.005)

        return self.session.post(
            f"{self.url}/ingest/{request.table}",
            data=pieces() if slow else request.body,
            headers=headers,
            timeout=WAIT_S,
        )

    def close(self):
        self.session.close()


class Http2:
    def __init__(self, url):
        self.client = httpx.Client(
            http1=False, http2=True, base_url=url, trust_env=False, timeout=WAIT_S
        )

    def post(self, request, headers, slow):
        del slow
        return self.client.post(f"/ingest/{request.table}", content=request.body, headers=headers)

    def close(self):
        self.client.close()


class Trial:
    """`begin(config)` starts a server on the file of the trial."""

    CLIENTS = (  # connection, with keys, of big requests
        *[(Http1, True, False)] * 3,
        *[(Http1, False, False)] * 3,
        (Http2, True, False),
        (Http2, False, False),
        (Http1, True, True),
        (Http1, False, True),
    )

    def __init__(self, begin, seed):
        self.begin, self.seed = begin, seed
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.server, self.url = None, None  # the url: None while clients have to wait
        self.over, self.early = False, False
        self.next_id = 0
        self.sent, self.acknowledged = {}, set()  # id -> rows and table; ids
        self.refused, self.keyed, self.landed = set(), [], {}
        self.failures, self.retries, self.replays = [], 0, 0
        self.kills, self.last_refusal = 0, None
        self.threads = []

    # ---- clients

    def _next(self, chance, keyed, big):
        with self.lock:
            number, self.next_id = self.next_id, self.next_id + 1
        small = chance.choice((1, 1, 2, 10, 100, 200))
        key = f"{self.seed}/{number}" if keyed else None
        request = Request(number, BIG_ROWS if big else small, key)
        with self.lock:
            self.sent[number] = (request.rows, request.table)
            if keyed:
                self.keyed.append(number)
        return request

    def _stands(self):
        """The address of a server, once clients may ask it; None: the trial was given up."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.url or self.over, WAIT_S):
                raise AssertionError("no server came back")
            return self.url

    def _acknowledge(self, request, answer):
        body = answer.json()
        assert body["rows"] == request.rows, (request.id, body)
        with self.changed:
            self.acknowledged.add(request.id)
            self.replays += "Idempotent-Replayed" in answer.headers
            self.changed.notify_all()

    def _try(self, connection, request, chance):
        """One attempt: the status, None when there was no answer."""
        headers = {"Content-Type": ARROW}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        try:
            answer = connection.post(request, headers, request.rows == BIG_ROWS and chance.random())
        except HUNG as error:
            raise AssertionError(f"request {request.id} has no answer: {error}") from error
        except LOST:
            return None
        if answer.status_code == 200:
            self._acknowledge(request, answer)
        elif answer.status_code not in AGAIN:
            raise AssertionError(f"request {request.id}: {answer.status_code} {answer.text}")
        else:
            with self.lock:
                self.last_refusal = f"{answer.status_code} {answer.text}"
                if request.key is None:
                    self.refused.add(request.id)
            time.sleep(0.02)
        return answer.status_code

    def _client(self, kind, keyed, big, seed):
        chance = random.Random(seed)
        connection, url, request = None, None, None
        try:
            while True:
                stands = self._stands()
                if stands is None:
                    return
                if stands != url or connection is None:
                    if connection is not None:
                        connection.close()
                    connection, url = kind(stands), stands
                if request is None:
                    if self.over:
                        return
                    request = self._next(chance, keyed, big)
                status = self._try(connection, request, chance)
                if status == 200 and keyed and chance.random() < 0.1:
                    continue  # once more, as if the answer had been lost
                if status == 200 or not keyed:
                    request = None
                    continue
                with self.lock:
                    self.retries += 1
                if status is None:
                    connection.close()
                    connection = None
                time.sleep(0.01)
        except Exception as error:  # told by `check`, not lost with the thread
            with self.changed:
                self.failures.append(f"{kind.__name__} keyed={keyed} big={big}: {error!r}")
                self.changed.notify_all()
        finally:
            if connection is not None:
                connection.close()

    # ---- servers

    def _start(self):
        wal = self.chance.choice(WALS)
        self.early = self.chance.random() < 0.25
        self.server = self.begin(
            f"checkpoint_wal_bytes: {wal}\ncheckpoint_interval_s: 0\n"
            f"streams: {{{MERGE}: {{schema_policy: merge}}}}\n"
        )

    def _open(self):
        with self.changed:
            self.url = self.server.url
            self.changed.notify_all()

    def _unfinished(self):
        """A body that lacks its last byte, and whose connection stays."""
        with self.lock:
            number, self.next_id = self.next_id, self.next_id + 1
        request = Request(number, 100, None)
        connection = Connection(self.server)
        connection.send(
            ingest_head(self.server, request.table, f"Content-Length: {len(request.body)}")
            + request.body[:-1]
        )
        return connection

    def _kill(self):
        """Waits for its moment. One in four comes while the next server reads the log."""
        unfinished = self._unfinished()
        with self.changed:
            target = len(self.acknowledged)
            target += 0 if self.early else self.chance.randint(1, 60)
            self.changed.wait_for(lambda: len(self.acknowledged) >= target or self.failures, WAIT_S)
        time.sleep(self.chance.random() * (0.15 if self.early else 0.05))
        with self.changed:
            self.url = None
        self.server.kill()
        self.kills += 1
        unfinished.close()

    def run(self, kills, check_each=1):
        for k, client in enumerate(self.CLIENTS):
            thread = threading.Thread(target=self._client, args=(*client, f"{self.seed}/{k}"))
            self.threads.append(thread)
        try:
            self._start()
            self._make_tables()
            self._open()
            for thread in self.threads:
                thread.start()
            for kill in range(kills):
                self._kill()
                self._start()
                if (kill + 1) % check_each == 0 and not self.early:
                    self.check()
                self._open()
            self.finish()
        finally:
            with self.changed:
                self.over, self.url = True, None
                self.changed.notify_all()

    def _make_tables(self):
        for table in TABLES:  # of plain columns
            self.server.land(table, request_table(0, 1).slice(0, 0))

    def finish(self):
        """Lets the clients get their last acknowledgements, and asks some of them for old ones."""
        with self.changed:
            self.over = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join(WAIT_S)
            assert not thread.is_alive(), "a client does not end"
        missing = set(self.keyed) - self.acknowledged
        assert not missing, f"with a key, and never acknowledged: {sorted(missing)}"
        self.check()
        for number in self.chance.sample(self.keyed, min(20, len(self.keyed))):
            rows, table = self.sent[number]
            answer = self.server.post(
                f"/ingest/{table}",
                data=ipc(request_table(number, rows)),
                headers={"Content-Type": ARROW, "Idempotency-Key": f"{self.seed}/{number}"},
            )
            assert answer.status_code == 200, answer.text
            assert answer.headers.get("Idempotent-Replayed") == "true", number
        self.check()

    def check(self):
        assert not self.failures, self.failures
        there = {}
        for table in TABLES:
            found = self.server.arrow(
                "SELECT request, count(*) AS rows, count(DISTINCT row) AS distinct_rows, "
                "min(row) AS low, max(row) AS high, "
                f"count(*) FILTER ({right_rows(self.server, table)}) AS right "
                f"FROM {table} GROUP BY ALL"
            )
            for row in found.to_pylist():
                number = row.pop("request")
                with self.lock:
                    rows = self.sent.get(number, (None, None))
                want = {"rows": rows[0], "distinct_rows": rows[0], "low": 0, "right": rows[0]}
                want["high"] = rows[0] - 1 if rows[0] else None
                assert row == want and rows[1] == table, f"request {number} in {table}: {row}"
                there[number] = table
        with self.lock:  # nobody is at work: clients wait, or are at their end
            lost = self.acknowledged - there.keys()
            kept = self.refused & there.keys()
        assert not lost, f"acknowledged, and not there after {self.kills} kills: {sorted(lost)}"
        assert not kept, f"refused, and there after {self.kills} kills: {sorted(kept)}"
        self.landed = there

    def summary(self):
        absent = len(self.sent) - len(self.landed)
        return (
            f"{self.kills} kills, seed {self.seed}: {len(self.acknowledged):,} acknowledged "
            f"requests ({len(self.keyed):,} with a key, {self.retries:,} sent again, "
            f"{self.replays:,} answered as the first time) all there once, "
            f"{len(self.landed) - len(self.acknowledged)} more whole, {absent} absent, none in part"
        )
