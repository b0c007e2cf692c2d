"""lnd, lncli, btcd and btcctl, built once by the ordinary Go client into a cache outside the tree.

go.mod and go.sum beside this file fix what is built, to the byte. Two who build at once wait for
each other, and nobody sees half a folder.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from deploy.regtest.errors import BuildFailed, NodesLeftOut
from deploy.regtest.go_toolchain import MODULE, OURS_ALONE, find_go
from deploy.regtest.processes import on_leash

# invoicesrpc, signrpc, walletrpc and chainrpc are only there when they are asked for.
TAGS = (
    "autopilotrpc signrpc walletrpc chainrpc invoicesrpc watchtowerrpc neutrinorpc monitoring "
    "peersrpc kvdb_sqlite"
)
PACKAGES = (
    "github.com/btcsuite/btcd",
    "github.com/btcsuite/btcd/cmd/btcctl",
    "github.com/lightningnetwork/lnd/cmd/lncli",
    "github.com/lightningnetwork/lnd/cmd/lnd",
)
NAMES = tuple(package.rpartition("/")[2] for package in PACKAGES)
SAY_EVERY_S = 30
BUILD_TIMEOUT_S = 2_400
LOG_TAIL = 2_000


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder that holds the four programs."""

    folder: Path

    @property
    def lnd(self) -> str:
        """The Lightning node."""
        return str(self.folder / "lnd")

    @property
    def lncli(self) -> str:
        """Its command line."""
        return str(self.folder / "lncli")

    @property
    def btcd(self) -> str:
        """The chain."""
        return str(self.folder / "btcd")

    @property
    def btcctl(self) -> str:
        """Its command line."""
        return str(self.folder / "btcctl")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where what is built is kept: below the user's cache, outside the tree."""
    caches = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "cobot-meter" / "regtest"


def built(cache: Path) -> Binaries | None:
    """What lies in the cache already for this go.mod, go.sum and these tags."""
    binaries = Binaries(cache / _key())
    return binaries if binaries.folder.is_dir() else None


def build(cache: Path, *, path: str | None = None) -> Binaries:
    """Build what the cache does not hold; says what it does while it takes its time.

    `path` takes the place of PATH in the search for Go. Raises NodesLeftOut where there is no Go
    and none to be had, and BuildFailed.
    """
    if found := built(cache):
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise NodesLeftOut(f"the cache {cache} cannot be made: set XDG_CACHE_HOME") from fault
    with _one_builder(cache / f"{_key()}.lock"):
        return built(cache) or _build(cache, find_go(cache, path))


def _key() -> str:
    parts = (MODULE.read_bytes(), MODULE.with_name("go.sum").read_bytes(), TAGS.encode())
    digest = sha256(b"\0".join(parts)).hexdigest()[:16]
    return f"{digest}-{platform.system()}-{platform.machine()}".lower()


@contextmanager
def _one_builder(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("· waiting for another builder of the nodes", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(cache: Path, go: Path) -> Binaries:
    for left in cache.glob(f"{_key()}.building-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_key()}.building-", dir=cache))
    print("· building lnd and btcd: about five minutes once, then seconds", flush=True)
    _run_go(go, folder)
    folder.chmod(0o755)
    folder.rename(cache / _key())
    return Binaries(cache / _key())


def _run_go(go: Path, folder: Path) -> None:
    began_s = time.monotonic()
    log = folder.with_suffix(".log")
    command = [str(go), "-C", str(MODULE.parent), "build", "-trimpath", "-mod=readonly"]
    building = on_leash(
        [*command, "-tags", TAGS, "-o", f"{folder}/", *PACKAGES],
        folder=folder,
        log=log,
        variables={**OURS_ALONE, "CGO_ENABLED": "0", "HOME": str(Path.home())},
    )
    try:
        while building.poll() is None:
            took_s = int(time.monotonic() - began_s)
            if took_s > BUILD_TIMEOUT_S:
                raise BuildFailed(f"the build took longer than {BUILD_TIMEOUT_S} s")
            try:
                building.wait(SAY_EVERY_S)
            except subprocess.TimeoutExpired:
                print(f"· still building ({took_s + SAY_EVERY_S} s)", flush=True)
    finally:
        building.kill()
        building.wait()
        said = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        log.unlink()
    if building.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise BuildFailed(f"go build ended with {building.returncode}: {said.strip()}")
    print(f"· built in {int(time.monotonic() - began_s)} s", flush=True)
