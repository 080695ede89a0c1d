"""What the programs that bench/parquet measures have in common: each peers/parquet_NAME.py is

    parquet_NAME.py STREAM OUT --codec zstd --level 1 --row-group-rows N [--checksums] ...

and prints one JSON object: seconds, cpu_seconds, peak_mb (memory at its most while it wrote, above
what was held when it began, the rows among it), file_bytes, rows. `prepare(table, args)` brings
the rows into the form that the program keeps them in, which is not measured, and returns what is
to be called to write the file."""

import argparse
import json
import pathlib
import resource
import time

import pyarrow as pa


def load(path):
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_stream(source.read_buffer()).read_all()


def memory_mb(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measured(write):
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    held = memory_mb("VmRSS")
    cpu = cpu_seconds()
    start = time.perf_counter()
    write()
    seconds = time.perf_counter() - start
    cpu = cpu_seconds() - cpu
    peak = memory_mb("VmHWM") - held
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": max(peak, 0.0)}


def bytes_of(path):
    """Of a file, or of all Parquet files in a folder."""
    path = pathlib.Path(path)
    files = path.rglob("*.parquet") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("stream")
    parser.add_argument("out")
    parser.add_argument("--codec", default="none", choices=["none", "snappy", "zstd"])
    parser.add_argument("--level", type=int, default=1, help="of zstd")
    parser.add_argument("--row-group-rows", type=int, help="the program's own if not given")
    parser.add_argument("--checksums", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--like", help="a file whose encodings are to be used")
    args = parser.parse_args()
    if args.codec != "zstd":
        args.level = None
    return args


def run(prepare):
    args = arguments()
    table = load(args.stream)
    rows = table.num_rows
    write = prepare(table, args)
    del table
    figures = measured(write)
    print(json.dumps({**figures, "file_bytes": bytes_of(args.out), "rows": rows}))
