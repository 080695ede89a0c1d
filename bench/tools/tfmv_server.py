"""Starts TFMV/arrowport's HTTP application, or its Flight server: tfmv_server.py PORT [flight].

On its first connection it asks DuckDB to download an extension that is not needed to
scan an Arrow table, and fails where there is no network to download from; both calls
are answered with nothing here. The rest is as it comes.
"""

import sys

import duckdb


class Connection:
    def __init__(self, inner):
        self._inner = inner

    def install_extension(self, *_, **__):
        pass

    load_extension = install_extension

    def __getattr__(self, name):
        return getattr(self._inner, name)


_connect = duckdb.connect
duckdb.connect = lambda *arguments, **options: Connection(_connect(*arguments, **options))
port = int(sys.argv[1])
if sys.argv[2:] == ["flight"]:
    from arrowport.core.flight import FlightServer

    FlightServer(host="127.0.0.1", port=port).serve()
else:
    import uvicorn

    uvicorn.run("arrowport.api.app:app", host="127.0.0.1", port=port, log_level="warning")
