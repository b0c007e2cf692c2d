"""Programs of others that are compared with the service, each in an environment of its own.

The environment is made by pip from a lock with hashes (`benchmarks/peers/`), once for each version
of the lock, in the user's cache. Where that fails (no registry, no room) the comparison is left
out, and the table says why.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.credit.targets import Target
from benchmarks.rig.processes import ROOT, cores, free_port, running_command
from benchmarks.rig.stacks import Upstream, upstream_process

LOCKS = ROOT / "benchmarks" / "peers"
INSTALL_S = 900.0
LITELLM = "litellm"
LITELLM_KEY = "sk-benchmark"
LITELLM_START_S = 180.0
READY = ".ready"
# Environment of a program that asks nobody but its upstream, and writes no line for each request.
LITELLM_ENV = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
LITELLM_CONFIG = """\
model_list:
  - model_name: mock/model
    litellm_params:
      model: openai/mock/model
      api_base: {api_url}
      api_key: not-a-key
general_settings:
  master_key: {key}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where a peer is installed; else `without` says in one sentence why it is not."""

    folder: Path | None = None
    without: str = ""


def installed(name: str, *, lock: Path, below: Path) -> Peer:
    """The program of a lock, installed now where this version of it is not yet."""
    version = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = below / f"{lock.stem}-{version}"
    if (folder / READY).exists():
        return Peer(folder=folder)
    print(f"· installing {lock.name} below {below}, once: a few minutes", flush=True)
    fault = _install(folder, lock)
    if fault:
        shutil.rmtree(folder, ignore_errors=True)
        return Peer(without=f"{name} is left out: it could not be installed ({fault}).")
    (folder / READY).touch()
    return Peer(folder=folder)


def litellm_side(
    *, wanted: bool, notes: list[str]
) -> contextlib.AbstractContextManager[Target] | None:
    """It, ready to be started; `notes` gains why it is left out where it is."""
    if not wanted:
        notes.append("LiteLLM is left out of a smoke run.")
        return None
    peer = installed("LiteLLM", lock=LOCKS / f"{LITELLM}.lock", below=peers_folder())
    if peer.folder is None:
        notes.append(peer.without)
        return None
    return litellm_target(peer.folder)


@contextlib.contextmanager
def litellm_target(folder: Path) -> Iterator[Target]:
    """Its proxy with one worker and without a database, on the measured core."""
    measured, _ = cores()
    port = free_port()
    with upstream_process() as upstream, tempfile.TemporaryDirectory() as home:
        config = Path(home) / "litellm.yaml"
        config.write_text(_litellm_config(upstream), encoding="utf-8")
        arguments = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
        command = (str(folder / "bin" / LITELLM), "--config", str(config), *arguments)
        env = {**LITELLM_ENV, "HOME": home}
        # It imports from two folders above the one where it is started: here, from its home.
        folder = Path(home) / "started" / "here"
        folder.mkdir(parents=True)
        with running_command(command, core=measured, env=env, folder=folder, said=False) as child:
            url = f"http://127.0.0.1:{port}/health/liveliness"
            child.wait_ready(url, within_s=LITELLM_START_S)
            yield Target(name="LiteLLM", child=child, port=port, upstream=upstream, key=LITELLM_KEY)


def _litellm_config(upstream: Upstream) -> str:
    return LITELLM_CONFIG.format(api_url=upstream.api_url, key=LITELLM_KEY)


def peers_folder() -> Path:
    """The user's cache, where it is kept from one run to the next."""
    told = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(told) if told else Path.home() / ".cache") / "cobot-meter" / "peers"


def _install(folder: Path, lock: Path) -> str:
    """Make the environment; what went wrong, or nothing."""
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps")
    for command in (
        (sys.executable, "-m", "venv", "--clear", str(folder)),
        (*pip, "--require-hashes", "-r", str(lock)),
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["without a word"]
            return said[-1][:200]
    return ""
