"""A PostgreSQL server in a folder of its own, that nothing but a test knows of.

`initdb` refuses root, so root starts it as the package's own user. It ends with us at the latest.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.regtest.processes import LEASH

LEAST_VERSION = 15
OWNER = "postgres"
HOST = "127.0.0.1"
READY_S = 90.0
POLL_S = 0.05
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
log_min_messages = warning
deadlock_timeout = 200ms
recovery_init_sync_method = syncfs
"""


def binaries() -> Path | None:
    """Where the newest server's programs lie; None when there is none of a version that fits."""
    found = sorted(
        (int(path.parent.name), path)
        for path in Path("/usr/lib/postgresql").glob("*/bin")
        if path.parent.name.isdigit() and (path / "initdb").exists()
    )
    if found and found[-1][0] >= LEAST_VERSION:
        return found[-1][1]
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class Cluster:
    """One server, running or not; its databases outlive a kill."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """Initialise it in `folder`, which its owner can reach."""
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._owner = OWNER if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        self._starter = ThreadPoolExecutor(1)
        self._names = (f"books_{number}" for number in itertools.count())
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = int(probe.getsockname()[1])
        if self._owner:
            shutil.chown(folder, self._owner)
        self._run("initdb", "-D", str(self._data), "-U", OWNER, "-A", "trust", "-E", "UTF8")
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(CONFIGURATION + f"port = {self.port}\n")

    def url(self, database: str) -> str:
        """How to reach a database of this server."""
        return f"postgresql://{OWNER}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it takes connections, from whatever thread."""
        # It ends with the thread that started it: that one must last as long as we do.
        self._server = self._starter.submit(self._started).result()
        until = time.monotonic() + READY_S
        while self._run("pg_isready", "-h", HOST, "-p", str(self.port), check=False):
            if self._server.poll() is not None:
                self.start()  # what was killed had not let go of its memory yet
                return
            assert time.monotonic() < until, self._log.read_text(errors="replace")[-2_000:]
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL for the server and for every process of its own, without a warning."""
        if self._server is None:
            return
        children = _children_of(self._server.pid)
        for pid in (self._server.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait()
        self._server = None

    def stop(self) -> None:
        """End it in order, as fast as that goes."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(READY_S)
            self.kill()
        self._starter.shutdown()

    def new_database(self, template: str = "template0") -> str:
        """The URL of a database that nobody else has."""
        name = next(self._names)
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")  # fmt: skip
        return self.url(name)

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement as the owner; what it prints."""
        command = (
            str(self._programs / "psql"), "-h", HOST, "-p", str(self.port), "-U", OWNER,
            "-v", "ON_ERROR_STOP=1", "-qtA", "-c", statement, database,
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self._leash(), str(self._programs / "postgres"), "-D", str(self._data)],
                stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip

    def _leash(self) -> list[str]:
        """It ends with us, and as another user where we are root."""
        if self._owner:
            return self._as_owner("--pdeathsig", "KILL")
        return [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]

    def _as_owner(self, *options: str) -> list[str]:
        """Asked for another user Python forks, which gRPC's threads do not survive."""
        if not self._owner:
            return []
        identity = ("--reuid", self._owner, "--regid", self._owner, "--init-groups")
        return ["setpriv", *options, *identity]

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [*self._as_owner(), str(self._programs / program), *arguments],
            capture_output=True, text=True, cwd="/", check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.returncode


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A fresh server for as long as the block lasts."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="cobot-meter-postgres-"))
    folder.chmod(0o755)
    try:
        cluster = Cluster(folder, programs)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        _remove_apart(folder)


def _remove_apart(folder: Path) -> None:
    """By a process that nobody waits for.

    Hundreds of databases are a hundred thousand files: on a busy disk they take longer to go than a
    test may, and the time would be counted as that of the last test.
    """
    command = ["sh", "-c", 'rm -rf -- "$0" >/dev/null 2>&1 &', str(folder)]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=False)


def owner_exists() -> bool:
    """Whether root could start a server at all."""
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(OWNER)) or os.geteuid() != 0
    return os.geteuid() != 0


def _children_of(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == pid:
                children.append(int(stat.parent.name))
    return children
