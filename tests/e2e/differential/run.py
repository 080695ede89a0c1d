"""Runs cases in processes of their own, so that a crash is a failure with a seed.

    python -m differential.run --cases N [--seed S] [--processes P] [--kind KIND]

Case number i has the seed S + i, which also chooses its kind unless --kind does. Ends with
a line of how many of each kind there were; the exit code is 1 when one failed."""

import argparse
import collections
import faulthandler
import importlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import traceback

from . import sanitizer

# Of a hundred cases, how many are of which kind: cases.case_<kind>.
WEIGHTS = {
    "read": 30,
    "write": 25,
    "nanoarrow_reads": 8,
    "nanoarrow_writes": 7,
    "big_endian": 5,
    "equal": 10,
    "damaged": 15,
}
FAILURES_MAX = 10  # of one process; after that many it ends


class Outcome:
    """What came of many cases."""

    def __init__(self):
        self.counts = collections.Counter()
        self.failures = []  # text
        self.seconds = 0.0

    @property
    def cases(self):
        return sum(self.counts.values())

    def add(self, other):
        self.counts.update(other.counts)
        self.failures += other.failures
        self.seconds += other.seconds

    def __str__(self):
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.counts.items()))
        return f"{self.cases:,} cases ({kinds}) in {self.seconds:.0f} s"


def draw_kind(chance):
    """The first that a case draws, whether its kind was asked for or not."""
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]


def run_case(seed, kind=None):
    """One case; its kind. Raises what it raises."""
    import c_api

    from . import cases, cdata

    chance = random.Random(seed)
    drawn = draw_kind(chance)
    kind = kind or drawn
    live = len(cdata.LIVE)  # an earlier failure still holds some
    try:
        getattr(cases, f"case_{kind}")(chance)
        assert not cdata.FAULTS, cdata.FAULTS
        leaked = len(cdata.LIVE) - live
        assert not leaked, f"{leaked} structs were never released"
        assert not c_api.held, "bytes that were read from were never released"
    except BaseException as error:
        error.add_note(f"kind {kind}, seed {seed}")
        raise
    finally:
        cdata.FAULTS.clear()
        c_api.held.clear()
    return kind


def _work(args):
    """A child: runs its cases, notes the seed it is at, and prints what it found."""
    faulthandler.enable()
    importlib.import_module("differential.cases")  # if that fails, it fails once
    counts = collections.Counter()
    failures = []
    with open(args.progress, "r+b", buffering=0) as progress:
        for seed in range(args.seed, args.seed + args.cases):
            os.pwrite(progress.fileno(), b"%20d" % seed, 0)
            try:
                counts[run_case(seed, args.kind)] += 1
            except Exception:
                failures.append(f"seed {seed}:\n{traceback.format_exc(limit=-3)}")
                counts["failed"] += 1
                if len(failures) == args.failures_max:
                    break
    print(json.dumps({"counts": counts, "failures": failures}))
    return 0


def run_many(seed, cases, processes=1, kind=None, timeout_s=None, failures_max=FAILURES_MAX):
    """Runs the cases, a share in each process; an Outcome."""
    outcome, began = Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="arrowport-differential-") as directory:
        children = []
        for number in range(processes):
            first = seed + cases * number // processes
            count = seed + cases * (number + 1) // processes - first
            progress = os.path.join(directory, str(number))
            pathlib.Path(progress).write_bytes(b"%20d" % first)
            args = ["--progress", progress, "--seed", first, "--cases", count]
            args += ["--failures-max", failures_max] + (["--kind", kind] if kind else [])
            children.append((sanitizer.start("run", *args), progress))
        for child, progress in children:
            try:
                stdout, stderr = child.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()
                stdout, stderr = child.communicate()
                stderr += "\nit took too long"
            reported = sanitizer.findings(stderr)
            if child.returncode == 0 and not reported:
                found = json.loads(stdout)
                outcome.counts.update(found["counts"])
                outcome.failures += found["failures"]
            else:
                at = pathlib.Path(progress).read_text().strip()
                outcome.counts["failed"] += 1
                outcome.failures.append(
                    f"seed {at}: the process ended with {child.returncode}\n{stderr[-9000:]}"
                )
    outcome.seconds = time.monotonic() - began
    return outcome


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--kind", choices=list(WEIGHTS))
    parser.add_argument("--failures-max", type=int, default=FAILURES_MAX)
    parser.add_argument("--progress", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.progress:
        return _work(args)
    outcome = run_many(args.seed, args.cases, args.processes, args.kind, None, args.failures_max)
    print("\n".join([*outcome.failures, str(outcome)]))
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
