"""Compares the HTTP/1.1 parser with httptools on many random requests.

    http_parser.py [--cases 2000000] [--seed N]

Every difference must be one of those in docs/internals/http-parser.md. Ends with one row for
RESULTS.md; the exit code is 0 when all held.
"""

import argparse
import collections
import sys
import time

from shared import result

# isort: split
import http_peers

AT_ONCE = 20_000


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()) * 1_000_000)
    args = parser.parse_args()
    command = f"tests/soak/http_parser.py --cases {args.cases} --seed {args.seed}"
    counts = collections.Counter()
    end = args.seed + args.cases
    for first in range(args.seed, end, AT_ONCE):
        seeds = range(first, min(first + AT_ONCE, end))
        some, unexplained = http_peers.run(seeds, http_peers.tool(None))
        counts += some
        if unexplained:
            result(command, f"FAILED: {len(unexplained)} not explained: {unexplained[0]}")
            return 1
    alike = counts["both accepted"] + counts["both refused"]
    result(
        command,
        f"{args.cases:,} requests, {counts['both accepted']:,} accepted and "
        f"{counts['both refused']:,} refused by both; {args.cases - alike:,} differ as "
        "docs/internals/http-parser.md lists",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
