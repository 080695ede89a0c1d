"""Pipes one very large Arrow stream through `arrowport convert` into a Parquet file, and watches
its memory.

    parquet_big.py [--gb 20]

Batches of 65,536 typical rows, the same few again and again. Resident memory is looked at ten times
a second; the mean of the last tenth of the time may be at most 32 MB above that of the second
quarter (the footer grows with the file), and its peak under LIMIT_MB. The file is read back by
DuckDB: rows, and the sum of a column. Prints a row for RESULTS.md; the exit code is 0 when all
held."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import duckdb
import psutil
import pyarrow as pa
import pyarrow.compute as pc
from shared import ROOT, Watch, result

sys.path.insert(0, str(ROOT / "bench"))
import dataset  # noqa: E402

BATCHES = 16  # that differ; about 50 MB
LIMIT_MB = 200
GROWTH_MB = 32


def feed(pipe, gigabytes):
    """Returns bytes, rows and the sum of `amount` in cents."""
    table = dataset.make(BATCHES * dataset.BATCH_ROWS)
    batches = table.combine_chunks().to_batches(max_chunksize=dataset.BATCH_ROWS)
    cents = [round(pc.sum(pc.round(pc.multiply(b["amount"], 100.0))).as_py()) for b in batches]
    sent = rows = total = at = 0
    with pa.ipc.new_stream(pipe, table.schema) as writer:
        while sent < gigabytes * 1e9:
            k = at % len(batches)
            writer.write_batch(batches[k])
            sent, rows, at = sent + batches[k].nbytes, rows + batches[k].num_rows, at + 1
            total += cents[k]
    pipe.close()
    return sent, rows, total


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parquet-big-", dir=ROOT / "build") as directory:
        out = pathlib.Path(directory) / "big.parquet"
        program = os.environ.get("ARROWPORT_BIN", str(ROOT / "build/release/arrowport"))
        command = [program, "convert", "-", str(out), "--memory-limit", "256MB", "--quiet"]
        began = time.monotonic()
        convert = subprocess.Popen(command, stdin=subprocess.PIPE)
        watch = Watch(convert.pid)
        sent, rows, cents = feed(convert.stdin, args.gb)
        times = psutil.Process(convert.pid).cpu_times()
        seen = watch.stop()
        code = convert.wait()
        seconds = time.monotonic() - began
        got = duckdb.sql(
            f"SELECT count(*), sum(round(amount * 100)::BIGINT) FROM read_parquet('{out}')"
        ).fetchone()
        file_bytes = out.stat().st_size
    tenth = max(1, len(seen) // 10)
    quarter = seen[len(seen) // 4 : len(seen) // 2 + 1]
    growth = sum(seen[-tenth:]) / tenth - sum(quarter) / len(quarter)
    ok = code == 0 and got == (rows, cents) and max(seen) <= LIMIT_MB and growth <= GROWTH_MB
    over_time = ", ".join(f"{seen[min(k * tenth, len(seen) - 1)]:.0f}" for k in range(1, 10, 2))
    result(
        f"tests/soak/parquet_big.py --gb {args.gb:g}",
        f"{'' if ok else 'FAILED: '}{sent / 1e9:.1f} GB, {got[0]:,} of {rows:,} rows to "
        f"{file_bytes / 1e9:.2f} GB of Parquet in {seconds:.0f} s ("
        f"{sent / seconds / 1e6:.0f} MB/s, CPU {(times.user + times.system) / sent * 1e9:.2f} "
        f"s a GB), resident MB over time {over_time}, at most {max(seen):.0f} (limit {LIMIT_MB})",
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
