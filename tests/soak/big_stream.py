"""Sends one long stream into a file and watches the server's memory.

    big_stream.py [--gb 20] [--json]

The stream is one request: batches of 65,536 typical rows, the same few again and
again, until the size is reached. Resident memory must stay under the budget (1 GB)
plus 200 MB at its peak. Ends with one row for RESULTS.md, or with a JSON object.
"""

import argparse
import io
import json
import pathlib
import sys
import tempfile
import threading
import time

import psutil
import pyarrow as pa
from shared import ROOT, Server, result
from wire import Connection, ingest_head

sys.path.insert(0, str(ROOT / "bench"))
import dataset  # noqa: E402

BATCHES = 16  # that differ; about 50 MB
LIMIT_MB = 1000 + 200


class Watch(threading.Thread):
    """The highest resident size, sampled ten times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak = 0
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.peak = max(self.peak, self.process.memory_info().rss)

    def stop(self):
        self.over.set()
        self.join()
        # What happened between two samples: the kernel's own mark.
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.peak = max(self.peak, int(line.split()[1]) * 1024)
        return self.peak / 1e6


def parts():
    """The stream's schema, some batches as bytes, its end; and rows of the batches."""
    table = dataset.make(BATCHES * dataset.BATCH_ROWS)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=dataset.BATCH_ROWS)
    data = sink.getvalue()
    first = 8 + int.from_bytes(data[4:8], "little")
    return data[:first], memoryview(data)[first:-8], data[-8:], table.num_rows


def send(server, gigabytes):
    head, middle, end, rows = parts()
    repeat = max(1, round(gigabytes * 1e9 / len(middle)))
    total = len(head) + repeat * len(middle) + len(end)
    with Connection(server, timeout_s=3600) as connection:
        connection.send(ingest_head(server, "big", f"Content-Length: {total}") + head)
        for _ in range(repeat):
            connection.send(middle)
        connection.send(end)
        answer = connection.answer()
    return answer, total, repeat * rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="arrowport-big-", dir=ROOT / "build") as directory:
        server = Server(directory, config="memory_limit: 1GB\n")
        try:
            watch = Watch(server.process.pid)
            start = time.monotonic()
            answer, total, rows = send(server, args.gb)
            seconds = time.monotonic() - start
            peak_mb = watch.stop()
            landed = (
                server.value("SELECT count(*) AS n FROM big") if answer.status_code == 200 else 0
            )
        finally:
            server.kill()
        file_mb = (pathlib.Path(directory) / "test.duckdb").stat().st_size / 1e6
    ok = answer.status_code == 200 and landed == rows and peak_mb <= LIMIT_MB
    if args.json:
        print(
            json.dumps(
                {
                    "gb": total / 1e9,
                    "status": answer.status_code,
                    "rows": landed,
                    "seconds": round(seconds, 1),
                    "mb_per_s": round(total / seconds / 1e6),
                    "rss_peak_mb": round(peak_mb),
                    "limit_mb": LIMIT_MB,
                    "file_mb": round(file_mb),
                    "ok": ok,
                }
            )
        )
    else:
        result(
            f"tests/soak/big_stream.py --gb {args.gb:g}",
            f"{'' if ok else 'FAILED: '}{total / 1e9:.1f} GB, {landed:,} of {rows:,} rows in "
            f"{seconds:.0f} s ({total / seconds / 1e6:.0f} MB/s), peak resident {peak_mb:.0f} MB "
            f"(limit {LIMIT_MB}), file {file_mb:.0f} MB",
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
