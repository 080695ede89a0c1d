"""Sends one very large DoPut and reads one very large DoGet, and watches the server's memory.

    flight_big.py [--gb 100] [--put-only | --get-only]

The DoPut goes into the `null` sink: batches of 65,536 typical rows, the same few again and again.
The DoGet is of a statement that makes its rows as they are read. Resident memory is looked at ten
times a second; the mean of the last tenth of the time may be at most 64 MB above that of the second
quarter, and its peak under the limit of 1 GB and what the process takes besides.
Prints a row for RESULTS.md for each; the exit code is 0 when both held."""

import argparse
import json
import pathlib
import sys
import tempfile
import threading
import time

import psutil
import pyarrow.flight as fl
from shared import ROOT, Server, Watch, result

sys.path.insert(0, str(ROOT / "bench"))
import dataset  # noqa: E402

BATCHES = 16  # that differ; about 50 MB
LIMIT_MB = 1000 + 200
GROWTH_MB = 64
ROW_BYTES = 24  # of the DoGet


def put(connection, gigabytes):
    """Returns bytes, and rows sent and acknowledged."""
    table = dataset.make(BATCHES * dataset.BATCH_ROWS)
    batches = table.combine_chunks().to_batches(max_chunksize=dataset.BATCH_ROWS)
    writer, reader = connection.do_put(fl.FlightDescriptor.for_path("dropped"), table.schema)
    acknowledged = [0]

    def listen():
        while (found := reader.read()) is not None:
            acknowledged[0] = json.loads(found.to_pybytes())["committed"]["rows"]

    ears = threading.Thread(target=listen)
    ears.start()
    sent = rows = at = 0
    while sent < gigabytes * 1e9:
        batch = batches[at % len(batches)]
        writer.write_batch(batch)
        sent, rows, at = sent + batch.nbytes, rows + batch.num_rows, at + 1
    writer.done_writing()
    ears.join()
    writer.close()
    return sent, rows, acknowledged[0]


def get(connection, gigabytes):
    """Returns bytes, and rows asked for and read."""
    rows = int(gigabytes * 1e9 / ROW_BYTES)
    sql = f"SELECT range AS n, range * 2 AS twice, range * 0.5::DOUBLE AS half FROM range({rows})"
    read = got = 0
    for chunk in connection.do_get(fl.Ticket(json.dumps({"sql": sql}))):
        read, got = read + chunk.data.nbytes, got + chunk.data.num_rows
    return read, rows, got


def watched(name, call, args):
    config = (
        "memory_limit: 1GB\nquery_timeout_s: 3600\nstreams: {dropped: {storage_backend: 'null'}}\n"
    )
    with tempfile.TemporaryDirectory(prefix="flight-big-", dir=ROOT / "build") as directory:
        server = Server(pathlib.Path(directory), config=config)
        try:
            with fl.FlightClient(f"grpc://127.0.0.1:{server.port}") as connection:
                watch = Watch(server.process.pid)
                began = time.monotonic()
                try:
                    moved, want, got = call(connection, args.gb)
                except Exception as error:
                    result(f"tests/soak/flight_big.py --gb {args.gb:g}", f"FAILED: {name}: {error}")
                    return False
                seconds = time.monotonic() - began
                seen = watch.stop()
            times = psutil.Process(server.process.pid).cpu_times()
        finally:
            server.kill()
    tenth = max(1, len(seen) // 10)
    quarter = seen[len(seen) // 4 : len(seen) // 2 + 1]
    early = sum(quarter) / len(quarter)
    late = sum(seen[-tenth:]) / tenth
    ok = want == got and max(seen) <= LIMIT_MB and late - early <= GROWTH_MB
    over_time = ", ".join(f"{seen[min(k * tenth, len(seen) - 1)]:.0f}" for k in range(1, 10, 2))
    result(
        f"tests/soak/flight_big.py --gb {args.gb:g}",
        f"{'' if ok else 'FAILED: '}{name} {moved / 1e9:.1f} GB, {got:,} of {want:,} rows in "
        f"{seconds:.0f} s ({moved / seconds / 1e6:.0f} MB/s, the server's CPU "
        f"{(times.user + times.system) / moved * 1e9:.2f} s a GB), resident MB over time "
        f"{over_time}, at most {max(seen):.0f} (limit {LIMIT_MB})",
    )
    return ok


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=100)
    parser.add_argument("--put-only", action="store_true")
    parser.add_argument("--get-only", action="store_true")
    args = parser.parse_args()
    ok = args.get_only or watched("DoPut", put, args)
    return 0 if (args.put_only or watched("DoGet", get, args)) and ok else 1


if __name__ == "__main__":
    sys.exit(main())
