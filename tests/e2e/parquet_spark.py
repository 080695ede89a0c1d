"""Spark (parquet-mr) for tests: run as a program it reads requests, one JSON a line, and
answers each in one, within one session. `Spark` starts it.

A request is {"files": [paths], "select": {name: SQL expression}, "where": SQL or null,
"vectorized": bool}; its answer {"files": {path: [row...]}}, a row a dictionary as to_json
makes it, or {"error": text}: the deepest cause's."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse

_CONFIGURATION = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.codegen.maxFields": "1000",
    "spark.sql.debug.maxToStringFields": "10",
    # One task a file: rows come in the order of the file.
    "spark.sql.files.openCostInBytes": "134217728",
    # Statistics, dictionaries, Bloom filters and page indexes are all used to skip.
    "parquet.filter.stats.enabled": "true",
    "parquet.filter.dictionary.enabled": "true",
    "parquet.filter.bloom.enabled": "true",
    "parquet.filter.columnindex.enabled": "true",
    "parquet.page.verify-checksum.enabled": "true",
}


class Spark:
    """`ask` takes what the module says; several may be asked at once, as a list."""

    def __init__(self, log_path):
        self.log_path = log_path
        self.log = open(log_path, "wb")
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        )
        self.seconds = 0

    def ask(self, files, select, where=None, vectorized=True):
        """The rows of each file; RuntimeError with the reader's message."""
        request = {
            "files": [str(file) for file in files],
            "select": select,
            "where": where,
            "vectorized": vectorized,
        }
        began = time.monotonic()
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.seconds += time.monotonic() - began
        assert line, f"Spark died: {self.log_path.read_text()[-4000:]}"
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return [answer["files"].get(str(file), []) for file in files]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.log.close()


# ---- the program ---------------------------------------------------------------------------------


_frames = {}


def _answer(session, request):
    from pyspark.sql import functions

    vectorized = "true" if request["vectorized"] else "false"
    session.conf.set("spark.sql.parquet.enableVectorizedReader", vectorized)
    session.conf.set("spark.sql.parquet.enableNestedColumnVectorizedReader", vectorized)
    files = tuple(request["files"])
    if files not in _frames:  # looks at the files
        _frames[files] = session.read.parquet(*files)
    frame = _frames[files]
    if request["where"]:
        frame = frame.where(request["where"])
    columns = [functions.expr(said).alias(name) for name, said in request["select"].items()]
    row = functions.to_json(functions.struct(*columns), {"ignoreNullFields": "false"})
    files = {}
    for name, text in frame.select(functions.input_file_name(), row).collect():
        path = urllib.parse.unquote(urllib.parse.urlparse(name).path)
        files.setdefault(path, []).append(json.loads(text))
    return {"files": files}


def _cause(error):
    """What went wrong in the end, of a Java stack that may be long."""
    text = str(error)
    causes = re.findall(r"^Caused by: (.*)$", text, re.MULTILINE)
    return causes[-1] if causes else text.split("\n")[0]


def main():
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]")
    for key, value in _CONFIGURATION.items():
        key = key if key.startswith("spark.") else f"spark.hadoop.{key}"
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    for line in sys.stdin:
        try:
            answer = _answer(session, json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {_cause(error)}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    session.stop()


if __name__ == "__main__":
    main()
