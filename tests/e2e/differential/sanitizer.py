"""Python processes that load our library, built with a sanitizer or without."""

import os
import pathlib
import re
import subprocess
import sys

E2E = pathlib.Path(__file__).resolve().parents[1]
ROOT = E2E.parents[1]


def library():
    """libarrowport.so beside the program under test; as c_api.py finds it, which cannot be
    asked: it loads it."""
    program = os.environ.get("ARROWPORT_BIN", ROOT / "build" / "release" / "arrowport")
    named = os.environ.get("ARROWPORT_LIBRARY")
    return pathlib.Path(named) if named else pathlib.Path(program).parent / "libarrowport.so"


def built_with():
    """ "asan", "tsan" or "": which sanitizer the library needs."""
    symbols = library().read_bytes()
    for name in ("asan", "tsan"):
        if b"__%s_init" % name.encode() in symbols:
            return name
    return ""


def _file_of(compiler, name):
    done = subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    path = pathlib.Path(done.stdout.strip())
    if not path.is_file():
        raise FileNotFoundError(f"{compiler} has no {name}")
    return str(path)


def environment():
    """For a child: the sanitizer's runtime, which has to be there before anything else, and
    libstdc++ before it looks for what that throws with."""
    paths = [str(E2E), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    sanitizer = built_with()
    if sanitizer:
        runtime = _file_of("clang-14", f"libclang_rt.{sanitizer}-x86_64.so")
        env["LD_PRELOAD"] = f"{runtime} {_file_of('gcc', 'libstdc++.so.6')}"
        # Each object by malloc, so that the sanitizer sees it, and what points to it.
        env["PYTHONMALLOC"] = "malloc"
        # Leaks are told, ours and the interpreter's own, and judged by ours() below.
        env["LSAN_OPTIONS"] = "exitcode=0:max_leaks=0"
    return env


def start(module, *args, **options):
    """`python -m differential.<module>` in a process of its own, its output as text."""
    return subprocess.Popen(
        [sys.executable, "-m", f"differential.{module}", *map(str, args)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def findings(stderr):
    """What a sanitizer reported: all but leaks that have nothing of ours in their stack."""
    found = [
        line
        for line in stderr.splitlines()
        if re.search(r"ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer", line)
    ]
    for block in stderr.split("\n\n"):
        if re.match(r"(Direct|Indirect) leak", block.strip()) and "libarrowport.so" in block:
            found.append(block.strip())
    return found
