"""Flight writers that go on while their server is killed again and again, and their books.

As tests/e2e/trial.py, for DoPut. A job is a stream of numbered rows that a writer sends until all
of it is acknowledged, whatever comes between. Writers differ in how a broken stream is gone on
with:

- `again`: everything is sent once more with the token, cut in other places;
- `resume`: the server says where the last stream has ended, and the rest is sent;
- `each`: as `resume`, where each batch is a commit;
- `whole`: one commit at the end; sent again with its token;
- `once`, `lost`: no token, never sent twice; by watermark, and with one commit at the end.

`check` asks for three things. What is there of a job is its first rows, each once, as they were
sent. It is no less than what was acknowledged. Of a stream with one commit it is everything or
nothing."""

import itertools
import random
import threading
import time

import pyarrow as pa
import pyarrow.flight as fl

from flight import Put, client, command

TABLES = ("put_a", "put_b")
KINDS = ("again", "resume", "each", "whole", "once", "lost")
LOST = (fl.FlightUnavailableError, fl.FlightCancelledError, OSError)
WAIT_S = 60
WALS = ("64KiB", "1GiB")
SCHEMA = pa.schema({"job": pa.int64(), "row": pa.int64(), "word": pa.string()})


class Job:
    def __init__(self, number, kind, seed, chance):
        self.number, self.kind = number, kind
        self.table = TABLES[number % len(TABLES)]
        self.token = None if kind in ("once", "lost") else f"{seed}/{number}"
        self.is_whole = kind in ("whole", "lost")
        self.rows = chance.choice((1, 50, 2_000, 6_000, 6_000, 20_000))
        self.acknowledged, self.given, self.streams = 0, 0, 0
        self.is_over = False

    def descriptor(self, resume):
        commit = "stream" if self.is_whole else "batch" if self.kind == "each" else "watermark"
        asked = {"stream_name": self.table, "commit": commit, "resume": resume}
        return command(**asked, **({"token": self.token} if self.token else {}))

    def batch(self, first, count):
        words = [f"{self.number}.{i}" for i in range(first, first + count)]
        rows = range(first, first + count)
        return pa.record_batch([[self.number] * count, rows, words], schema=SCHEMA)


