"""pyarrow's Flight client at a server of a test."""

import json

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
