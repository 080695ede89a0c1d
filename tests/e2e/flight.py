"""pyarrow's Flight client at a server of a test."""

import contextlib
import json
import socket
import struct
import threading

import pyarrow as pa
import pyarrow.flight as fl


def client(server, *, scheme="grpc", host="127.0.0.1", middleware=(), **options):
    """Closed by `with`. `options` are those of pyarrow.flight.FlightClient."""
    return fl.FlightClient(f"{scheme}://{host}:{server.port}", middleware=middleware, **options)


def bearer(token, *headers, **options):
    """Options of a call that sends a token, and headers more."""
    sent = [(b"authorization", b"Bearer " + token.encode())] if token else []
    sent += [(name.encode(), value.encode()) for name, value in headers]
    return fl.FlightCallOptions(headers=sent, **options)


def path(*parts):
    return fl.FlightDescriptor.for_path(*parts)


def command(**members):
    return fl.FlightDescriptor.for_command(json.dumps(members))


def ticket(**members):
    """A ticket that is no secret: it says what is wanted."""
    return fl.Ticket(json.dumps(members))


def read(connection, descriptor, options=None):
    """All rows that a descriptor leads to."""
    info = connection.get_flight_info(descriptor, options)
    (endpoint,) = info.endpoints
    return connection.do_get(endpoint.ticket, options).read_all()


def act(connection, name, body=None, options=None):
    """The one answer of an action; `body` is JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    (result,) = connection.do_action(fl.Action(name, data), options)
    answer = result.body.to_pybytes()
    return json.loads(answer) if answer[:1] in (b"{", b"[") else answer


class Put:
    """A DoPut that a test takes step by step; leaving `with` without `finish` gives it up."""

    def __init__(self, connection, descriptor, schema, options=None):
        self.connection = connection
        self.writer, self.reader = connection.do_put(descriptor, schema, options)
        self.over = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.over:
            with contextlib.suppress(pa.ArrowException, fl.FlightError):
                self.writer.close()

    def write(self, batch, metadata=None):
        if metadata is None:
            self.writer.write_batch(batch)
        else:
            self.writer.write_with_metadata(batch, pa.py_buffer(metadata))

    def ack(self):
        """The next acknowledgement, waited for; None: there is none any more."""
        found = self.reader.read()
        return None if found is None else json.loads(found.to_pybytes())

    def finish(self):
        """What is still acknowledged, once all has been sent."""
        self.writer.done_writing()
        acks = list(iter(self.ack, None))
        self.over = True
        self.writer.close()
        return acks


def put(connection, descriptor, table, options=None, *, rows=None, metadata=None):
    """Sends a table in batches of so many rows, each with the metadata; its acknowledgements."""
    with Put(connection, descriptor, table.schema, options) as stream:
        for batch in table.to_batches(max_chunksize=rows):
            stream.write(batch, metadata)
        return stream.finish()


class Wire:
    """A listener before a server whose connections a test can cut, as when a client's machine
    goes away; `client(wire)` goes through it."""

    def __init__(self, server):
        self.server, self.pairs = server, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.listener.accept()
                other = socket.create_connection(("127.0.0.1", self.server.port))
                self.pairs.append((one, other))
                for ends in ((one, other), (other, one)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)

    def cut(self):
        """Resets every connection, and lets none in any more."""
        self.listener.close()
        pairs, self.pairs = self.pairs, []
        for one, other in pairs:
            for end in (one, other):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
