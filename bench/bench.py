"""Holds the server against its peers and its limits; bench/run starts this.

Every case is measured in the same run on the same rows as what it is held against:
repetitions of all sides take turns, each in a fresh process, and the best of each
counts. JSON lines (one a side), then a table with the ratios and their targets.
"""

import argparse
import base64
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys
import time
import urllib.request

import connections
import dataset
import small_posts
from harness import ARROW, OUT, ROOT, Process, binary, free_port, python, serve, tool

CREATE = "/ingest/t"
SELECT = "SELECT * FROM t"


# The peer's DuckDB takes what the machine has; ten million rows in memory need more than
# the default of 1 GB. The big stream is measured with the default.
ROOM = ("--memory-limit", "8GB")


def checked(figures, rows, key="rows"):
    """Takes the answer out of the figures, and checks the number of rows in it."""
    answer = figures.pop("answer", None) or figures
    if answer.get(key) != rows:
        raise SystemExit(f"{rows} rows were to land: {answer}")
    return figures


# ---- sides: each does the work once, in fresh processes, and says how long it took


def empty_stream(stream):
    """The schema of a stream and no rows: what makes the table before the clock starts."""
    first, last = dataset.frame(stream)
    path = OUT / "empty.arrows"
    data = pathlib.Path(stream).read_bytes()
    path.write_bytes(data[:first] + data[last:])
    return path


def ours_ingest(database, stream, rows):
    with serve(*ROOM, database=database) as server:
        tool("http_send", server.port, CREATE, ARROW, empty_stream(stream))
        cpu = server.cpu_seconds()
        figures = tool("http_send", server.port, CREATE, ARROW, stream)
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
        figures["rss_peak_mb"] = server.memory_mb("VmHWM")
        return checked(figures, rows)


def ours_memory(stream, rows):
    return ours_ingest(":memory:", stream, rows)


def ours_file(stream, rows):
    return ours_ingest("{dir}/bench.duckdb", stream, rows)


def ours_null(stream, rows):
    with serve(ARROWPORT_STORAGE_BACKEND="null") as server:
        cpu = server.cpu_seconds()
        figures = tool("http_send", server.port, CREATE, ARROW, stream)
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
        return checked(figures, rows)


def limit_tcp(stream, _rows):
    with Process([OUT / "tcp_receive"]) as receiver:
        cpu = receiver.cpu_seconds()
        figures = tool("http_send", receiver.port, CREATE, ARROW, stream)
        figures["cpu_seconds"] = receiver.cpu_seconds() - cpu
        figures.pop("answer")
        return figures


def ours_null_h2(stream, rows):
    with serve(ARROWPORT_STORAGE_BACKEND="null") as server:
        cpu = server.cpu_seconds()
        figures = tool("h2_send", server.port, CREATE, ARROW, stream)
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
        return checked(figures, rows)


def ours_null_tls(stream, rows):
    pair = connections.certificate()
    settings = ("--set", f"tls.cert={pair.cert}", "--set", f"tls.key={pair.key}")
    with serve(*settings, ARROWPORT_STORAGE_BACKEND="null") as server:
        cpu = server.cpu_seconds()
        figures = tool("tls_send", server.port, CREATE, ARROW, stream)
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
        return checked(figures, rows)


