"""A Flight server of pyarrow's, as its users write one, for bench/flight:

    flight_server.py drop              DoPut: reads the batches and lets go of them
    flight_server.py duckdb DATABASE   DoPut: into a new table, straight from the reader
    flight_server.py keep STREAM       DoGet: the rows of a stream, from memory

A table is made the plain way, by CREATE TABLE AS over the registered reader; what DuckDB has
committed when the statement returns is durable, as it is with us."""

import sys

import pyarrow as pa
import pyarrow.flight as fl


def load(path):
    with pa.OSFile(path, "rb") as source:
        return pa.ipc.open_stream(source.read_buffer()).read_all()


class Server(fl.FlightServerBase):
    def __init__(self, kind, argument):
        super().__init__("grpc://127.0.0.1:0")
        self.kind = kind
        if kind == "keep":
            self.table = load(argument)
        if kind == "duckdb":
            import duckdb

            self.connection = duckdb.connect(argument)

    def do_put(self, context, descriptor, reader, writer):
        if self.kind == "drop":
            for _ in reader:
                pass
            return
        name = descriptor.path[0].decode()
        source = reader.to_reader()
        cursor = self.connection.cursor()
        cursor.register("source", source)
        cursor.execute(f'CREATE TABLE "{name}" AS SELECT * FROM source')

    def do_get(self, context, ticket):
        return fl.RecordBatchStream(self.table)

    def do_action(self, context, action):
        """`rows`: how many a table has, so that who measures can tell that they are there."""
        (rows,) = self.connection.execute(
            f'SELECT count(*) FROM "{action.body.to_pybytes().decode()}"'
        ).fetchone()
        return [str(rows).encode()]


if __name__ == "__main__":
    server = Server(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    print(f"listening on http://127.0.0.1:{server.port}", flush=True)
    server.serve()
