"""Python processes that load our library, built with a sanitizer or without."""

import os
import pathlib
import re
import subprocess
import sys

E2E = pathlib.Path(__file__).resolve().parents[1]
ROOT = E2E.parents[1]
SUPPRESSIONS = pathlib.Path(__file__).with_name("asan.supp")


def library():
    """libarrowport.so beside the program under test; as c_api.py finds it, which cannot be
    asked: it loads it."""
    program = os.environ.get("ARROWPORT_BIN", ROOT / "build" / "release" / "arrowport")
    named = os.environ.get("ARROWPORT_LIBRARY")
    return pathlib.Path(named) if named else pathlib.Path(program).parent / "libarrowport.so"


def is_address_sanitized():
    return b"__asan_init" in library().read_bytes()


def cannot_be_loaded():
    """Why no Python process can load the library; an empty text when one can. The runtime of
    ThreadSanitizer does not come up in a program that was not built for it."""
    return "built with ThreadSanitizer" if b"__tsan_init" in library().read_bytes() else ""


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
    if is_address_sanitized():
        runtime = _file_of("clang-14", "libclang_rt.asan-x86_64.so")
        env["LD_PRELOAD"] = f"{runtime} {_file_of('gcc', 'libstdc++.so.6')}"
        # Names of functions come afterwards: whoever the sanitizer starts to find them inherits
        # its runtime, and does not end.
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            env[name] = f"{env.get(name, '')}:symbolize=0".lstrip(":")
        env["ASAN_OPTIONS"] += f":suppressions={SUPPRESSIONS}"
        # Each object by malloc, so that the sanitizer sees it, and what points to it.
        env["PYTHONMALLOC"] = "malloc"
        # Leaks are told, ours and the interpreter's own, and judged by ours() below.
        env["LSAN_OPTIONS"] = "exitcode=0:max_leaks=0:symbolize=0"
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


def named(report):
    """The report with our functions' names behind their addresses."""
    places = re.findall(r"\((\S*libarrowport\.so\S*?)\+(0x[0-9a-f]+)\)", report)
    for path, place in set(places):
        command = ["llvm-symbolizer-14", f"--obj={path}", "--functions", place]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = report.replace(f"+{place})", f"+{place}) {' '.join(done.stdout.split())}")
    return report


def findings(stderr):
    """What a sanitizer reported: all but leaks that have nothing of ours in their stack."""
    found = []
    for block in stderr.split("\n\n"):
        leak = re.match(r"(Direct|Indirect) leak", block.strip())
        if leak and "libarrowport.so" in block:
            found.append(named(block.strip()))
        elif re.search(r"ERROR: AddressSanitizer|runtime error:", block):
            found.append(named(block.strip()))
    return found
