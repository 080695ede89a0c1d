"""Servers for tests. `server` is shared and lives as long as the run; `start` makes one
for a test that needs its own settings, or that will harm it."""

import itertools
import pathlib

import pyarrow as pa
import pytest

from server import ROOT, Server

_names = itertools.count()


class _Log:
    """What the servers of a test wrote, for its report should it fail."""

    def __init__(self):
        self.servers = []  # (server, bytes that were there when the test began)

    def add(self, server):
        self.servers.append((server, server.stderr_path.stat().st_size))

    def texts(self):
        for server, start in self.servers:
            yield server.stderr_path.read_bytes()[start:].decode(errors="replace")[-20000:]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    log = item.funcargs.get("_log")
    if report.failed and log is not None:
        for text in log.texts():
            report.sections.append(("the server's stderr", text))


@pytest.fixture
def _log():
    return _Log()


@pytest.fixture(scope="session")
def _shared(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("shared"))
    yield server
    server.stop()


@pytest.fixture
def server(_shared, _log):
    _log.add(_shared)
    yield _shared
    assert _shared.alive(), f"the server died with exit code {_shared.process.returncode}"


@pytest.fixture
def start(tmp_path, _log):
    """`start(**options of Server)`: several may run; those left over are stopped."""
    servers = []

    def begin(directory=None, **options):
        server = Server(directory or tmp_path, **options)
        servers.append(server)
        _log.servers.append((server, 0))
        return server

    yield begin
    failed = []
    for server in servers:
        if server.process.returncode is None:
            try:
                server.stop()
            except AssertionError as error:
                failed.append(str(error))
    assert not failed, failed


@pytest.fixture
def name():
    """A table's name that no other test uses."""
    return f"t{next(_names)}"


@pytest.fixture(scope="session")
def flights_path():
    path = ROOT / "tests" / "data" / "flights" / "flights-200k.arrow"
    assert path.is_file(), f"{path} is missing from the clone"
    return pathlib.Path(path)


@pytest.fixture(scope="session")
def flights(flights_path):
    """200,000 real flights: delay (minutes), distance (miles), time (hour of the day)."""
    with pa.memory_map(str(flights_path)) as source:
        return pa.ipc.open_file(source).read_all()
