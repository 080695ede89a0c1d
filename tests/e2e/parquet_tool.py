"""Parquet files by the writer of src/parquet, through the program
tests/tools/parquet_write.c."""

import json
import pathlib
import subprocess

import arrow_tools
import pyarrow as pa


def stream(data):
    """A table, a batch or a list of batches as an Arrow IPC stream."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, pa.Table):
        return arrow_tools.stream(data.to_batches(), data.schema)
    batches = [data] if isinstance(data, pa.RecordBatch) else data
    return arrow_tools.stream(batches, batches[0].schema)


def arguments(options):
    """`{"codec": "zstd", "encoding": {"a": "plain"}, "bloom": ["a"]}` as the program has them."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from (f"{name}={key}:{said}" for key, said in value.items())
        elif isinstance(value, list):
            yield from (f"{name}={said}" for said in value)
        else:
            yield f"{name}={int(value) if isinstance(value, bool) else value}"


def run(data, path=None, **options):
    """The finished process; `path` None: the bytes go nowhere."""
    where = [] if path is None else [f"out={path}"]
    return subprocess.run(
        [arrow_tools.tool("parquet_write"), *where, *arguments(options)],
        input=stream(data),
        capture_output=True,
        timeout=120,
    )


def write(data, path, **options):
    """Writes the file and returns what the writer says of it."""
    done = run(data, path, **options)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stderr == b"", done.stderr.decode(errors="replace")
    summary = json.loads(done.stdout)
    assert summary.get("bytes", -1) in (-1, pathlib.Path(path).stat().st_size)
    return summary


def refused(data, **options):
    """The exit code and the message of a write that must fail, and leave no footer."""
    done = run(data, **options)
    assert done.returncode > 0, "it was written"
    return done.returncode, done.stderr.decode(errors="replace").strip()
