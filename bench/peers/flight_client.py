"""The client of bench/flight, the same for all servers: pyarrow's.

    flight_client.py put PORT STREAM [--batch-rows N] [--writers N] [--passes N] [--json]
    flight_client.py get PORT [--ticket TEXT] [--passes N]

`put` sends the rows of the stream, which are in memory, and waits for the server's last word; each
writer is a process with a connection of its own, and all begin at once. Each pass goes into a new
table. `get` draws everything and keeps a batch at a time. A few rows go before, so that
connections are made and modules loaded. Prints one JSON object: seconds of the best pass, of all
passes; rows, processor time of the server and of the client of one pass."""

import argparse
import json
import multiprocessing
import os
import time

import pyarrow as pa
import pyarrow.flight as fl


def load(path):
    with pa.OSFile(path, "rb") as source:
        return pa.ipc.open_stream(source.read_buffer()).read_all()


def batches_of(table, rows):
    """As they are sent: in memory, and each in one piece."""
    if rows == 65536:
        return table.to_batches()
    return table.combine_chunks().to_batches(max_chunksize=rows)


def descriptor_of(name, as_json):
    if as_json:  # what TFMV/arrowport takes
        return fl.FlightDescriptor.for_command(json.dumps({"stream_name": name}).encode())
    return fl.FlightDescriptor.for_path(name)


def put(client, name, schema, batches, as_json):
    writer, _ = client.do_put(descriptor_of(name, as_json), schema)
    with writer:
        for batch in batches:
            writer.write_batch(batch)


def write(args, schema, batches, number, barrier, results):
    client = fl.FlightClient(f"grpc://127.0.0.1:{args.port}")
    put(client, f"warm_{number}", schema, [batches[0].slice(0, 10)], args.json)
    for turn in range(args.passes):
        barrier.wait()
        begin, before = time.monotonic(), time.process_time()
        put(client, f"t_{number}_{turn}", schema, batches, args.json)
        results.put((turn, begin, time.monotonic(), time.process_time() - before))
    barrier.wait()


def run_put(args):
    table = load(args.stream)
    batches = batches_of(table, args.batch_rows)
    barrier = multiprocessing.Barrier(args.writers + 1)
    results = multiprocessing.Queue()
    writers = [
        multiprocessing.Process(
            target=write, args=(args, table.schema, batches, number, barrier, results)
        )
        for number in range(args.writers)
    ]
    for writer in writers:
        writer.start()
    cpu = None
    for _ in range(args.passes + 1):
        barrier.wait()
        cpu = cpu or cpu_seconds(args.pid)
    cpu = cpu_seconds(args.pid) - cpu
    turns = [results.get() for _ in range(args.writers * args.passes)]
    for writer in writers:
        writer.join()
        if writer.exitcode != 0:
            raise SystemExit("a writer failed")
    spans = []
    for turn in range(args.passes):
        of = [t for t in turns if t[0] == turn]
        spans.append(max(t[2] for t in of) - min(t[1] for t in of))
    return spans, table.num_rows * args.writers, cpu, sum(t[3] for t in turns)


def draw(client, ticket):
    rows = 0
    for chunk in client.do_get(fl.Ticket(ticket)):
        rows += chunk.data.num_rows
    return rows


def run_get(args):
    client = fl.FlightClient(f"grpc://127.0.0.1:{args.port}")
    ticket = args.ticket.encode()
    draw(client, args.warm.encode() if args.warm else ticket)
    spans, rows = [], 0
    cpu = cpu_seconds(args.pid)
    before = time.process_time()
    for _ in range(args.passes):
        begin = time.monotonic()
        rows = draw(client, ticket)
        spans.append(time.monotonic() - begin)
    own = time.process_time() - before
    return spans, rows, cpu_seconds(args.pid) - cpu, own


def cpu_seconds(pid):
    """What the server has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["put", "get"])
    parser.add_argument("port", type=int)
    parser.add_argument("stream", nargs="?")
    parser.add_argument("--pid", type=int, required=True, help="the server's, to see its time")
    parser.add_argument("--batch-rows", type=int, default=65536)
    parser.add_argument("--writers", type=int, default=1)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ticket", default="")
    parser.add_argument("--warm", default="", help="a ticket to begin with")
    args = parser.parse_args()
    spans, rows, cpu, own = (run_put if args.what == "put" else run_get)(args)
    figures = {
        "seconds": min(spans),
        "all_seconds": sum(spans),
        "rows": rows,
        "client_cpu_seconds": own / len(spans),
    }
    print(json.dumps({**figures, "cpu_seconds": cpu / len(spans), "passes": len(spans)}))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
