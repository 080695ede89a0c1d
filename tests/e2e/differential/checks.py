"""Checks of the C data interface, in a process of their own, so that it can be one that a
sanitizer watches.

    python -m differential.checks [--leak] [WORD...]

Runs those whose names begin with a WORD, or all, and prints a line of JSON for each: its
name, and an empty text or what went wrong. `--leak` leaks a reader of ours at the end, to
see whether somebody notices."""

import argparse
import faulthandler
import gc
import importlib
import json
import traceback

CHECKS = {}  # by name


def check(name):
    def register(function):
        CHECKS[name] = function
        return function

    return register


def run(name):
    """What went wrong, or an empty text."""
    from . import cdata
    from .interface import nothing_held

    live = len(cdata.LIVE)  # an earlier failure may still hold some
    try:
        CHECKS[name]()
        gc.collect()
        assert not cdata.FAULTS, cdata.FAULTS
        assert len(cdata.LIVE) == live, f"{len(cdata.LIVE) - live} structs were never released"
        nothing_held()
        return ""
    except BaseException:  # polars' panics are no Exceptions
        return traceback.format_exc(limit=-4)
    finally:
        cdata.FAULTS.clear()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leak", action="store_true")
    parser.add_argument("words", nargs="*", metavar="WORD")
    args = parser.parse_args()
    faulthandler.enable()
    for module in ("others", "releases"):
        importlib.import_module(f"differential.{module}")
    for name in CHECKS:
        if name.startswith(tuple(args.words or [""])):
            print(json.dumps([name, run(name)]), flush=True)
    if args.leak:
        importlib.import_module("differential.releases").leak()


if __name__ == "__main__":  # under its own name, by which the others import it
    importlib.import_module("differential.checks").main()
