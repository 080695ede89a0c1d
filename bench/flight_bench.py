"""Holds Flight against pyarrow's servers, DuckDB and TFMV/arrowport; bench/flight starts this.

All servers have the same client (pyarrow's, in a process of its own) and the same rows. Sides take
turns, each time in fresh processes, after a few rows that do not count; the best of each counts.
Processor time is the server's alone, of all its threads, per GB of Arrow data, and the least of the
repetitions. Ours checks everything that comes; pyarrow's server does not.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import dataset
from harness import OUT, ROOT, Process, build_tool, free_port, python, serve, tool

from bench import machine, verdict

PEER = ROOT / "bench" / "peers" / "flight_server.py"
ROOM = ("--memory-limit", "8GB")
PASSES = 4  # of what leaves nothing behind, in one process
SMALL_ROWS = 100
SMALL_CALLS = 1000
SMALL_MS_MAX = 0.2
DURABLE_CONNECTIONS = 32
DURABLE_CALLS_PER_S = 2000


class Sides:
    """Each side does the work in fresh processes, and says how long it took."""

    def __init__(self, args):
        self.args = args
        self.stream = dataset.ensure(OUT, args.rows)

    # ---- what is measured, by the same client

    def put(self, server, rows=dataset.BATCH_ROWS, writers=1, passes=1, *more):
        return python(
            "peers/flight_client.py",
            "put",
            server.port,
            self.stream,
            "--pid",
            server.process.pid,
            "--batch-rows",
            rows,
            "--writers",
            writers,
            "--passes",
            passes,
            *more,
        )

    def get(self, server, ticket="", warm=""):
        ask = ("--ticket", ticket, "--warm", warm, "--passes", PASSES)
        return python(
            "peers/flight_client.py", "get", server.port, "--pid", server.process.pid, *ask
        )

    def checked(self, figures, writers=1):
        if figures["rows"] != self.args.rows * writers:
            raise SystemExit(f"{self.args.rows} rows were to go: {figures}")
        return figures

    # ---- DoPut, dropped

    def ours_null(self, rows, writers=1):
        with serve(*ROOM, ARROWPORT_STORAGE_BACKEND="null") as server:
            return self.put(server, rows, writers, PASSES)

    def pyarrow_drop(self, rows, writers=1):
        with Process([sys.executable, PEER, "drop"]) as server:
            return self.put(server, rows, writers, PASSES)

    def rooms_drop(self, rows, writers=1):
        """Our network code alone, which checks nothing: what the client lets through."""
        with Process([build_tool("flight_memory"), dataset.ensure(OUT, 10)]) as server:
            return self.put(server, rows, writers, PASSES)

    # ---- DoPut into DuckDB

    def ours_memory(self):
        with serve(*ROOM) as server:
            return self.put(server)

    def ours_file(self):
        with serve(*ROOM, database="{dir}/bench.duckdb") as server:
            return self.put(server)

    def pyarrow_memory(self):
        with Process([sys.executable, PEER, "duckdb", ":memory:"]) as server:
            return self.put(server)

    def pyarrow_file(self):
        with Process([sys.executable, PEER, "duckdb", "{dir}/peer.duckdb"]) as server:
            return self.put(server)

    def duckdb_file(self):
        path = OUT / "peer.duckdb"
        try:
            return python("peer_duckdb.py", "insert", self.stream, path)
        finally:
            for leftover in (path, pathlib.Path(f"{path}.wal")):
                leftover.unlink(missing_ok=True)

    def tfmv(self):
        if "TFMV_SRC" not in os.environ:
            return None
        port = free_port()
        server = Process(
            [
                os.environ.get("TFMV_PYTHON", sys.executable),
                ROOT / "bench" / "tools" / "tfmv_server.py",
                port,
                "flight",
            ],
            {
                "PYTHONPATH": os.path.join(os.environ["TFMV_SRC"], "src"),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            talks=True,
        )
        try:
            server.wait_for_port(port)
            return self.put(server, dataset.BATCH_ROWS, 1, 1, "--json")
        finally:
            server.__exit__()

    # ---- DoGet

    def ours_table(self):
        with serve(*ROOM) as server:
            self.put(server)
            return self.get(server, '{"table": "t_0_0"}', '{"sql": "SELECT 1 AS x"}')

    def pyarrow_keep(self):
        with Process([sys.executable, PEER, "keep", self.stream]) as server:
            return self.get(server)

    def rooms_memory(self):
        with Process([build_tool("flight_memory"), self.stream]) as server:
            return self.get(server)

    def duckdb_fetch(self):
        return python("peer_duckdb.py", "fetch", self.stream)


# name, our side, held against, its side, ratio of rates at least, of processor time per GB at most
ROWS_64K = dataset.BATCH_ROWS
ROWS_1M = 1 << 20
CASES = [
    (
        "DoPut, dropped, 64k rows a batch",
        ("ours_null", ROWS_64K),
        "pyarrow, dropping",
        ("pyarrow_drop", ROWS_64K),
        2.0,
        0.6,
    ),
    (
        "DoPut, dropped, 1M rows a batch",
        ("ours_null", ROWS_1M),
        "pyarrow, dropping",
        ("pyarrow_drop", ROWS_1M),
        2.0,
        0.6,
    ),
    (
        "DoPut, dropped, four writers",
        ("ours_null", ROWS_64K, 4),
        "pyarrow, dropping",
        ("pyarrow_drop", ROWS_64K, 4),
        2.0,
        None,
    ),
    (
        "DoPut, dropped, 64k rows a batch",
        ("ours_null", ROWS_64K),
        "our network code alone",
        ("rooms_drop", ROWS_64K),
        None,
        None,
    ),
    ("DoPut into memory", ("ours_memory",), "pyarrow and DuckDB", ("pyarrow_memory",), 2.0, None),
    ("DoPut into memory", ("ours_memory",), "TFMV/arrowport's Flight", ("tfmv",), 2.0, None),
    ("DoPut into a file", ("ours_file",), "pyarrow and DuckDB", ("pyarrow_file",), 1.3, None),
    ("DoPut into a file", ("ours_file",), "DuckDB's own insert", ("duckdb_file",), 0.85, None),
    ("DoGet of a table", ("ours_table",), "pyarrow, of memory", ("pyarrow_keep",), 0.9, 2.0),
    ("DoGet of a table", ("ours_table",), "fetch_arrow_table", ("duckdb_fetch",), 0.7, None),
    ("DoGet of memory", ("rooms_memory",), "pyarrow, of memory", ("pyarrow_keep",), 1.0, 0.6),
]


def wanted(only, *words):
    text = " ".join(words)
    return all(word in text for word in only.split())


def best_of(sides, keys, reps, results):
    """Of each side the fastest repetition, with the least processor time of any."""
    best = {}
    for _ in range(reps):
        for key in keys:
            figures = getattr(sides, key[0])(*key[1:])
            results({"side": key[0], "what": key[1:], **(figures or {"absent": True})})
            if figures is None:
                best[key] = None
                continue
            writers = key[2] if len(key) > 2 else 1
            sides.checked(figures, writers)
            figures["bytes"] = sides.stream.stat().st_size * writers
            known = best.get(key)
            cpu = min(figures["cpu_seconds"], known["cpu_seconds"] if known else float("inf"))
            if known is None or figures["seconds"] < known["seconds"]:
                best[key] = figures
            best[key]["cpu_seconds"] = cpu
    return best


def rate(figures):
    return figures["bytes"] / figures["seconds"] / 1e9


def cpu(figures):
    return figures["cpu_seconds"] / (figures["bytes"] / 1e9)


def measure_rates(args, results):
    sides = Sides(args)
    chosen = [case for case in CASES if wanted(args.only, case[0], case[2])]
    keys = list(dict.fromkeys(key for case in chosen for key in (case[3], case[1])))
    best = best_of(sides, keys, args.reps, results)
    if not chosen:
        return
    print("\n| case | ours | held against | theirs | ratio | target | |")
    print("|---|---|---|---|---|---|---|")
    for name, ours, against, theirs, ratio_min, _ in chosen:
        mine, other = best[ours], best[theirs]
        if other is None:
            print(f"| {name} | {rate(mine):.2f} GB/s | {against} | absent: set TFMV_SRC | | | |")
            continue
        ratio = rate(mine) / rate(other)
        aim = "" if ratio_min is None else f"≥ {ratio_min}"
        print(
            f"| {name} | {rate(mine):.2f} GB/s | {against} | {rate(other):.2f} GB/s | {ratio:.2f} "
            f"| {aim} | {verdict(ratio, ratio_min)} |"
        )
    print("\n| server processor time per GB | ours | held against | theirs | share | at most | |")
    print("|---|---|---|---|---|---|---|")
    for name, ours, against, theirs, _, cpu_max in chosen:
        mine, other = best[ours], best[theirs]
        if other is None:
            continue
        share = cpu(mine) / cpu(other) if other["cpu_seconds"] > 0 else 0
        aim = "" if cpu_max is None else f"≤ {cpu_max}"
        held = "" if cpu_max is None else ("reached" if share <= cpu_max else "NOT reached")
        print(
            f"| {name} | {cpu(mine):.2f} s | {against} | {cpu(other):.2f} s | {share:.2f} "
            f"| {aim} | {held} |"
        )


# ---- small calls, from our own client


def puts(server, *options):
    body = dataset.ensure(OUT, SMALL_ROWS)
    cpu_before = server.cpu_seconds()
    done = tool(build_tool("flight_puts"), server.port, "t", body, *options)
    return {**done, "server_cpu_s": server.cpu_seconds() - cpu_before}


def measure_small(args, results):
    alone = durable = None
    for _ in range(args.reps):
        with serve(ARROWPORT_STORAGE_BACKEND="null") as server:
            figures = puts(server, f"calls={SMALL_CALLS}")
        results({"side": "ours", "what": "small calls", **figures})
        if alone is None or figures["ms_a_call"] < alone["ms_a_call"]:
            alone = figures
        with serve(database="{dir}/bench.duckdb") as server:
            options = (f"connections={DURABLE_CONNECTIONS}", f"seconds={args.seconds}")
            figures = puts(server, *options)
        results({"side": "ours", "what": "small durable calls", **figures})
        if durable is None or figures["calls_per_s"] > durable["calls_per_s"]:
            durable = figures
    print(f"\n| DoPut of {SMALL_ROWS} rows, by our own client | measured | wanted | |")
    print("|---|---|---|---|")
    ratio = SMALL_MS_MAX / alone["ms_a_call"]
    print(
        f"| {SMALL_CALLS:,} calls on one connection, dropped, ms a call | {alone['ms_a_call']:.3f} "
        f"| ≤ {SMALL_MS_MAX} | {verdict(ratio, 1.0)} |"
    )
    ratio = durable["calls_per_s"] / DURABLE_CALLS_PER_S
    print(
        f"| {DURABLE_CONNECTIONS} connections, durable, calls/s | {durable['calls_per_s']:,.0f} "
        f"| ≥ {DURABLE_CALLS_PER_S:,} | {verdict(ratio, 1.0)} |"
    )
    for name, value in (
        ("one connection: p99, ms", alone["p99_ms"]),
        ("durable: p50, ms", durable["p50_ms"]),
        ("durable: p99, ms", durable["p99_ms"]),
        (
            "durable: processor time of the server a call, ms",
            durable["server_cpu_s"] * 1e3 / durable["calls"],
        ),
    ):
        print(f"| {name} | {value:.3f} | | |")


def main():
    parser = argparse.ArgumentParser(
        prog="bench/flight",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="typical ones (10000000)")
    parser.add_argument("--reps", type=int, default=3, help="of each side; the best counts")
    parser.add_argument("--seconds", type=float, default=5, help="of small durable calls (5)")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="cases in whose name, or peer's name, all of these words are: 'DoGet', 'small'",
    )
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "flight.jsonl", "a") as kept:

        def results(line):
            kept.write(json.dumps(line) + "\n")
            kept.flush()

        command = " ".join(["bench/flight", *sys.argv[1:]])
        print(f"{machine()}\n`{command}`", flush=True)
        results({"machine": machine(), "command": command, "date": time.strftime("%F %R")})
        measure_rates(args, results)
        if wanted(args.only, "small calls"):
            measure_small(args, results)


if __name__ == "__main__":
    main()
