"""Many small posts at once over kept-alive connections, beside DuckDB alone, which commits the same
rows in groups, and beside TFMV/arrowport. And rows by key, beside plain SQL in DuckDB.

Sides take turns; the best of each counts. What a request waited while a checkpoint ran is told
apart: the client watches the write-ahead log.
"""

import os
import pathlib
import shutil
import sys

import dataset
import peer_upsert
from harness import ARROW, OUT, ROOT, Process, build_tool, free_port, python, serve, tool

# name, rows a request, connections, requests in a commit of DuckDB's, its tokens, at least so many
# of its rate, and so many requests a second
SHAPES = (
    ("small posts of 100 rows", 100, 64, 100, 0, 0.6, None),
    ("small posts of 1 row", 1, 256, 256, 1, None, 20_000),
)
P99_MS_MAX = 50
TFMV_RATIO = 10.0
TARGET = "/ingest/t"


def body_of(rows):
    return dataset.ensure(OUT, rows)


def ours(rows, connections, seconds, keys=0):
    with serve(database="{dir}/bench.duckdb") as server:
        tool("http_send", server.port, TARGET, ARROW, body_of(rows))
        cpu = server.cpu_seconds()
        figures = tool(
            "small_posts",
            server.port,
            TARGET,
            ARROW,
            body_of(rows),
            f"rows={rows}",
            f"connections={connections}",
            f"seconds={seconds}",
            f"keys={keys}",
            f"wal={server.directory}/bench.duckdb.wal",
        )
        figures["cpu_seconds"] = server.cpu_seconds() - cpu
    if figures["errors"] or figures["wrong_rows"]:
        raise SystemExit(f"not every post was answered as it should be: {figures}")
    return figures


def duckdb_alone(rows, group, tokens, seconds):
    database = OUT / "groups.duckdb"
    try:
        for leftover in (database, pathlib.Path(f"{database}.wal")):
            leftover.unlink(missing_ok=True)
        options = (f"group={group}", f"tokens={tokens}", f"seconds={seconds}")
        return tool(build_tool("duckdb_groups"), database, body_of(rows), *options)
    finally:
        for leftover in (database, pathlib.Path(f"{database}.wal")):
            leftover.unlink(missing_ok=True)


