"""Many requests that come whole in the same instant, so that they have to share commits."""

from wire import Connection, head

from server import ARROW

LAST_BYTES = 8  # the end-of-stream marker


def post_head(server, path, body_bytes, *fields):
    length = f"Content-Length: {body_bytes}"
    return head(server, "POST", path, f"Content-Type: {ARROW}", length, *fields)


class Crowd:
    """Connections that are kept: nobody's threads come between them."""

    def __init__(self, server, count):
        self.server = server
        self.connections = [Connection(server) for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()

    def post(self, requests, vanish=()):
        """`requests`: (path, body, header fields...) for each; their answers, None for those in
        `vanish`, whose last bytes never come. All but the last bytes are sent beforehand."""
        pairs = list(zip(self.connections, requests, strict=True))
        for connection, (path, body, *fields) in pairs:
            connection.send(post_head(self.server, path, len(body), *fields) + body[:-LAST_BYTES])
        for k, (connection, (_, body, *_)) in enumerate(pairs):
            if k in vanish:
                connection.reset()
                self.connections[k] = Connection(self.server)
            else:
                connection.send(body[-LAST_BYTES:])
        return [None if k in vanish else self._answer(k, c) for k, (c, _) in enumerate(pairs)]

    def _answer(self, k, connection):
        answer = connection.answer()
        if answer.will_close:
            connection.close()
            self.connections[k] = Connection(self.server)
        return answer


def metric(server, name, **labels):
    """The sum over the series of that name that have these labels."""
    total, found = 0.0, False
    for line in server.get("/metrics").text.splitlines():
        series, _, value = line.rpartition(" ")
        if series.split("{")[0] != name:
            continue
        found = True
        if all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
            total += float(value)
    assert found or name.endswith("_total"), f"{name} is not in /metrics"
    return total
