"""What two parsers of HTTP/1.1 see in the same bytes: ours (tests/tools/http_parse.c) and
`httptools` (llhttp, Node's). Requests are generated, then most of them damaged; what is
accepted, and the parts of it, is compared, and every difference has to be one of those
that are listed here and argued in docs/internals/http-parser.md.

A rule holds when it finds its own reason in the bytes or in what the other parser made
of them, never in our parser's word for it: refusing too much does not explain itself."""

import collections
import json
import random
import struct
import subprocess

import httptools

from server import ROOT

# ---- requests

METHODS = ["GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]
RARE_METHODS = ["CONNECT", "TRACE", "get", "FOO", "M-SEARCH", "PRI", "SOURCE", "QUERY", "A!b"]
TARGETS = [
    "/",
    "/ingest/flights",
    "/query?sql=SELECT%201",
    "/a%20b?x=1&y=[2]|3",
    "/ingest/%F0%9F%A6%86?mode=append&key=id",
    "/?",
    "//double",
    "/a/../b/./c;v=1",
]
RARE_TARGETS = [
    "*",
    "http://h.example/x?y",
    "http://h.example:8888/",
    "http://other.example/",
    "https://h.example",
    "HTTP://H.EXAMPLE/",
    "ftp://h.example/",
    "http:///x",
    "http://u@h.example/",
    "h.example:80",
    "relative",
    "/a#b",
    '/a"b',
    "/<a>",
    "/a\\b^`{|}",
    "?x",
    "//",
    "/" + "x" * 2000,
]
VERSIONS = ["1.1"] * 12 + ["1.0"] * 2 + ["0.9", "1.2", "2.0", "3.0", "1.10", "11"]
FIELDS = [
    "Accept: */*",
    "Content-Type: application/vnd.apache.arrow.stream",
    "X-Empty:",
    "X-Blank:   \t ",
    "X-Inner: \t a \t b \t",
    "X-High: \u00e4\u00f6\u00ff",
    "Cookie: a=b; c=d",
    "X-Under_score: 1",
    "!#$%&'*+-.^_`|~: token",
    "Expect: 100-continue",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: x, Close",
    "Connection: upgrade",
    "Connection:",
    "Connection: keep-alive, close",
    "Connection: disclose, keepalive",
    "Proxy-Connection: close",
    "Upgrade: websocket",
    "TE: trailers",
]
HOSTILE_FIELDS = [
    "Host: h.example",
    "Host: other.example",
    "Host:",
    "Host: a b",
    "Host: a@b",
    "Host: h.example:80",
    "Content-Length: 3",
    "Content-Length: 3, 3",
    "Content-Length: +3",
    "Content-Length: -3",
    "Content-Length: 0x3",
    "Content-Length: 3 3",
    "Content-Length:",
    "Content-Length: 003",
    "Content-Length: 99999999999999999999",
    "Content-Length: 9223372036854775807",
    "Content-Length : 3",
    "Content-Length\t: 3",
    "Content_Length: 3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding:",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding : chunked",
    " Transfer-Encoding: chunked",
    "Transfer-Encoding\r\n : chunked",
    "X: a\r\n folded",
    "X: a\r\n\tTransfer-Encoding: chunked",
    "X: a\nTransfer-Encoding: chunked",
    "X: a\rTransfer-Encoding: chunked",
    "X: a\0b",
    "X: a\x7fb",
    "X: a\x01b",
    "No colon",
    ": no name",
    "(comment): x",
    "N\u00e4me: x",
]
EXTENSIONS = [
    *[""] * 20,
    ";x",
    ";x",
    ";x=y",
    ';x="a;b"',
    ';x="a\\"b"',
    " ;x",
    ";",
    ";x=",
    ";=",
    " ",
]
TRAILERS = [
    *[""] * 6,
    "T: 1\r\n",
    "X-Sum: 1\r\n",
    "A: 1\r\nB: 2\r\n",
    "Content-Length: 9\r\n",
    "X : 1\r\n",
]
INSERTED = [
    *(bytes([b]) for b in b"\r\n\t\0 :;,/%?#\x0b\x7f\x80\xff0a\"'()<>@[]{}"),
    b"\r\n",
    b"\n\n",
    b"\r\r\n",
    b"0\r\n\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
]


SIZES = ["%x"] * 8 + ["%X", "%04x", "%015x", "%016x"]


def chunked(chance, body):
    extensions = EXTENSIONS if chance.random() < 0.2 else [""]
    sizes = SIZES if chance.random() < 0.2 else ["%x"]
    out = ""
    while body:
        size = chance.randint(1, len(body))
        digits = chance.choice(sizes) % size
        out += digits + chance.choice(extensions) + "\r\n" + body[:size] + "\r\n"
        body = body[size:]
    return out + chance.choice(["0", "0", "000", "0;x"]) + "\r\n" + chance.choice(TRAILERS) + "\r\n"


def request(chance):
    """One request; a fifth holds something that was never meant to be."""
    rare = chance.random() < 0.1
    method = chance.choice(RARE_METHODS if rare and chance.random() < 0.3 else METHODS)
    target = chance.choice(RARE_TARGETS if rare and chance.random() < 0.5 else TARGETS)
    version = chance.choice(VERSIONS) if chance.random() < 0.1 else "1.1"
    fields = ["Host: h.example"] if chance.random() < 0.97 else []
    fields += chance.sample(FIELDS, chance.randint(0, 3))
    if rare:
        fields += chance.sample(HOSTILE_FIELDS, chance.randint(0, 2))
    body = ""
    if method not in ("GET", "HEAD") or chance.random() < 0.1:
        body = "".join(chance.choice("ab\r\n0 :\xff") for _ in range(chance.randint(0, 40)))
        if chance.random() < 0.5:
            fields.append(
                chance.choice(["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED"])
            )
            body = chunked(chance, body)
        else:
            fields.append(f"Content-Length: {len(body)}")
    chance.shuffle(fields)
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *fields])
    return (head + "\r\n\r\n" + body).encode("latin-1")


