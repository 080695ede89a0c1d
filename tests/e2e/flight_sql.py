"""Flight SQL by hand: its messages as protobuf bytes, sent by pyarrow.flight."""

import threading

import pyarrow as pa
import pyarrow.flight as flight

PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."
COOKIE = "arrow_flight_session_id"


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, data):
    """A field of bytes, text or a message."""
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(at, value):
    return varint(at << 3) + varint(value)


def any_of(name, message=b""):
    return field(1, PREFIX + name) + field(2, message)


def fields(data):
    """What a message says, by number: bytes and integers, the last of each."""
    found, at = {}, 0

    def take():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = take()
        if key & 7 == 0:
            found[key >> 3] = take()
        elif key & 7 == 1:
            found[key >> 3] = int.from_bytes(data[at : at + 8], "little", signed=True)
            at += 8
        else:
            size = take()
            found[key >> 3] = data[at : at + size]
            at += size
    return found


class _Cookies(flight.ClientMiddlewareFactory):
    def __init__(self):
        self.lock = threading.Lock()
        self.value = None

    def start_call(self, info):
        return _Cookie(self)


class _Cookie(flight.ClientMiddleware):
    def __init__(self, jar):
        self.jar = jar

    def sending_headers(self):
        return {} if self.jar.value is None else {"cookie": f"{COOKIE}={self.jar.value}"}

    def received_headers(self, headers):
        for text in headers.get("set-cookie", []):
            value = text.split(";")[0].partition("=")[2]
            self.jar.value = None if "Max-Age=0" in text else value


class Client:
    """`cookies`: it keeps the session's."""

    def __init__(self, server, cookies=False, headers=()):
        self.jar = _Cookies()
        middleware = [self.jar] if cookies else []
        self.flight = flight.FlightClient(f"grpc://127.0.0.1:{server.port}", middleware=middleware)
        self.options = flight.FlightCallOptions(headers=list(headers))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flight.close()

    def action(self, kind, body=b""):
        results = list(self.flight.do_action(flight.Action(kind, body), self.options))
        return [result.body.to_pybytes() for result in results]

    def sql_action(self, kind, request, message=b""):
        results = self.action(kind, any_of(request, message))
        return fields(fields(results[0])[2]) if results else {}

    def begin(self):
        return self.sql_action("BeginTransaction", "ActionBeginTransactionRequest")[1]

    def end(self, transaction, commit=True):
        message = field(1, transaction) + number(2, 1 if commit else 2)
        self.sql_action("EndTransaction", "ActionEndTransactionRequest", message)

    def info(self, sql, transaction=None, options=None):
        message = field(1, sql) + (b"" if transaction is None else field(2, transaction))
        descriptor = flight.FlightDescriptor.for_command(any_of("CommandStatementQuery", message))
        return self.flight.get_flight_info(descriptor, options or self.options)

    def read(self, endpoint):
        return self.flight.do_get(endpoint.ticket, self.options).read_all()

    def query(self, sql, transaction=None):
        parts = [self.read(e) for e in self.info(sql, transaction).endpoints]
        return pa.concat_tables(parts)

    def value(self, sql, transaction=None):
        return self.query(sql, transaction).column(0)[0].as_py()

    def prepare(self, sql, transaction=None):
        message = field(1, sql) + (b"" if transaction is None else field(2, transaction))
        return self.sql_action(
            "CreatePreparedStatement", "ActionCreatePreparedStatementRequest", message
        )

    def put(self, command, table=None):
        """A DoPut, and what its first answer says."""
        table = pa.table({}) if table is None else table
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, reader = self.flight.do_put(descriptor, table.schema, self.options)
        if table.num_columns > 0:
            writer.write_table(table)
        writer.done_writing()
        answer = reader.read()
        writer.close()
        return fields(answer.to_pybytes()) if answer is not None else {}
