"""What packaging/ holds: the unit by systemd's own checker, the container file as far as it can be
checked without a container, the dashboard by promtool; and the server under a service manager."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest
import requests
import yaml
from certs import Authority

from server import ROOT, binary, environment, run

PACKAGING = ROOT / "packaging"
WAIT_S = 60


def unit(name):
    """{section: {key: [values]}}"""
    sections = {}
    for line in (PACKAGING / name).read_text().splitlines():
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            section = sections.setdefault(line.strip("[]"), {})
            continue
        key, value = line.split("=", 1)
        section.setdefault(key, []).append(value)
    return sections


# ---- the unit


def test_systemd_accepts_the_units(tmp_path):
    analyze = shutil.which("systemd-analyze")
    assert analyze is not None, "systemd-analyze is missing (Debian's package systemd)"
    text = (PACKAGING / "arrowport.service").read_text()
    assert "ExecStart=arrowport " in text
    text = text.replace("ExecStart=arrowport ", f"ExecStart={binary()} ")
    (tmp_path / "arrowport.service").write_text(text)
    shutil.copy(PACKAGING / "arrowport.socket", tmp_path)
    done = subprocess.run(
        [analyze, "verify", "--man=no", "arrowport.service", "arrowport.socket"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    # Of the machine's own units it may say what it likes.
    said = [line for line in done.stderr.splitlines() if "arrowport" in line]
    assert said == []


def test_the_service_is_confined_and_outlives_its_drain():
    service = unit("arrowport.service")["Service"]
    for key, value in {
        "Type": "notify",
        "Restart": "on-failure",
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "DynamicUser": "yes",
        "StateDirectory": "arrowport",
        "ExecReload": "/bin/kill -HUP $MAINPID",
        "CapabilityBoundingSet": "",
    }.items():
        assert service[key] == [value]
    defaults = yaml.safe_load(run("config", "defaults", cwd=ROOT).stdout)
    assert int(service["TimeoutStopSec"][0]) > defaults["drain_timeout_s"]
    assert int(service["LimitNOFILE"][0]) > defaults["http"]["connections_max"]


def test_the_service_starts_what_there_is():
    (command,) = unit("arrowport.service")["Service"]["ExecStart"]
    program, name, *arguments = command.split()
    assert (program, name) == ("arrowport", "serve")
    usage = run("serve", "--help", cwd=ROOT).stdout.decode()
    for argument in arguments:
        assert argument.startswith("/etc/arrowport/") or argument in usage


def test_the_socket_is_where_the_server_listens_by_default():
    (address,) = unit("arrowport.socket")["Socket"]["ListenStream"]
    defaults = yaml.safe_load(run("config", "defaults", cwd=ROOT).stdout)
    assert address == f"{defaults['host']}:{defaults['port']}"


@pytest.mark.parametrize("uncommented", [False, True])
def test_the_example_configuration_is_sound(tmp_path, uncommented):
    text = (PACKAGING / "arrowport.yaml").read_text()
    if uncommented:
        text = re.sub(r"^#(?=[a-z]|  )", "", text, flags=re.M)  # settings, not sentences
        assert yaml.safe_load(text)["tls"] and yaml.safe_load(text)["streams"]
        Authority(tmp_path).issue("cert").key.rename(tmp_path / "key.pem")
        text = text.replace("/etc/arrowport/", f"{tmp_path}/")
    (tmp_path / "arrowport.yaml").write_text(text)
    done = run("config", "check", "--config", "arrowport.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# ---- the container file


def containerfile():
    """[(instruction, rest)], continued lines joined."""
    text = re.sub(r"\\\n", " ", (PACKAGING / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.strip().split(None, 1)) for line in lines]


def stages():
    found = []
    for instruction, rest in containerfile():
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, " ".join(rest.split())))
    return found


def test_what_is_built_is_there(tmp_path):
    """What the first stage copies is enough for its commands: they are configured from a copy."""
    build, _ = stages()
    copied = set()
    for instruction, rest in build:
        if instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = tmp_path / (source if target == "./" else target)
                assert (ROOT / source).exists(), source
                copied.add(source)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place)
                else:
                    shutil.copy(ROOT / source, place)
        if instruction == "RUN" and rest.startswith("scripts/"):
            script = tmp_path / rest.split()[0]
            assert os.access(script, os.X_OK), rest
            # What a script calls or reads must have been copied, too.
            for name in re.findall(r"(?<![\w/])scripts/[\w.-]+", script.read_text()):
                assert (tmp_path / name).exists(), name
    runs = [rest for instruction, rest in build if instruction == "RUN"]
    assert runs == [
        "scripts/install-build-deps",
        "scripts/build release",
        "cmake --install build/release --prefix /usr/local",
    ]
    library = pathlib.Path(os.path.realpath(pathlib.Path(binary()).parent / "libduckdb.so"))
    done = subprocess.run(
        ["cmake", "--preset", "release"],
        cwd=tmp_path,
        env={**os.environ, "DUCKDB_ROOT": str(library.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # Everything that is to be installed, but for what is built, exists.
    script = (tmp_path / "build/release/cmake_install.cmake").read_text()
    for name in re.findall(rf'"({re.escape(str(tmp_path))}/[^"]+)"', script):
        if "/build/" not in name and "CMAKE_INSTALL" not in name:
            assert os.path.exists(name), name


def test_the_image_has_every_library():
    _, image = stages()
    (install,) = [rest for instruction, rest in image if instruction == "RUN"]
    packages = set(re.search(r"--no-install-recommends (.*?) &&", install)[1].split())
    assert {"curl", "libcurl4", "ca-certificates"} <= packages  # loaded, or called
    libraries = pathlib.Path(binary()).parent / "libduckdb.so"
    needed = set()
    for file in (binary(), os.path.realpath(libraries)):
        out = subprocess.run(["ldd", file], capture_output=True, text=True, check=True).stdout
        needed |= set(re.findall(r"=> (/\S+)", out))
    for path in needed:
        owner = ""
        # The file is the package's under one of two names: /lib is a link to /usr/lib.
        for name in (path, "/usr" + path, os.path.realpath(path)):
            done = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
            owner = owner or done.stdout.split(":")[0]
        if "/lib" in path and ("asan" in path or "tsan" in path):
            continue
        assert owner in packages | {"libc6", "libgcc-s1"}, f"{path}: {owner!r}"


def test_the_image_runs_without_root_and_is_asked_how_it_is():
    build, image = stages()
    says = {}
    for instruction, rest in image:
        says.setdefault(instruction, []).append(rest)
    assert {stage[0][1].split()[0] for stage in (build, image)} == {"debian:12-slim"}
    assert says["USER"] == ["arrowport"]
    assert says["VOLUME"] == says["WORKDIR"] == ["/var/lib/arrowport"]
    assert says["EXPOSE"] == ["8888"]
    assert json.loads(says["ENTRYPOINT"][0]) == ["arrowport"]
    usage = run("serve", "--help", cwd=ROOT).stdout.decode()
    command = json.loads(says["CMD"][0])
    assert command[0] == "serve" and all(option in usage for option in command[1:])
    (health,) = says["HEALTHCHECK"]
    assert "http://127.0.0.1:8888/healthz" in json.loads(health.split("CMD ", 1)[1])
    # The data is the user's.
    (install,) = says["RUN"]
    assert "install -d -o arrowport -g arrowport -m 0700 /var/lib/arrowport" in install


# ---- the dashboard


def panels():
    dashboard = json.loads((PACKAGING / "grafana-dashboard.json").read_text())
    assert dashboard["title"] == "Arrowport" and dashboard["templating"]["list"]
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions():
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def given(server):
    """{name: the labels that a sample may have}"""
    server.get("/nothing")
    server.query("SELECT 1 AS a")
    labels = {}
    for line in server.get("/metrics").text.splitlines():
        if line.startswith("# TYPE"):
            name, kind = line.split()[2:]
            names = [name + end for end in ("_bucket", "_sum", "_count")]
            labels |= {n: set() for n in (names if kind == "histogram" else [name])}
        elif not line.startswith("#"):
            labels[re.match(r"\w+", line)[0]] |= set(re.findall(r'(\w+)="', line))
    return labels


def test_every_metric_that_is_drawn_is_one_that_is_given(server):
    names = given(server)
    drawn = set()
    for expression in expressions():
        found = re.findall(r"arrowport_\w+", expression)
        assert found, expression
        assert set(found) <= set(names), expression
        drawn |= set(found)
    plain = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    # And all that the documentation promises a dashboard for is drawn.
    assert {re.sub("_bucket$", "", name) for name in drawn} == plain


def test_the_dashboard_has_no_holes():
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_prometheus_understands_every_expression(tmp_path):
    document = (ROOT / "docs" / "metrics.md").read_text()
    alerts = document.split("## Alerts to begin with")[1].split("```")[1].strip().splitlines()
    assert len(alerts) >= 5
    rules = []
    for number, expression in enumerate(expressions() + alerts):
        for variable, value in (
            ("$__rate_interval", "5m"),
            ("$__range", "1h"),
            ("$instance", ".+"),
        ):
            expression = expression.replace(variable, value)
        assert "$" not in expression
        rules.append({"record": f"rule{number}", "expr": expression})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": rules}]}))
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not installed (scripts/packages.txt)"
    done = subprocess.run(
        [promtool, "check", "rules", tmp_path / "rules.yml"], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---- under a service manager

# Takes the listening socket's descriptor to 3, as the service manager hands it over.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """What systemd does for a unit: listens, starts, hears."""

    def __init__(self, directory, abstract=False):
        self.directory = directory
        self.short = tempfile.mkdtemp()  # a socket's path has 107 bytes at most
        self.hears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"arrowport-e2e-{os.getpid()}-{id(self)}"
        self.address = "@" + name if abstract else f"{self.short}/notify"
        self.hears.bind("\0" + name if abstract else self.address)
        self.hears.settimeout(WAIT_S)
        self.listens = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listens.getsockname()[1]}"
        self.process = None

    def start(self, *args, handed=None, count="1", extra=None):
        handed = handed or self.listens
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                LAUNCH,
                str(handed.fileno()),
                binary(),
                *("serve", "--quiet", "--db", "m.duckdb", "--host", "127.0.0.1", *args),
            ],
            cwd=self.directory,
            env=environment({"NOTIFY_SOCKET": self.address, "LISTEN_FDS": count, **(extra or {})}),
            pass_fds=(handed.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(self.directory / "stderr.log", "ab"),
        )

    def hear(self, *wanted):
        """The states up to the one that begins with each of `wanted`, in that order."""
        heard = []
        for state in wanted:
            while True:
                heard.append(self.hears.recv(4096).decode())
                if heard[-1].startswith(state):
                    break
        return heard

    def stderr(self):
        return (self.directory / "stderr.log").read_text()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hears.close()
        self.listens.close()
        shutil.rmtree(self.short)


@pytest.fixture(params=[False, True], ids=["path", "abstract"])
def manager(tmp_path, request):
    with contextlib.closing(Manager(tmp_path, request.param)) as made:
        yield made


def test_a_socket_is_taken_over_and_every_state_is_told(manager, tmp_path):
    # A client that came before the server waits for it.
    port = manager.listens.getsockname()[1]
    early = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    early.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
    (tmp_path / "a.yaml").write_text("log_level: info\n")
    manager.start("--config", "a.yaml", "--port", "1")  # which nobody may bind, or needs
    manager.hear("READY=1")
    assert early.recv(65536).startswith(b"HTTP/1.1 200")
    early.close()
    assert requests.get(manager.url + "/readyz", timeout=WAIT_S).status_code == 200

    before_us = time.monotonic_ns() // 1000
    manager.process.send_signal(signal.SIGHUP)
    *_, reloading = manager.hear("RELOADING=1")
    told_us = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)[1])
    assert before_us <= told_us <= time.monotonic_ns() // 1000
    manager.hear("READY=1")
    assert requests.get(manager.url + "/healthz", timeout=WAIT_S).status_code == 200

    manager.process.send_signal(signal.SIGTERM)
    manager.hear("STOPPING=1")
    assert manager.process.wait(WAIT_S) == 0
    # The socket is the manager's: it still listens, for the next server.
    manager.start()
    manager.hear("READY=1")
    assert requests.get(manager.url + "/healthz", timeout=WAIT_S).status_code == 200


def test_the_watchdog_is_fed(manager):
    manager.start(extra={"WATCHDOG_USEC": "200000"})
    heard = manager.hear("READY=1", *["WATCHDOG=1"] * 5)
    assert all(state.startswith(("READY", "STATUS", "WATCHDOG")) for state in heard)


def test_a_socket_that_is_none_stops_the_start(manager):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
        manager.start(handed=wrong)
        assert manager.process.wait(WAIT_S) == 2
    assert "ListenStream=" in manager.stderr()


def test_two_sockets_stop_the_start(manager):
    manager.start(count="2")
    assert manager.process.wait(WAIT_S) == 2
    assert "2 sockets" in manager.stderr()


def test_a_manager_that_hears_nothing_stops_nothing(manager):
    manager.hears.close()
    manager.start()
    for _ in range(600):
        with contextlib.suppress(requests.exceptions.ConnectionError):
            assert requests.get(manager.url + "/healthz", timeout=WAIT_S).status_code == 200
            break
        time.sleep(0.1)
    manager.process.send_signal(signal.SIGTERM)
    assert manager.process.wait(WAIT_S) == 0
