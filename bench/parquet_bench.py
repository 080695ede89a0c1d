"""Holds the Parquet writer against other programs; bench/parquet starts this.

All programs write the same rows, which they hold in memory in their own form, to a file, with the
same codec, level and rows a row group. Repetitions take turns, each in a fresh process; of each
program the best wall time, the least processor time and the least memory count. What was written is
read back by pyarrow once, and every value compared.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

import parquet_dataset
from harness import OUT, ROOT, build_tool

from bench import machine, verdict

CODECS = ("none", "snappy", "zstd")
THREADS = 2
ROW_GROUP_ROWS = 1 << 20
UNLIMITED = 1 << 60
PEERS = ("pyarrow", "polars", "duckdb", "carquet", "deltalake")
LABELS = {
    "ours": "ours",
    "ours_compatible": "ours, compatible",
    "ours_checksums": "ours, checksums",
    "ours_defaults": "ours, as it is by itself",
    "pyarrow": "pyarrow",
    "pyarrow_like": "pyarrow, our encodings",
    "pyarrow_checksums": "pyarrow, checksums",
    "polars": "polars",
    "polars_own": "polars, its own row groups",
    "duckdb": "DuckDB",
    "duckdb_own": "DuckDB, its own row groups",
    "carquet": "carquet",
    "carquet_checksums": "carquet, checksums",
    "deltalake": "arrow-rs (deltalake)",
}
# Ours, held against, at least so much faster.
SPEED = {
    "typical": [("ours", "polars", 2.5), ("ours", "pyarrow", 4.0), ("ours", "duckdb", 4.0)],
    "compatible": [("ours_compatible", "polars", 1.5), ("ours_compatible", "pyarrow", 2.0)],
    "others": [("ours", "polars", 1.5), ("ours", "pyarrow", 2.0)],
}
# Ours against pyarrow's, at most; `others`: of all programs but those that take our encodings.
CPU_MOST = 0.35
MEMORY_MOST = 1 / 3
BYTES_MOST = 1.0


class Sides:
    """Each writes the rows of a shape once, in a fresh process: its figures, or why not."""

    def __init__(self, args):
        self.args = args

    def stream(self, shape):
        return parquet_dataset.ensure(OUT, shape, parquet_dataset.rows_of(shape, self.args.rows))

    def out(self, side, shape, codec):
        return OUT / f"parquet-{side}-{shape}-{codec}.parquet"

    def run(self, side, shape, codec):
        program, _, variant = side.partition("_")
        out = self.out(side, shape, codec)
        drop(out)
        command = [self.stream(shape), out, "--codec", codec, "--threads", THREADS]
        if variant not in ("own", "defaults"):
            command += ["--row-group-rows", ROW_GROUP_ROWS]
        if codec == "zstd":
            command += ["--level", self.args.level]
        if program == "ours":
            return self._ours(command, variant)
        if variant == "checksums":
            command.append("--checksums")
        if variant == "like":
            command += ["--like", self.out("ours", shape, codec)]
        script = ROOT / "bench" / "peers" / f"parquet_{program}.py"
        return started(os.environ["PARQUET_PYTHON"], script, *command)

    def _ours(self, command, variant):
        if variant == "defaults":
            command += ["--checksums", "yes"]
        else:
            command += ["--row-group-bytes", UNLIMITED]
        if variant == "checksums":
            command += ["--checksums", "yes"]
        if variant == "compatible":
            command += ["--profile", "compatible"]
        tool = os.environ.get("BENCH_PARQUET") or build_tool("parquet")
        return started(tool, *command)


def drop(path):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def started(*command):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [""]
        return None, f"exit {done.returncode}: {said[0][:200]}"
    return json.loads(done.stdout.splitlines()[-1]), None


def checked(stream, out):
    """None when pyarrow reads the rows of the stream from the file, else what differs."""
    script = ROOT / "bench" / "peers" / "parquet_check.py"
    figures, why = started(os.environ["PARQUET_PYTHON"], script, stream, out)
    return why or figures["differs"]


def sides_of(shape, codec):
    yield "ours"
    yield "ours_compatible"
    yield from PEERS
    yield "pyarrow_like"
    if shape == "typical":
        yield from ("polars_own", "duckdb_own")
    if shape == "typical" and codec == "zstd":
        yield from ("ours_checksums", "pyarrow_checksums", "carquet_checksums", "ours_defaults")


def wanted(only, *words):
    text = " ".join(words)
    return all(word in text for word in only.split())


def measure(sides, shape, codec, chosen, results):
    """The best of each side: {side: (figures, why there are none, what was read differently)}."""
    best = {}
    for rep in range(sides.args.reps):
        for side in chosen:
            if rep > 0 and best[side][0] is None:
                continue
            figures, why = sides.run(side, shape, codec)
            results({"side": side, "shape": shape, "codec": codec, **(figures or {"absent": why})})
            if rep == 0:
                differs = "not asked" if sides.args.unchecked else None
                if figures and not sides.args.unchecked:
                    differs = checked(sides.stream(shape), sides.out(side, shape, codec))
                best[side] = (figures, why, differs)
            elif figures:
                known = best[side][0]
                for key in ("seconds", "cpu_seconds", "peak_mb"):
                    known[key] = min(known[key], figures[key])
    for side in chosen:
        drop(sides.out(side, shape, codec))
    return best


# ---- what is printed


def share(theirs, ours):
    return f"{theirs / ours:.2f}" if ours else ""


def print_case(shape, codec, rows, best, base="ours"):
    reference = best.get(base, (None,))[0] or {}
    print(f"\n{rows:,} {shape} rows, {codec}\n")
    print(
        "| program | wall, s | to ours | processor, s | to ours | memory, MB | to ours | "
        "bytes | to ours | read back |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for side, (figures, why, differs) in best.items():
        if figures is None:
            print(f"| {LABELS[side]} | {why} | | | | | | | | |")
            continue
        cells = []
        for key, text in (
            ("seconds", "{:.3f}"),
            ("cpu_seconds", "{:.3f}"),
            ("peak_mb", "{:.0f}"),
            ("file_bytes", "{:,}"),
        ):
            cells += [text.format(figures[key]), share(figures[key], reference.get(key))]
        print(f"| {LABELS[side]} | {' | '.join(cells)} | {differs or 'equal'} |", flush=True)


def targets(shape, codec, best):
    """Lines of what was to be reached: case, what, measured, wanted, whether."""
    figures = {side: known[0] for side, known in best.items() if known[0]}
    speeds = SPEED["typical" if shape == "typical" else "others"]
    if shape == "typical":
        speeds = speeds + SPEED["compatible"]
    for ours, theirs, target in speeds:
        if ours in figures and theirs in figures:
            ratio = figures[theirs]["seconds"] / figures[ours]["seconds"]
            yield f"{LABELS[ours]}: wall, {LABELS[theirs]}", ratio, f"≥ {target}", ratio >= target
    if "ours" not in figures:
        return
    mine = figures["ours"]
    limits = [("memory", "peak_mb", MEMORY_MOST)]
    if shape == "typical":
        limits.append(("processor", "cpu_seconds", CPU_MOST))
    if "pyarrow" in figures:
        for what, key, most in limits:
            part = mine[key] / figures["pyarrow"][key]
            yield f"ours: {what}, pyarrow", part, f"≤ {most:.2f}", part <= most
    for theirs in ("pyarrow", "polars", "duckdb"):
        if theirs in figures:
            part = mine["file_bytes"] / figures[theirs]["file_bytes"]
            text = f"ours: bytes, {LABELS[theirs]}"
            yield text, part, f"≤ {BYTES_MOST:.2f}", part <= BYTES_MOST


def print_targets(lines):
    if not lines:
        return
    print("\n| rows | codec | held against | ratio | wanted | |\n|---|---|---|---|---|---|")
    for shape, codec, what, ratio, aim, is_reached in lines:
        held = verdict(int(is_reached), 1)
        print(f"| {shape} | {codec} | {what} | {ratio:.2f} | {aim} | {held} |")


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/parquet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=int, default=5_000_000, help="nested and wide: two fifths of it (5000000)"
    )
    parser.add_argument("--reps", type=int, default=3, help="processes of each program (3)")
    parser.add_argument("--level", type=int, default=1, help="of zstd, for all programs (1)")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="cases in whose shape and codec all of these words are: 'typical zstd'",
    )
    parser.add_argument(
        "--sides", metavar="A,B", help=f"of the programs only these: {', '.join(LABELS)}"
    )
    parser.add_argument("--unchecked", action="store_true", help="nothing is read back")
    return parser.parse_args()


def main():
    args = arguments()
    OUT.mkdir(parents=True, exist_ok=True)
    sides = Sides(args)
    lines = []
    with open(OUT / "parquet.jsonl", "a") as kept:

        def results(line):
            kept.write(json.dumps(line) + "\n")
            kept.flush()

        command = " ".join(["bench/parquet", *sys.argv[1:]])
        print(f"{machine()}\n`{command}`", flush=True)
        results({"machine": machine(), "command": command, "date": time.strftime("%F %R")})
        for shape in parquet_dataset.SHAPES:
            rows = parquet_dataset.rows_of(shape, args.rows)
            for codec in CODECS:
                if not wanted(args.only, shape, codec):
                    continue
                chosen = [
                    side
                    for side in sides_of(shape, codec)
                    if args.sides is None or side in args.sides.split(",")
                ]
                best = measure(sides, shape, codec, chosen, results)
                print_case(shape, codec, rows, best)
                lines += [(shape, codec, *line) for line in targets(shape, codec, best)]
    print_targets(lines)


if __name__ == "__main__":
    main()
