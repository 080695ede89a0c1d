"""A small HTTP/2 client of raw frames: it does what no decent client would."""

import socket
import struct

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4
ENHANCE_YOUR_CALM = 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Client:
    """One connection; the handshake is made when it begins."""

    def __init__(self, port, timeout_s=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.buffer = b""
        self.goaway = None  # the code
        self.send(PREFACE + frame(SETTINGS))
        self.until(lambda kind, flags, *_: kind == SETTINGS and not flags & ACK)
        self.send(frame(SETTINGS, ACK))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def head(self, method, path, *fields):
        return self.encoder.encode(
            [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
            + list(fields)
        )

    def request(self, stream, method, path, *fields, body=b"", end=True):
        flags = END_HEADERS | (END_STREAM if end and not body else 0)
        self.send(frame(HEADERS, flags, stream, self.head(method, path, *fields)))
        if body:
            self.send(frame(DATA, END_STREAM if end else 0, stream, body))

    def next(self):
        """The next frame: type, flags, stream, payload; None at the end."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + self._length():
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.buffer += more
        length = self._length()
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
        if kind == GOAWAY:
            self.goaway = struct.unpack(">I", payload[4:8])[0]
        return kind, flags, stream, payload

    def _length(self):
        return int.from_bytes(self.buffer[:3], "big")

    def until(self, wanted):
        """The first frame that is wanted; None at the end."""
        while (found := self.next()) is not None:
            if wanted(*found):
                return found
        return None

    def answer(self, stream):
        """Status and body."""
        status, body = None, b""
        while (found := self.next()) is not None:
            kind, flags, of, payload = found
            if kind == HEADERS:  # all of them: the table has one state
                fields = dict(self.decoder.decode(payload))
                if of == stream:
                    status = int(fields[":status"])
            if of != stream:
                continue
            if kind == DATA:
                body += payload
            if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                break
        return status, body