def damage(chance, data):
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(8)
    if kind == 0:
        return data[:at] + chance.choice(INSERTED) + data[at:]
    if kind == 1:
        return data[:at] + chance.choice(INSERTED) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + chance.randint(1, 4) :]
    if kind == 3:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 4:
        until = at + chance.randint(1, 30)
        return data[:until] + data[at:until] + data[until:]
    if kind == 5:
        return data.replace(b"\r\n", chance.choice([b"\n", b"\r", b"\r\r\n"]), chance.randint(1, 3))
    if kind == 6:
        lines = data.split(b"\r\n")
        chance.shuffle(lines)
        return b"\r\n".join(lines)
    return data[:at]


LAST = b"GET /last HTTP/1.1\r\nHost: h.example\r\n\r\n"


def case(seed):
    """What one connection sends: (bytes, length of the pieces that ours is fed)."""
    chance = random.Random(seed)
    data = chance.choice([b"", b"", b"", b"", b"", b"\r\n", b"\r\n\r\n"]) * (chance.random() < 0.3)
    data += b"".join(request(chance) for _ in range(chance.choice([1, 1, 2, 3])))
    if chance.random() < 0.5:
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            data = damage(chance, data)
    if chance.random() < 0.8:
        data += LAST
    return data, chance.choice([0, 0, 1, chance.randint(2, 60)])


# ---- what the two see

Message = collections.namedtuple(
    "Message", "method target version headers keep_alive chunked body whole"
)
Seen = collections.namedtuple("Seen", "messages error undecided upgraded began stopped")


