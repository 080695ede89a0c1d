"""HTTP/1.1 by hand: for requests that no client library would send."""

import http.client
import json
import socket

from server import ARROW


class _Shared:
    """What http.client takes for a socket; the reader outlives one response, so that
    pipelined answers are not lost with its buffer."""

    def __init__(self, reader):
        self.reader = reader

    def makefile(self, *_):
        return self

    def __getattr__(self, attribute):
        return getattr(self.reader, attribute)

    def close(self):
        pass

    def flush(self):
        pass


class Connection:
    def __init__(self, server, timeout_s=60):
        self.server = server
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def reset(self):
        """Goes away with RST, as a process that is killed with unread data does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def answer(self, method="POST"):
        """The next response: `status_code`, `headers`, `content`, `text`, `json()`."""
        response = http.client.HTTPResponse(_Shared(self.reader), method=method)
        response.begin()
        return Answer(response)

    def ended(self):
        """True when the server has closed: nothing comes but the end."""
        try:
            return self.reader.read(1) == b""
        except ConnectionError:
            return True


class Answer:
    def __init__(self, response):
        self.status_code = response.status
        self.headers = response.headers
        self.content = response.read()
        self.will_close = response.will_close

    @property
    def text(self):
        return self.content.decode()

    def json(self):
        return json.loads(self.content)


def head(server, method, path, *headers, host=None):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.port}'}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def ingest_head(server, name, *headers):
    return head(server, "POST", f"/ingest/{name}", f"Content-Type: {ARROW}", *headers)


def ingest_request(server, name, body):
    return ingest_head(server, name, f"Content-Length: {len(body)}") + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
