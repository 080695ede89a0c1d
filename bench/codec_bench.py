"""Holds the Arrow IPC codec against memcpy, nanoarrow and pyarrow; bench/codec starts this.

All sides have the same stream in memory and let go of a batch before they take the next. Sides
take turns, each time in a fresh process that makes passes for a while; the best pass counts.
Rates are of the stream without compression. Ours checks everything while it decodes, text
included; nanoarrow all but text; memcpy and pyarrow nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import codec_dataset
from harness import OUT, ROOT
from peers import nanoarrow_build

from bench import machine, verdict

SMALL_BATCHES = 100_000
SMALL_US_MAX = 3.0
LEVEL = 1  # what pyarrow takes by itself, for both methods
CODECS = ("lz4", "zstd")
THREADS = (1, 2)


def program(*command):
    """The JSON object that it prints; None with what it said when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
    return json.loads(done.stdout), None


class Sides:
    """Each side does a thing to a stream, and says how long its best pass took."""

    def __init__(self, args):
        self.args = args
        self.seconds = ["--seconds", args.seconds]

    def stream(self, shape, compression="none"):
        rows = SMALL_BATCHES if shape == "small" else self.args.rows
        compression = None if compression == "none" else compression
        return codec_dataset.ensure(OUT, shape, rows, compression)

    def ours(self, mode, shape, compression="none", threads=1):
        command = [os.environ["BENCH_CODEC"], mode]
        return self._codec(command, mode, shape, compression, threads)

    def pyarrow(self, mode, shape, compression="none", threads=1):
        command = [sys.executable, ROOT / "bench" / "peers" / "codec_pyarrow.py", mode]
        return self._codec(command, mode, shape, compression, threads)

    def _codec(self, command, mode, shape, compression, threads):
        from_ = "none" if mode == "encode" else compression
        command = [*command, self.stream(shape, from_), "--threads", threads, *self.seconds]
        if mode == "encode":
            command += ["--compression", compression]
            command += ["--level", LEVEL] if compression != "none" else []
        return program(*command)

    def memcpy(self, shape):
        return program(os.environ["BENCH_CODEC"], "copy", self.stream(shape), *self.seconds)

    def nanoarrow(self, shape):
        driver = nanoarrow_build.ensure(OUT)
        return program(driver, self.stream(shape), self.args.seconds)


def cases(shape):
    """Name, our side, whom it is held against, their side, at least this ratio of rates."""
    decode = ("ours", "decode", shape)
    yield "decode", decode, "memcpy", ("memcpy", shape), 0.4
    yield "decode", decode, "nanoarrow", ("nanoarrow", shape), 1.0
    for mode in ("decode", "encode"):
        for codec in CODECS if mode == "decode" else ("none", *CODECS):
            for threads in THREADS if codec != "none" else (1,):
                what = (mode, shape, codec, threads)
                name = f"{mode} {codec}, {threads} thread{'s' * (threads > 1)}"
                yield name, ("ours", *what), "pyarrow", ("pyarrow", *what), 1.0


def best_of(sides, keys, reps):
    """The figures of each side's best process, or why there are none."""
    best = {}
    for _ in range(reps):
        for key in keys:
            if key in best and best[key][0] is None:
                continue
            figures, why = getattr(sides, key[0])(*key[1:])
            if key not in best or figures["seconds"] < best[key][0]["seconds"]:
                best[key] = (figures, why)
    return best


def wanted(only, *words):
    text = " ".join(words)
    return all(word in text for word in only.split())


def measure_shape(sides, shape, args, results):
    chosen = [c for c in cases(shape) if wanted(args.only, shape, c[0], c[2])]
    keys = list(dict.fromkeys(key for c in chosen for key in (c[3], c[1])))
    best = best_of(sides, keys, args.reps)
    for key, (figures, why) in best.items():
        results({"side": key[0], "what": key[1:], **(figures or {"absent": why})})
    size = sides.stream(shape).stat().st_size if keys else 0
    for name, ours, against, theirs, target in chosen:
        yield shape, name, best[ours], against, best[theirs], size, target


def rate(figures, size):
    return f"{size / figures['seconds'] / 1e9:.2f} GB/s"


def print_rates(lines):
    print("\n| rows | case | ours | held against | theirs | ratio | target | |")
    print("|---|---|---|---|---|---|---|---|")
    for shape, name, (ours, why), against, (theirs, why_not), size, target in lines:
        if ours is None:
            print(f"| {shape} | {name} | {why[0]} | {against} | | | ≥ {target} | NOT measured |")
        elif theirs is None:
            print(
                f"| {shape} | {name} | {rate(ours, size)} | {against} | n/a: {why_not[0]} | | | |"
            )
        else:
            if "rows" in theirs and against != "memcpy" and ours["rows"] != theirs["rows"]:
                raise SystemExit(f"{shape}, {name}: {ours} and {theirs} differ in rows")
            ratio = theirs["seconds"] / ours["seconds"]
            print(
                f"| {shape} | {name} | {rate(ours, size)} | {against} | {rate(theirs, size)} "
                f"| {ratio:.2f} | ≥ {target} | {verdict(ratio, target)} |"
            )


def print_sizes(lines):
    """What was written must not be larger for being written sooner."""
    written = [line for line in lines if "encode" in line[1] and line[2][0] and line[4][0]]
    if not written:
        return
    print("\n| rows | case | ours, bytes | pyarrow's | share |\n|---|---|---|---|---|")
    for shape, name, (ours, _), _, (theirs, _), _, _ in written:
        share = ours["out_bytes"] / theirs["out_bytes"]
        print(
            f"| {shape} | {name} | {ours['out_bytes']:,} | {theirs['out_bytes']:,} | {share:.3f} |"
        )


def measure_small(sides, args, results):
    keys = [("ours", "decode", "small"), ("nanoarrow", "small"), ("pyarrow", "decode", "small")]
    best = best_of(sides, keys, args.reps)
    print(f"\n| {SMALL_BATCHES:,} batches of 10 typical rows | µs a batch | at most | |")
    print("|---|---|---|---|")
    for key in keys:
        figures, why = best[key]
        results({"side": key[0], "what": key[1:], **(figures or {"absent": why})})
        if figures is None:
            print(f"| decode: {key[0]} | {why[0]} | | |")
            continue
        batch_us = figures["seconds"] / figures["batches"] * 1e6
        is_ours = key[0] == "ours"
        held = "reached" if batch_us <= SMALL_US_MAX else "NOT reached"
        limit = f"| {SMALL_US_MAX} | {held} |" if is_ours else "| | |"
        print(f"| decode: {key[0]} | {batch_us:.2f} {limit}")


def main():
    parser = argparse.ArgumentParser(
        prog="bench/codec",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each shape (1000000)")
    parser.add_argument(
        "--reps", type=int, default=3, help="processes of each side; the best counts"
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="of passes in a process (0.5)")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="cases in whose shape, name or peer all of these words are: 'typical encode', 'small'",
    )
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    sides = Sides(args)
    with open(OUT / "codec.jsonl", "a") as kept:

        def results(line):
            kept.write(json.dumps(line) + "\n")

        command = " ".join(["bench/codec", *sys.argv[1:]])
        print(f"{machine()}\n`{command}`", flush=True)
        results({"machine": machine(), "command": command, "date": time.strftime("%F %R")})
        lines = []
        for shape in codec_dataset.SHAPES:
            lines += measure_shape(sides, shape, args, results)
        if lines:
            print_rates(lines)
            print_sizes(lines)
        if wanted(args.only, "small decode"):
            measure_small(sides, args, results)


if __name__ == "__main__":
    main()