def ours(cases, tool):
    """For each case what our parser sees; in one run of the tool."""
    sent = b"".join(struct.pack("<II", piece, len(data)) + data for data, piece in cases)
    done = subprocess.run([tool], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, f"http_parse ended with {done.returncode}: {done.stderr[-2000:]}"
    for line in done.stdout.splitlines():
        seen = json.loads(line)
        messages = [
            Message(
                bytes.fromhex(m["method"]),
                bytes.fromhex(m["target"]),
                m["version"],
                [(bytes.fromhex(h["name"]), bytes.fromhex(h["value"])) for h in m["headers"]],
                m["keep_alive"],
                m["length"] < 0,
                bytes.fromhex(m["body"]),
                m["whole"],
            )
            for m in seen["messages"]
        ]
        error = None if seen["error"] is None else bytes.fromhex(seen["error"]).decode()
        undecided = error is None and not seen["idle"]
        said = error and f"{seen['code']} {error}"
        yield Seen(messages, said, undecided, False, seen["began"], seen["stopped"])


class _Protocol:
    """httptools' callbacks; a head counts once it is complete, as ours does."""

    def __init__(self):
        self.messages = []
        self.parser = httptools.HttpRequestParser(self)
        self.head = None
        self.pending = None  # url and fields of a head that is not complete

    def on_message_begin(self):
        self.head = None
        self.pending = {"url": b"", "headers": []}

    def on_url(self, url):
        self.pending["url"] += url

    def on_header(self, name, value):
        if self.head is None:  # after the head it is a trailer
            self.pending["headers"].append((name.lower(), value))

    def on_headers_complete(self):
        headers = self.pending["headers"]
        coding = [v for n, v in headers if n == b"transfer-encoding"]
        self.head = Message(
            self.parser.get_method(),
            self.pending["url"],
            self.parser.get_http_version(),
            headers,
            self.parser.should_keep_alive(),
            bool(coding),
            b"",
            False,
        )
        self.messages.append(self.head)

    def on_body(self, body):
        self.messages[-1] = self.messages[-1]._replace(body=self.messages[-1].body + body)

    def on_message_complete(self):
        self.messages[-1] = self.messages[-1]._replace(whole=True)
        self.pending = None


def theirs(data):
    protocol = _Protocol()
    try:
        protocol.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return Seen(protocol.messages, None, False, True, 0, 0)
    except httptools.HttpParserError as error:
        return Seen(protocol.messages, str(error), False, False, 0, 0)
    undecided = protocol.pending is not None or (
        bool(protocol.messages) and not protocol.messages[-1].whole
    )
    return Seen(protocol.messages, None, undecided, False, 0, 0)


# ---- differences

AUTHORITY = set(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+,;=:[]%"
)
HEX_DIGITS = b"0123456789abcdefABCDEF"
KNOWN = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE"}
TOKEN = set(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~")


def values(message, name):
    return [v.strip(b" \t") for n, v in message.headers if n == name]


def _authority(target):
    for scheme in (b"http://", b"https://"):
        if target.lower().startswith(scheme):
            rest = target[len(scheme) :]
            ends = [i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0]
            return rest[: min(ends)] if ends else rest
    return None


def _is_authority(text):
    return set(text) <= AUTHORITY


def refused_head(message):
    """Why a head that the other parser accepted must be refused; None: no reason known."""
    hosts = values(message, b"host")
    codings = values(message, b"transfer-encoding")
    lengths = values(message, b"content-length")
    authority = _authority(message.target)
    if message.version not in ("1.0", "1.1"):
        return "version"
    if any(byte in b'"#<>' or not 0x20 < byte < 0x7F for byte in message.target):
        return "target-bytes"
    if message.version == "1.1" and not hosts:
        return "host-missing"
    if len(hosts) > 1:
        return "host-repeated"
    if hosts and not _is_authority(hosts[0]):
        return "host-malformed"
    if message.version == "1.0" and codings:
        return "coding-in-1.0"
    if len(codings) > 1 or (codings and codings[0].lower() != b"chunked"):
        return "coding"
    if lengths and len(lengths[0]) > 18:
        return "length-digits"
    if message.method == b"CONNECT":
        return "connect"
    if not message.target.startswith(b"/") and not (
        message.target == b"*" and message.method == b"OPTIONS"
    ):
        if authority is None:
            return "target-form"
        if not authority or not _is_authority(authority):
            return "target-authority"
        if hosts and hosts[0].lower() != authority.lower():
            return "target-host"
    return None


def compare_parts(mine, other):
    """The first part that two heads differ in, after what is known to differ; None: equal.
    Trailing white space is not part of a value (RFC 9110, 5.5); llhttp hands it on."""
    other = other._replace(headers=[(n, v.rstrip(b" \t")) for n, v in other.headers])
    for part in ("method", "target", "version", "headers", "chunked"):
        if getattr(mine, part) != getattr(other, part):
            return part
    if mine.keep_alive != other.keep_alive:
        return "keep_alive"
    return None


def compare(data, mine, other):
    """(class of the difference, or None; detail). A class that does not begin with '!' is
    one of those that docs/internals/http-parser.md lists."""
    for at, (m, o) in enumerate(zip(mine.messages, other.messages, strict=False)):
        part = compare_parts(m, o)
        if part is not None:
            return explain_part(part, m, o)
        if other.upgraded and at == len(other.messages) - 1:
            return _upgrade(o)
        shorter = min(len(m.body), len(o.body))
        if m.body[:shorter] != o.body[:shorter]:
            return "!body", f"message {at}"
        if m.whole and o.whole and m.body != o.body:
            return "!body-length", f"message {at}"
        if not (m.whole and o.whole):
            break
        if not m.keep_alive:
            return None, ""  # the server reads nothing more of this connection
    return explain_end(data, mine, other)


def _upgrade(message):
    tokens = b",".join(values(message, b"connection")).lower()
    if values(message, b"upgrade") and b"upgrade" in tokens:
        return "upgrade", ""
    return ("method", "") if message.method == b"CONNECT" else ("!upgrade", repr(message))


def explain_part(part, m, o):
    if part == "keep_alive":
        lists = b",".join(values(o, b"connection")).lower().split(b",")
        tokens = {token.strip(b" \t") for token in lists}
        wanted = b"close" not in tokens and (o.version == "1.1" or b"keep-alive" in tokens)
        if m.keep_alive == wanted:  # by RFC 9112, section 9.3
            if b"close" in b",".join(values(o, b"proxy-connection")).lower():
                return "proxy-connection", ""
            if tokens >= {b"close", b"keep-alive"}:
                return "close-and-keep-alive", ""
    return f"!{part}", f"{getattr(m, part)!r} and {getattr(o, part)!r}"


def explain_end(data, mine, other):
    """The common messages are equal; how do the two go on?"""
    ahead = _progress(mine) > _progress(other)
    behind = _progress(mine) < _progress(other)
    if mine.error is not None and (behind or (not ahead and other.error is None)):
        if not behind and other.undecided:
            return None, ""  # it waits for what we need not see to refuse
        return explain_refusal(data, mine, other)
    if other.error is not None and (ahead or (not behind and mine.error is None)):
        if not ahead and mine.undecided:
            return None, ""
        return explain_acceptance(data, mine, other)
    if ahead or behind:
        return "!end", f"{mine.error} and {other.error}"
    return None, ""


def _progress(seen):
    """Messages, the last one counting double once it is whole."""
    return sum(1 + message.whole for message in seen.messages)


def explain_refusal(data, mine, other):
    """We refuse what the other accepts: the reason must be in what it accepted, or in the
    bytes where we stopped."""
    m, o = len(mine.messages), len(other.messages)
    if o > m:
        why = refused_head(other.messages[m])
        if why is not None:
            return why, ""
    begin = data[mine.began :]
    if begin.startswith((b"\r\n\r\n", b"\r\n\n", b"\r\n\r", b"\n")) or (
        begin.startswith(b"\r") and not begin.startswith(b"\r\n")
    ):
        return "empty-lines", ""
    before, at = data[: mine.stopped], data[mine.stopped : mine.stopped + 1]
    digits = len(before) - len(before.rstrip(HEX_DIGITS))
    if m > 0 and digits >= 15 and at and at in HEX_DIGITS:
        return "chunk-size-digits", ""
    line = data[mine.began + 2 : mine.stopped + 1]  # an empty line before it is allowed
    if b"  " in line and b"\r\n" not in line:
        return "request-line-spaces", ""
    return "!refused", mine.error


def explain_acceptance(data, mine, other):
    """We accept what the other refuses, and it says why."""
    o = len(other.messages)
    in_method = ("Invalid method", "Expected space after method", "Expected HTTP/2 Connection")
    if o > 0 and not other.messages[-1].whole:
        if mine.messages[o - 1].chunked:
            if other.error.startswith("Invalid character in chunk extensions"):
                return "chunk-extension", ""
            if "can't be present with" in other.error or "header value" in other.error:
                return "trailer-fields", ""  # in the trailer: the head was accepted
            if "invalid `Transfer-Encoding`" in other.error and b"chunked\t\r\n" in data.lower():
                return "coding-tab", ""
    elif len(mine.messages) > o:
        method = mine.messages[o].method
        if other.error.startswith(in_method) and set(method) <= TOKEN and method not in KNOWN:
            return "method", ""
    return "!accepted", other.error


def tool(directory):
    return f"{directory or ROOT / 'build' / 'debug' / 'tests' / 'tools'}/http_parse"


def run(seeds, tool_path):
    """(how often each listed class was met, what is not explained: (seed, class, detail))."""
    seeds = list(seeds)
    cases = [case(seed) for seed in seeds]
    counts = collections.Counter()
    unexplained = []
    for seed, (data, _), mine in zip(seeds, cases, ours(cases, tool_path), strict=True):
        difference, detail = compare(data, mine, theirs(data))
        counts[difference or ("both refused" if mine.error else "both accepted")] += 1
        if difference is not None and difference.startswith("!"):
            unexplained.append((seed, difference, detail))
    return counts, unexplained
