"""The HTTP/1.1 parser beside another one (httptools), request by request: http_peers.py."""

import os
import re

import http_peers
import pytest

from server import ROOT

CASES = 20_000
PAGE = ROOT / "docs" / "internals" / "http-parser.md"


def tool():
    return http_peers.tool(os.environ.get("ARROWPORT_TOOLS_DIR"))


def listed():
    """The classes in the page's table of differences."""
    return set(re.findall(r"^\| `([a-z0-9.-]+)` \|", PAGE.read_text(), re.MULTILINE))


def test_every_difference_from_httptools_is_a_listed_one():
    counts, unexplained = http_peers.run(range(CASES), tool())
    assert not unexplained, f"{len(unexplained)}: {unexplained[:5]} (http_peers.case(SEED))"
    assert sum(counts.values()) == CASES
    # What is compared is worth it: enough that both accept, and enough that both refuse.
    assert counts["both accepted"] > CASES / 5 and counts["both refused"] > CASES / 5, counts
    met = set(counts) - {"both accepted", "both refused"}
    assert met <= listed(), f"{met - listed()}: not in {PAGE}"


SIMPLE = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"


def see(data, piece=0):
    return next(http_peers.ours([(data, piece)], tool())), http_peers.theirs(data)


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (SIMPLE, None),
        (SIMPLE[:-1], None),
        (b"GET / HTTP/1.1\r\n\r\n", "host-missing"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "host-repeated"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "host-malformed"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "version"),
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "target-bytes"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "connect"),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "target-form"),
        (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "target-authority"),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "target-host"),
        (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", "method"),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "empty-lines"),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "request-line-spaces"),
        (SIMPLE.replace(b"h: 2", b"h: 0000000000000000002"), "length-digits"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "coding",
        ),
        (
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "coding-in-1.0",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
            "coding-tab",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;\r\n\r\n",
            "chunk-extension",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0000000000000001\r\na\r\n0\r\n\r\n",
            "chunk-size-digits",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\nContent-Length: 1\r\n\r\n",
            "trailer-fields",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "upgrade"),
        (
            b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
            "close-and-keep-alive",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", "proxy-connection"),
    ],
)
def test_each_listed_difference_is_what_it_is_said_to_be(data, difference):
    for piece in (0, 1, 7):
        assert http_peers.compare(data, *see(data, piece))[0] == difference


def test_every_listed_difference_has_an_example():
    marks = test_each_listed_difference_is_what_it_is_said_to_be.pytestmark
    (parametrize,) = [mark for mark in marks if mark.name == "parametrize"]
    assert {difference for _, difference in parametrize.args[1]} - {None} == listed()


def test_a_parser_that_reads_otherwise_is_noticed():
    """The comparison itself can fail: each part of what was read, turned into another."""
    mine, other = see(SIMPLE)
    (message,) = mine.messages
    changed = [
        message._replace(method=b"GET"),
        message._replace(target=b"/y"),
        message._replace(version="1.0"),
        message._replace(headers=message.headers[:-1]),
        message._replace(headers=[(b"host", b"b"), *message.headers[1:]]),
        message._replace(keep_alive=False),
        message._replace(chunked=True),
        message._replace(body=b"xb"),
        message._replace(body=b"a"),
    ]
    for another in changed:
        difference, _ = http_peers.compare(SIMPLE, mine._replace(messages=[another]), other)
        assert difference is not None and difference.startswith("!"), another
    refused = mine._replace(messages=[], error="400 too strict")
    assert http_peers.compare(SIMPLE, refused, other)[0] == "!refused"
    lax = other._replace(messages=[], error="Invalid header token")
    assert http_peers.compare(SIMPLE, mine, lax)[0] == "!accepted"
    longer = mine._replace(messages=[message, message])
    assert http_peers.compare(SIMPLE, longer, other)[0].startswith("!")
