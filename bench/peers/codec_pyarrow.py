"""Reads or writes an Arrow IPC stream in memory again and again with pyarrow, for bench/codec:

    codec_pyarrow.py decode STREAM --threads N --seconds S
    codec_pyarrow.py encode STREAM --threads N --seconds S --compression zstd --level 1

As bench/tools/codec.c does it: a batch is let go of before the next one is read; what is written
goes into room that is there already. pyarrow does not validate what it reads. Prints one JSON
object."""

import argparse
import json
import time

import pyarrow as pa

PASSES_MIN = 3


def decode(data, threads):
    options = pa.ipc.IpcReadOptions(use_threads=threads > 1)
    rows = batches = 0
    with pa.ipc.open_stream(data, options=options) as reader:
        try:
            while True:
                rows += reader.read_next_batch().num_rows
                batches += 1
        except StopIteration:
            return rows, batches


def encode(schema, batches, room, options):
    sink = pa.FixedSizeBufferWriter(room)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.tell()


def write_options(args):
    codec = None
    if args.compression != "none":
        codec = pa.Codec(args.compression, compression_level=args.level or None)
    return pa.ipc.IpcWriteOptions(compression=codec, use_threads=args.threads > 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["decode", "encode"])
    parser.add_argument("stream")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--compression", default="none")
    parser.add_argument("--level", type=int, default=0)
    args = parser.parse_args()
    pa.set_cpu_count(args.threads)
    with pa.OSFile(args.stream, "rb") as source:
        data = source.read_buffer()
    rows, count = decode(data, args.threads)
    out_bytes = 0
    if args.mode == "encode":
        with pa.ipc.open_stream(data) as reader:
            batches = list(reader)
        room = pa.allocate_buffer(data.size + data.size // 8 + (1 << 20))
        pa.FixedSizeBufferWriter(room).write(bytes(room.size))
        options = write_options(args)

    best, total, passes = None, 0.0, 0
    while passes < PASSES_MIN or total < args.seconds:
        start = time.perf_counter()
        if args.mode == "decode":
            decode(data, args.threads)
        else:
            out_bytes = encode(batches[0].schema, batches, room, options)
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
        total += seconds
        passes += 1
    figures = {"seconds": best, "rows": rows, "batches": count}
    print(json.dumps({**figures, "stream_bytes": data.size, "out_bytes": out_bytes}))


if __name__ == "__main__":
    main()