class FlightTrial:
    """`begin(config)` starts a server on the file of the trial."""

    def __init__(self, begin, seed, writers=KINDS):
        self.begin, self.seed, self.writers = begin, seed, writers
        self.chance = random.Random(seed)
        self.changed = threading.Condition()
        self.server, self.open, self.over = None, None, False
        self.jobs, self.numbers = {}, itertools.count()
        self.failures, self.acks, self.kills = [], 0, 0
        self.threads = []

    # ---- writers

    def _stands(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.open or self.over, WAIT_S):
                raise AssertionError("no server came back")
            return self.open

    def _acknowledge(self, job, ack):
        """Books an acknowledgement, which must fit to what was sent and acknowledged before."""
        rows, received = ack["committed"]["rows"], ack["received"]["rows"]
        assert max(rows, received) <= job.given, (job.number, job.given, ack)
        assert ack["durable"]
        with self.changed:
            # Until what an earlier stream has landed is passed over, nothing is new.
            job.acknowledged = max(job.acknowledged, rows)
            self.acks += 1
            self.changed.notify_all()

    def _send(self, job, stream, first, chance):
        while first < job.rows:
            count = min(chance.choice((1, 100, 700, 3_000)), job.rows - first)
            with self.changed:
                job.given = max(job.given, first + count)
            stream.write(job.batch(first, count))
            first += count
            if chance.random() < 0.3:
                time.sleep(chance.random() * 0.02)

    def _listen(self, job, stream, failed):
        try:
            for ack in iter(stream.ack, None):
                self._acknowledge(job, ack)
        except AssertionError as error:
            failed.append(error)
        except LOST:
            pass

    def _stream(self, job, connection, chance):
        """One attempt. True: the whole job is acknowledged."""
        resume = job.kind in ("resume", "each") and job.streams > 0
        job.streams += 1
        failed = []
        with Put(connection, job.descriptor(resume), SCHEMA) as stream:
            first = 0
            if resume:
                ack = stream.ack()
                if ack is None:  # what is wrong is told by the end of the call
                    stream.finish()
                first = ack["committed"]["rows"]
                assert first >= job.acknowledged, f"{job.number}: {job.acknowledged} of {ack}"
                with self.changed:
                    job.given = max(job.given, first)
            ears = threading.Thread(target=self._listen, args=(job, stream, failed))
            ears.start()
            try:
                self._send(job, stream, first, chance)
                stream.writer.done_writing()
            finally:
                ears.join(WAIT_S)
                assert not ears.is_alive(), f"job {job.number}: the call does not end"
            stream.over = True
            stream.writer.close()
        assert not failed, failed[0]
        assert job.acknowledged == job.rows, (job.number, job.acknowledged, job.rows)
        return True

    def _writer(self, kind, chance):
        job = connection = server = None
        try:
            while True:
                stands = self._stands()
                if stands is None or (job is None and self.over):
                    return
                if stands is not server:
                    if connection is not None:
                        connection.close()
                    connection, server = client(stands), stands
                if job is None:
                    with self.changed:
                        job = Job(next(self.numbers), kind, self.seed, chance)
                        self.jobs[job.number] = job
                try:
                    job.is_over = self._stream(job, connection, chance)
                except LOST:
                    job.is_over = job.token is None  # it is never sent twice
                    time.sleep(0.01)
                if job.is_over:
                    job = None
        except Exception as error:  # told by `check`, not lost with the thread
            with self.changed:
                self.failures.append(f"{kind}: {error!r}")
                self.changed.notify_all()
        finally:
            if connection is not None:
                connection.close()

    # ---- servers

    def _start(self):
        self.early = self.chance.random() < 0.25
        self.server = self.begin(
            f"checkpoint_wal_bytes: {self.chance.choice(WALS)}\ncheckpoint_interval_s: 0\n"
            f"flight: {{commit_rows: {self.chance.choice((300, 3_000))}, commit_interval_ms: 10}}\n"
        )

    def _open(self):
        with self.changed:
            self.open = self.server
            self.changed.notify_all()

    def _kill(self):
        with self.changed:
            target = self.acks + (0 if self.early else self.chance.randint(1, 40))
            self.changed.wait_for(lambda: self.acks >= target or self.failures, WAIT_S)
        time.sleep(self.chance.random() * (0.15 if self.early else 0.05))
        with self.changed:
            self.open = None
        self.server.kill()
        self.kills += 1

    def run(self, kills):
        for k, kind in enumerate(self.writers):
            chance = random.Random(f"{self.seed}/{k}")
            self.threads.append(threading.Thread(target=self._writer, args=(kind, chance)))
        try:
            self._start()
            for table in TABLES:
                self.server.land(table, SCHEMA.empty_table())
            self._open()
            for thread in self.threads:
                thread.start()
            for _ in range(kills):
                self._kill()
                self._start()
                if not self.early:
                    self.check()
                self._open()
            self.finish()
        finally:
            with self.changed:
                self.over, self.open = True, None
                self.changed.notify_all()

    def finish(self):
        """Lets the writers end what they have begun, and sends some jobs once more."""
        with self.changed:
            self.over = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join(WAIT_S)
            assert not thread.is_alive(), "a writer does not end"
        self.check()
        with client(self.server) as connection:
            known = [job for job in self.jobs.values() if job.token]
            for job in self.chance.sample(known, min(10, len(known))):
                assert job.acknowledged == job.rows, f"job {job.number} was never acknowledged"
                with Put(connection, job.descriptor(False), SCHEMA) as stream:
                    stream.write(job.batch(0, job.rows))
                    ack = stream.finish()[-1]
                assert ack["repeated"] and ack["committed"]["rows"] == job.rows, ack
        self.check()

    def check(self):
        """Writers wait, or have ended: nothing changes meanwhile."""
        assert not self.failures, self.failures
        with self.changed:
            jobs = dict(self.jobs)
        there = {}
        for table in TABLES:
            found = self.server.arrow(
                "SELECT job, count(*) AS n, count(DISTINCT row) AS d, min(row) AS low, "
                "max(row) AS high, count(*) FILTER (word = job || '.' || row) AS right "
                f"FROM {table} GROUP BY ALL"
            )
            for row in found.to_pylist():
                number, n = row.pop("job"), row["n"]
                want = {"n": n, "d": n, "low": 0, "high": n - 1, "right": n}
                assert row == want and jobs[number].table == table, f"job {number}: {row}"
                there[number] = n
        for job in jobs.values():
            n = there.get(job.number, 0)
            what = f"job {job.number} ({job.kind}) after {self.kills} kills: {n} rows are there"
            assert n >= job.acknowledged, f"{what}, {job.acknowledged} were acknowledged"
            assert n <= job.given, f"{what}, {job.given} were sent"
            assert not job.is_whole or n in (0, job.rows), f"{what} of {job.rows}"
        self.landed_rows = sum(there.values())

    def summary(self):
        jobs = self.jobs.values()
        again = sum(job.streams - 1 for job in jobs)
        whole = sum(job.acknowledged == job.rows for job in jobs)
        return (
            f"{self.kills} kills, seed {self.seed}: {len(jobs):,} streams of 1 to 20,000 rows, "
            f"{self.acks:,} acknowledgements, {again:,} times gone on with or sent again; "
            f"{whole:,} landed whole, {self.landed_rows:,} rows, each once, none acknowledged lost"
        )
