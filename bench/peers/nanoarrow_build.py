"""nanoarrow, built from its source package for bench/codec. Nothing of it is in the project."""

import hashlib
import os
import pathlib
import subprocess
import sys

VERSION = "0.9.0"
SHA256 = "1ce15bbed8532839347faa78824c5dbd3769bff60661003e34c6fba5dd881bd3"
DRIVER = pathlib.Path(__file__).with_name("codec_nanoarrow.c")
COMMON = ("array", "array_stream", "schema", "utils")
IPC = ("codecs", "decoder", "encoder", "reader", "writer")
FLATCC = ("builder", "emitter", "refmap", "verifier")

# pip asks a source package for its name and version before it hands it over, and the tool that
# would answer need not be here. This does; what it is handed is checked by its sum.
BACKEND = f"""\
import pathlib

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    path = pathlib.Path(folder) / "nanoarrow-{VERSION}.dist-info"
    path.mkdir()
    text = "Metadata-Version: 2.1\\nName: nanoarrow\\nVersion: {VERSION}\\n"
    (path / "METADATA").write_text(text)
    return path.name
"""


def _sdist(folder):
    if "NANOARROW_SDIST" in os.environ:
        return pathlib.Path(os.environ["NANOARROW_SDIST"])
    package = folder / f"nanoarrow-{VERSION}.tar.gz"
    if not package.exists():
        backend = folder / "backend"
        backend.mkdir(parents=True, exist_ok=True)
        (backend / "mesonpy.py").write_text(BACKEND)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", "nanoarrow", "--no-build-isolation", "--dest", str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(backend.resolve())}
        subprocess.run([*command, f"nanoarrow=={VERSION}"], check=True, env=environment)
    return package


def _unpack(folder):
    package = _sdist(folder)
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{package} is not nanoarrow {VERSION}: its SHA-256 differs")
    source = folder / f"nanoarrow-{VERSION}" / "subprojects"
    if not source.exists():
        unpack = ["tar", "-xzf", package, "-C", folder, "--no-same-owner"]
        subprocess.run(unpack, check=True)
    return source


def _config(source, folder):
    text = (source / "nanoarrow_config.h.in").read_text()
    major, minor, patch = VERSION.split(".")
    values = {"VERSION_MAJOR": major, "VERSION_MINOR": minor, "VERSION_PATCH": patch}
    for name, value in {**values, "VERSION": VERSION, "NAMESPACE_DEFINE": ""}.items():
        text = text.replace(f"@NANOARROW_{name}@", value)
    path = folder / "include" / "nanoarrow" / "nanoarrow_config.h"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.parents[1]


def ensure(folder):
    """The path of the driver, compiled if it is not there or older than its source."""
    folder = pathlib.Path(folder) / "nanoarrow"
    program = folder / "codec_nanoarrow"
    if program.exists() and program.stat().st_mtime > DRIVER.stat().st_mtime:
        return program
    folder.mkdir(parents=True, exist_ok=True)
    subprojects = _unpack(folder)
    source = subprojects / "arrow-nanoarrow" / "src" / "nanoarrow"
    (flatcc,) = subprojects.glob("flatcc-*/")
    include = [_config(source, folder), source.parent, flatcc / "include"]
    files = [DRIVER]
    files += [source / "common" / f"{name}.c" for name in COMMON]
    files += [source / "ipc" / f"{name}.c" for name in IPC]
    files += [flatcc / "src" / "runtime" / f"{name}.c" for name in FLATCC]
    command = [os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-DNDEBUG", "-O2", "-w"]
    command += [f"-I{path}" for path in include]
    subprocess.run([*command, "-o", program, *files], check=True)
    return program
