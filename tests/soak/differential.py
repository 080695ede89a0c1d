"""Random schemas and data through pyarrow, nanoarrow and our library, a million times.

    differential.py [--cases 1000000] [--seed N] [--processes P]

What the cases are is in tests/e2e/differential. A case that fails, or a process that
crashes, is printed with its seed. Ends with one row for RESULTS.md; the exit code is 0
when all held.
"""

import argparse
import os
import sys
import time

from shared import result

# isort: split
from differential import run

STEP = 20_000  # cases of a process before another takes its place


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()) * 1_000_000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    command = (
        f"tests/soak/differential.py --cases {args.cases} --seed {args.seed} "
        f"--processes {args.processes}"
    )
    total = run.Outcome()
    while total.cases < args.cases and not total.failures:
        cases = min(args.cases - total.cases, STEP * args.processes)
        outcome = run.run_many(args.seed + total.cases, cases, args.processes)
        total.add(outcome)
        print(total, flush=True)
    if total.failures:
        print("\n\n".join(total.failures), flush=True)
        first = total.failures[0].splitlines()[0].rstrip(":")
        result(command, f"FAILED after {total.cases:,} cases: {first}")
        return 1
    result(command, f"{total}: none differed, none crashed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