def limit_tls(stream, _rows):
    """The same sender into `openssl s_server`, which drops what it decrypts."""
    pair = connections.certificate()
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-naccept", "1"]
    command += ["-cert", pair.cert, "-key", pair.key, "-tls1_3"]
    with subprocess.Popen(
        [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as receiver:
        connections.wait_for_listener(port)
        figures = tool("tls_send", port, "-", "-", stream)
        receiver.wait(30)
    figures.pop("answer")
    return figures


def peer_insert(database, stream, rows):
    path = OUT / "peer.duckdb"
    try:
        figures = python(
            "peer_duckdb.py", "insert", stream, path if database == "file" else database
        )
    finally:
        for leftover in (path, pathlib.Path(f"{path}.wal")):
            leftover.unlink(missing_ok=True)
    return checked(figures, rows)


def peer_memory(stream, rows):
    return peer_insert(":memory:", stream, rows)


def peer_file(stream, rows):
    return peer_insert("file", stream, rows)


def peer_fetch(stream, rows):
    figures = python("peer_duckdb.py", "fetch", stream)
    return checked(figures, rows)


def ours_query(stream, rows):
    """The answer is drawn by a C client that keeps nothing of it."""
    with serve(*ROOM) as server:
        tool("http_send", server.port, CREATE, ARROW, stream)
        cpu = server.cpu_seconds()
        figures = tool("http_receive", server.port, "/query", "application/sql", ARROW, SELECT)
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
        if figures["status"] != 200 or not figures["whole"]:
            raise SystemExit(f"the answer was not whole: {figures}")
        return figures


def ours_query_pyarrow(stream, rows):
    """The same, read into a table by pyarrow, as its users would."""
    import pyarrow as pa

    with serve(*ROOM) as server:
        tool("http_send", server.port, CREATE, ARROW, stream)
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/query",
            SELECT.encode(),
            {"Content-Type": "application/sql", "Accept": ARROW},
        )
        start = time.perf_counter()
        with urllib.request.urlopen(request) as answer, pa.ipc.open_stream(answer) as reader:
            table = reader.read_all()
        figures = {"seconds": time.perf_counter() - start, "rows": table.num_rows}
        return checked(figures, rows)


def tfmv_body(stream, rows):
    """The request that TFMV/arrowport takes: JSON with the stream in base64."""
    path = OUT / f"tfmv-{rows}.json"
    if not path.exists():
        data = pathlib.Path(stream).read_bytes()
        import pyarrow as pa

        schema = pa.ipc.open_stream(data).schema.serialize().to_pybytes()
        path.write_text(
            json.dumps(
                {
                    "config": {"target_table": "t"},
                    "batch": {
                        "arrow_schema": base64.b64encode(schema).decode(),
                        "data": base64.b64encode(data).decode(),
                    },
                }
            )
        )
    return path


def peer_tfmv(stream, rows):
    source = os.environ["TFMV_SRC"]
    interpreter = os.environ.get("TFMV_PYTHON", sys.executable)
    body = tfmv_body(stream, rows)
    port = free_port()
    warm = tfmv_body(dataset.ensure(OUT, 10), 10)
    server = Process(
        [interpreter, ROOT / "bench" / "tools" / "tfmv_server.py", port],
        {"PYTHONPATH": os.path.join(source, "src"), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        server.wait_for_port(port)
        tool("http_send", port, "/stream/warm", "application/json", warm)  # it opens DuckDB
        cpu = server.cpu_seconds()
        figures = tool("http_send", port, "/stream/t", "application/json", body)
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
        figures["rss_peak_mb"] = server.memory_mb("VmHWM")
    finally:
        server.__exit__()
    return checked(figures, rows, "rows_processed")


# ---- cases: what is held against what


CASES = [
    # name, ours, held against, its side, at least this ratio of speeds
    ("ingest into memory", ours_memory, "duckdb in its own process", peer_memory, 0.85),
    ("ingest into a file, durable", ours_file, "duckdb in its own process", peer_file, 0.9),
    ("ingest into memory", ours_memory, "TFMV/arrowport over HTTP", peer_tfmv, 3.0),
    ("receive (null backend)", ours_null, "plain TCP receiver", limit_tcp, 0.7),
    ("receive over HTTP/2 (null backend)", ours_null_h2, "plain TCP receiver", limit_tcp, 0.6),
    ("receive over TLS (null backend)", ours_null_tls, "openssl s_server", limit_tls, 0.6),
    ("query to Arrow", ours_query, "duckdb fetch_arrow_table", peer_fetch, 0.7),
    (
        "query to Arrow, by pyarrow",
        ours_query_pyarrow,
        "duckdb fetch_arrow_table",
        peer_fetch,
        None,
    ),
]


def best_of(sides, reps, stream, rows):
    """Seconds of each side, best of `reps`; the sides take turns. A side that several
    cases share is measured once."""
    best = {}
    for _ in range(reps):
        for side in sides:
            figures = side(stream, rows)
            if side not in best or figures["seconds"] < best[side]["seconds"]:
                best[side] = figures
    return best


def measure_rates(args, results):
    table = []
    for rows in args.rows:
        stream = dataset.ensure(OUT, rows)
        bytes_ = stream.stat().st_size
        cases = [c for c in CASES if args.only in c[0] or args.only in c[2]]
        if "TFMV_SRC" not in os.environ:
            for case in [c for c in cases if c[3] is peer_tfmv]:
                results(
                    {
                        "case": case[0],
                        "against": case[2],
                        "rows": rows,
                        "absent": "TFMV_SRC names no checkout of TFMV/arrowport",
                    }
                )
                table.append((case[0], rows, None, case[2], None, "absent: set TFMV_SRC", case[4]))
                cases.remove(case)
        sides = list(dict.fromkeys(side for c in cases for side in (c[3], c[1])))
        best = best_of(sides, args.reps, stream, rows)
        for side, figures in best.items():
            seconds = figures["seconds"]
            results(
                {
                    "side": side.__name__,
                    "rows": rows,
                    "stream_bytes": bytes_,
                    "reps": args.reps,
                    **{k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()},
                    "rows_per_s": round(rows / seconds),
                    "mb_per_s": round(bytes_ / seconds / 1e6),
                }
            )
        for case, ours, against, theirs, target in cases:
            our_s, their_s = best[ours]["seconds"], best[theirs]["seconds"]
            table.append((case, rows, our_s, against, their_s, their_s / our_s, target))
    return table


# ---- what is not a rate


def idle_memory():
    with serve(database="{dir}/idle.duckdb") as server:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz").read()
        return server.memory_mb()


def version_ms(reps):
    def once():
        start = time.perf_counter()
        subprocess.run([binary(), "version"], check=True, capture_output=True)
        return (time.perf_counter() - start) * 1e3

    return min(once() for _ in range(max(reps, 20)))


def start_ms(reps):
    """From starting `serve` to the first byte of the answer to GET /healthz; whoever asks tries
    again a fifth of a millisecond after a refusal."""
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def once():
        port = free_port()
        command = [
            binary(),
            "serve",
            "--quiet",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--db",
            ":memory:",
        ]
        start = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                        client.sendall(request)
                        if not client.recv(64).startswith(b"HTTP/1.1 200"):
                            raise SystemExit("/healthz is not 200")
                        return (time.perf_counter() - start) * 1e3
                except ConnectionRefusedError:
                    if process.poll() is not None or time.perf_counter() - start > 30:
                        raise SystemExit("the server did not start") from None
                    time.sleep(0.0002)
        finally:
            process.terminate()
            process.wait(30)

    return sorted(once() for _ in range(max(reps, 20)))


def big_stream(gigabytes):
    script = ROOT / "tests" / "soak" / "big_stream.py"
    done = subprocess.run(
        [sys.executable, script, "--gb", str(gigabytes), "--json"], capture_output=True, text=True
    )
    return json.loads(done.stdout) if done.stdout else {"failed": done.stderr[-500:]}


def measure_sizes(args, results):
    lines = []
    if args.only in "idle memory":
        memory = idle_memory()
        results({"case": "idle memory", "mb": round(memory, 1), "limit_mb": 40})
        lines.append(("idle server, MB", memory, 40))
    if args.only in "version":
        version = version_ms(args.reps)
        results({"case": "arrowport version", "ms": round(version, 2), "limit_ms": 10})
        lines.append(("arrowport version, ms", version, 10))
    if args.only in "start":
        starts = start_ms(args.reps)
        median = starts[len(starts) // 2]
        results(
            {
                "case": "start to first byte",
                "ms": round(median, 2),
                "best_ms": round(starts[0], 2),
                "worst_ms": round(starts[-1], 2),
                "limit_ms": 50,
            }
        )
        lines.append(("start to first byte, ms (median)", median, 50))
    for kind in connections.KINDS:
        if args.only in f"idle connections {kind}":
            figures = connections.idle(kind, args.connections)
            results({"case": f"idle connections {kind}", **figures})
            limit = 100 if kind == "HTTP/1.1" else None
            name = f"{figures['connections']:,} idle connections, {kind}, MB more"
            lines.append((name, figures["more_mb"], limit))
    if args.big and args.only in "big stream":
        figures = big_stream(args.big)
        results({"case": "big stream", **figures})
        if "rss_peak_mb" in figures:
            lines.append(
                (f"{args.big} GB stream, peak MB", figures["rss_peak_mb"], figures["limit_mb"])
            )
    return lines


# ---- output


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next(
            (line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")),
            platform.machine(),
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GB, "
        f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"
    )


def verdict(ratio, target):
    return "" if target is None else "reached" if ratio >= target else "NOT reached"


def print_table(rates, sizes):
    if rates:
        print("\n| case | rows | ours | held against | theirs | ratio | target | |")
        print("|---|---|---|---|---|---|---|---|")
    for case, rows, ours, against, theirs, ratio, target in rates:
        aim = "" if target is None else f"≥ {target}"
        if ours is None:
            print(f"| {case} | {rows:,} | | {against} | {ratio} | | {aim} | not measured |")
        else:
            print(
                f"| {case} | {rows:,} | {ours:.3f} s | {against} | {theirs:.3f} s | {ratio:.2f} "
                f"| {aim} | {verdict(ratio, target)} |"
            )
    if sizes:
        print("\n| what | measured | at most | |\n|---|---|---|---|")
        for what, value, limit in sizes:
            held = "" if limit is None else "reached" if value <= limit else "NOT reached"
            print(f"| {what} | {value:.1f} | {'' if limit is None else limit} | {held} |")


def main():
    parser = argparse.ArgumentParser(
        prog="bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows",
        default="1000000,10000000",
        help="sizes, separated by commas",
        type=lambda text: [int(part) for part in text.split(",")],
    )
    parser.add_argument("--reps", type=int, default=3, help="repetitions; the best counts")
    parser.add_argument("--seconds", type=float, default=10, help="of small posts (10)")
    parser.add_argument("--only", default="", help="cases whose name, or peer's name, holds this")
    parser.add_argument(
        "--connections", type=int, default=10_000, help="idle ones (10000; ulimit -n allowing)"
    )
    parser.add_argument(
        "--big",
        type=float,
        default=0,
        metavar="GB",
        help="also a stream of so many GB into a file, its memory watched (20)",
    )
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)

    with open(OUT / "results.jsonl", "a") as kept:

        def results(line):
            text = json.dumps(line)
            print(text, flush=True)
            kept.write(text + "\n")

        results(
            {
                "machine": machine(),
                "command": " ".join(["bench/run", *sys.argv[1:]]),
                "date": time.strftime("%Y-%m-%d %H:%M"),
            }
        )
        rates = measure_rates(args, results)
        rates += small_posts.measure_upserts(args, results)
        posts, waits = small_posts.measure_posts(args, results, tfmv_body)
        print_table(rates, measure_sizes(args, results) + waits)
        if posts:
            small_posts.print_posts(posts, verdict)


if __name__ == "__main__":
    main()