def tfmv(rows, connections, seconds, tfmv_body):
    port = free_port()
    server = Process(
        [
            os.environ.get("TFMV_PYTHON", sys.executable),
            ROOT / "bench" / "tools" / "tfmv_server.py",
            port,
        ],
        {
            "PYTHONPATH": os.path.join(os.environ["TFMV_SRC"], "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        talks=True,
    )
    kind = "application/json"
    try:
        server.wait_for_port(port)
        body = tfmv_body(body_of(rows), rows)
        tool("http_send", port, "/stream/t", kind, body)  # it opens DuckDB
        return tool(
            "small_posts",
            port,
            "/stream/t",
            kind,
            body,
            f"rows={rows}",
            f"connections={connections}",
            f"seconds={seconds}",
            "field=rows_processed",
        )
    finally:
        server.__exit__()


def measure_posts(args, results, tfmv_body):
    """Lines (case, connections, ours, against, theirs, ratio, target), and lines of figures."""
    rates, sizes = [], []
    for name, rows, connections, group, tokens, share, rate in SHAPES:
        if args.only not in name:
            continue
        with_tfmv = "TFMV_SRC" in os.environ
        seconds, best = args.seconds, {}
        sides = {
            "duckdb": lambda: duckdb_alone(rows, group, tokens, seconds),  # noqa: B023
            "ours": lambda: ours(rows, connections, seconds),  # noqa: B023
            "ours with keys": lambda: ours(rows, connections, seconds, keys=1),  # noqa: B023
        }
        if with_tfmv:
            sides["tfmv"] = lambda: tfmv(rows, connections, seconds, tfmv_body)  # noqa: B023
        for _ in range(args.reps):
            for side, run in sides.items():
                figures = run()
                results({"side": side, "case": name, **figures})
                if side not in best or figures["requests_per_s"] > best[side]["requests_per_s"]:
                    best[side] = figures
        alone = f"duckdb alone, {group} in a commit" + (", tokens" if tokens else "")
        for side in ("ours", "ours with keys"):
            said = name + (", Idempotency-Key" if side != "ours" else "")
            mine = best[side]["requests_per_s"]
            theirs = best["duckdb"]["requests_per_s"]
            aim = share if side == "ours" else None
            rates.append((said, connections, mine, alone, theirs, mine / theirs, aim))
            if with_tfmv and side == "ours":
                peer = best["tfmv"]["requests_per_s"]
                against = "TFMV/arrowport over HTTP (in memory)"
                rates.append((said, connections, mine, against, peer, mine / peer, TFMV_RATIO))
            quiet, every = best[side]["outside_checkpoints"], best[side]["all"]
            limit = P99_MS_MAX if rate else None
            sizes.append((f"{said}: p99 outside checkpoints, ms", quiet["p99_ms"], limit))
            sizes.append((f"{said}: p99 of all, ms", every["p99_ms"], None))
            sizes.append(
                (f"{said}: longest checkpoint, ms", best[side]["longest_checkpoint_ms"], None)
            )
        if rate:
            mine = best["ours"]["requests_per_s"]
            wanted = f"{rate:,} a second"
            rates.append((name, connections, mine, wanted, rate, mine / rate, 1.0))
    return rates, sizes


def print_posts(rates, verdict):
    print("\n| case | connections | ours, requests/s | held against | theirs | ratio | target | |")
    print("|---|---|---|---|---|---|---|---|")
    for case, connections, mine, against, theirs, ratio, target in rates:
        aim = "" if target is None else f"≥ {target}"
        print(
            f"| {case} | {connections} | {mine:,.0f} | {against} | {theirs:,.0f} | {ratio:.2f} "
            f"| {aim} | {verdict(ratio, target)} |"
        )


# ---- rows by key


UPSERT_TARGET = 0.9


class Upserts:
    """Tables of `rows` rows to upsert `new` into; copied for each run."""

    def __init__(self, rows, new):
        self.rows, self.new = rows, new
        self.copy = OUT / "upsert-copy.duckdb"

    def base(self, keyed):
        path = OUT / f"upsert-{self.rows}{'-key' if keyed else ''}.duckdb"
        if not path.exists():
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            python("peer_upsert.py", "base", part, self.rows, *(["key"] if keyed else []))
            part.rename(path)
        return path

    def stream(self, existing):
        path = OUT / f"upsert-{self.rows}-{self.new}-{existing}.arrows"
        if not path.exists():
            python("peer_upsert.py", "new", path, self.rows, self.new, existing)
        return path

    def fresh(self, keyed=False):
        pathlib.Path(f"{self.copy}.wal").unlink(missing_ok=True)
        shutil.copy(self.base(keyed), self.copy)
        with open(self.copy, "rb") as copy:
            os.fsync(copy.fileno())
        return self.copy

    def remove(self):
        for leftover in (self.copy, pathlib.Path(f"{self.copy}.wal")):
            leftover.unlink(missing_ok=True)

    def check(self, existing):
        rows = self.rows + self.new - existing
        python("peer_upsert.py", "check", self.copy, self.stream(existing), rows)

    def ours(self, existing):
        with serve("--memory-limit", "8GB", database=self.fresh()) as server:
            tool(
                "http_receive",
                server.port,
                "/query",
                "application/sql",
                ARROW,
                "SELECT count(*) FROM t",
            )
            cpu = server.cpu_seconds()
            figures = tool(
                "http_send",
                server.port,
                f"{TARGET}?mode=upsert&key=id",
                ARROW,
                self.stream(existing),
            )
            figures["cpu_seconds"] = server.cpu_seconds() - cpu
            if figures["status"] != 200 or figures["answer"]["rows"] != self.new:
                raise SystemExit(f"the rows did not land: {figures}")
        self.check(existing)
        return figures

    def theirs(self, way, existing):
        keyed = way in peer_upsert.KEYED
        figures = python("peer_upsert.py", way, self.fresh(keyed), self.stream(existing))
        return figures


def measure_upserts(args, results):
    """Lines as bench.print_table has them."""
    lines = []
    for rows in args.rows:
        upserts = Upserts(rows, rows // 10)
        for part, existing in (("half of them there", upserts.new // 2), ("all", upserts.new)):
            name = f"upsert of {upserts.new:,}, {part}"
            if args.only not in name:
                continue
            best = {}
            for turn in range(args.reps):
                for way in (None, *peer_upsert.WAYS):
                    slow = way is not None and best.get(way, {"seconds": 0})["seconds"] > 2 * min(
                        figures["seconds"] for figures in best.values()
                    )
                    if turn > 0 and slow:
                        continue  # it will not be the best
                    figures = upserts.theirs(way, existing) if way else upserts.ours(existing)
                    results({"case": name, "rows": rows, "side": way or "ours", **figures})
                    if way not in best or figures["seconds"] < best[way]["seconds"]:
                        best[way] = figures
            mine = best.pop(None)["seconds"]
            ordered = sorted(best, key=lambda way: best[way]["seconds"])
            for way in ordered:
                theirs = best[way]["seconds"]
                aim = UPSERT_TARGET if way == ordered[0] else None
                lines.append((name, rows, mine, f"duckdb: {way}", theirs, theirs / mine, aim))
            upserts.remove()
    return lines
