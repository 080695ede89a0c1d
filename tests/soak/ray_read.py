"""Ray reads the endpoints of one result in parallel: some 600 MB of packages, so not in make test.

    ray_read.py

Installs tests/soak/ray.txt into .deps/ray once. Ends with one row for RESULTS.md."""

import pathlib
import subprocess
import sys
import tempfile
import time

from shared import ROOT, Server, result

RAY = ROOT / ".deps" / "ray"
ROWS = 1_000_000
ENDPOINTS = 4


def read_all(port):
    """In Ray's own environment."""
    import pyarrow.flight as fl
    import ray

    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    from flight_sql import any_of, field

    def connect():
        return fl.FlightClient(f"grpc://127.0.0.1:{port}")

    sql = f"SELECT i FROM range({ROWS}) t(i)"
    header = fl.FlightCallOptions(headers=[(b"x-arrowport-endpoints", b"%d" % ENDPOINTS)])
    command = any_of("CommandStatementQuery", field(1, sql))
    with connect() as connection:
        info = connection.get_flight_info(fl.FlightDescriptor.for_command(command), header)
    tickets = [{"ticket": endpoint.ticket.serialize()} for endpoint in info.endpoints]

    def read(row):
        with connect() as connection:
            table = connection.do_get(fl.Ticket.deserialize(row["ticket"])).read_all()
        return [{"rows": table.num_rows, "sum": sum(table["i"].to_pylist())}]

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    parts = ray.data.from_items(tickets).flat_map(read).take_all()
    assert len(tickets) == ENDPOINTS and len(parts) == ENDPOINTS
    assert sum(part["rows"] for part in parts) == ROWS
    assert sum(part["sum"] for part in parts) == sum(range(ROWS))


def install():
    python = RAY / "bin" / "python"
    wanted = (ROOT / "tests" / "soak" / "ray.txt").read_text()
    mark = RAY / "installed"
    if not mark.is_file() or mark.read_text() != wanted:
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", RAY], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes"]
        pinned = ["--only-binary", ":all:", "-r", ROOT / "tests" / "soak" / "ray.txt"]
        subprocess.run([*pip, *pinned], check=True)
        mark.write_text(wanted)
    return python


def main():
    python = install()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(pathlib.Path(folder))
        try:
            began = time.monotonic()
            command = [python, __file__, str(server.port)]
            subprocess.run(command, check=True, timeout=300)
            took_s = time.monotonic() - began
        finally:
            server.stop()
    told = f"{ROWS} rows over {ENDPOINTS} endpoints read by Ray's workers, {took_s:.0f} s"
    result("tests/soak/ray_read.py", told)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read_all(int(sys.argv[1]))
    else:
        main()
