"""The nodes are built once, by the Go that is there, or left out in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.regtest import binaries, go_toolchain
from deploy.regtest.binaries import NAMES, build, built, cache_folder
from deploy.regtest.errors import BuildFailed, NodesLeftOut
from tests.architecture.source_tree import ROOT, source

# A Go that answers as one does and, in place of building, notes that it was asked to.
GO = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit 0; fi
echo "$@ CGO=$CGO_ENABLED TOOLCHAIN=$GOTOOLCHAIN" >> {asked}
sleep 0.2
while [ "$1" != -o ]; do shift; done
touch "$2/lnd" "$2/lncli" "$2/btcd" "$2/btcctl"
exit {code}
"""


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """What the Go of the test was asked to do, a line each."""
    return tmp_path / "asked.txt"


def put_go(folder: Path, asked: Path, *, version: str = "go1.26.8", code: int = 0) -> str:
    """A Go in a folder of its own; returns what PATH is to be."""
    folder.mkdir()
    go = folder / "go"
    go.write_text(GO.format(version=version, asked=asked, code=code), encoding="utf-8")
    go.chmod(0o755)
    return str(folder)


def test_the_second_build_asks_nobody(tmp_path: Path, asked: Path) -> None:
    """What was built lies in the cache, whole, and is found there without Go."""
    path = put_go(tmp_path / "bin", asked)
    cache = tmp_path / "cache"
    assert built(cache) is None
    first = build(cache, path=path)
    assert sorted(one.name for one in first.folder.iterdir()) == sorted(NAMES)
    assert build(cache, path="/nowhere") == built(cache) == first
    (line,) = asked.read_text(encoding="utf-8").splitlines()
    assert "build -trimpath -mod=readonly -tags autopilotrpc" in line
    assert line.endswith("CGO=0 TOOLCHAIN=local")


def test_two_builders_build_once(tmp_path: Path, asked: Path) -> None:
    """Who comes second waits for the first and takes what it made."""
    path = put_go(tmp_path / "bin", asked)
    found: list[Path] = []
    cache = tmp_path / "cache"
    threads = [
        threading.Thread(target=lambda: found.append(build(cache, path=path).folder))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [found[0]] * 2
    assert len(asked.read_text(encoding="utf-8").splitlines()) == 1
    assert not list(cache.glob("*.building-*"))


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, asked: Path) -> None:
    """It is told with what Go printed, and the next build begins anew."""
    path = put_go(tmp_path / "bin", asked, code=1)
    with pytest.raises(BuildFailed, match="go build ended with 1"):
        build(tmp_path / "cache", path=path)
    assert built(tmp_path / "cache") is None


def test_what_was_left_half_built_is_removed(tmp_path: Path, asked: Path) -> None:
    """A builder that was killed leaves a folder that the next one clears away."""
    cache = tmp_path / "cache"
    left = cache / f"{binaries._key()}.building-old"
    left.mkdir(parents=True)
    build(cache, path=put_go(tmp_path / "bin", asked))
    assert not left.exists()


@pytest.mark.parametrize("version", ["go1.25.9", "devel"])
def test_without_a_fitting_go_one_line_says_so(
    version: str, tmp_path: Path, asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old Go, and no way to install one: the reason and the remedy, in one line."""
    monkeypatch.setattr(go_toolchain, "LOCK", ROOT / "requirements/go.in")  # nothing to install
    path = put_go(tmp_path / "bin", asked, version=version)
    with pytest.raises(NodesLeftOut) as left_out:
        build(tmp_path / "cache", path=path)
    assert "\n" not in str(left_out.value)
    assert "install Go, then run this again" in str(left_out.value)
    assert not asked.exists()


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The line names the setting that helps."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NodesLeftOut, match="XDG_CACHE_HOME"):
        build(file / "cache")


def test_the_cache_lies_outside_the_tree() -> None:
    """It follows XDG_CACHE_HOME, and is the user's own cache without it."""
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/cobot-meter/regtest")
    assert not cache_folder({}).is_relative_to(ROOT)


def test_what_is_built_is_pinned() -> None:
    """go.mod names the four tools and go.sum has a sum for each module that they come from."""
    module, sums = source("deploy/regtest/go.mod"), source("deploy/regtest/go.sum")
    assert all(f"\t{package}\n" in module for package in binaries.PACKAGES)
    for pinned in (
        "github.com/lightningnetwork/lnd v0.21.2-beta",
        "github.com/btcsuite/btcd v0.25.1-0.20260310163610-1c55c7c18179",
    ):
        assert pinned in module
        assert f"{pinned} h1:" in sums


def test_the_command_says_what_is_left_out(tmp_path: Path) -> None:
    """`python -m deploy.regtest build --if-possible` goes on without the nodes, in one line."""
    file = tmp_path / "file"
    file.touch()
    result = subprocess.run(
        [sys.executable, "-m", "deploy.regtest", "build", "--if-possible"],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("· left out: everything on real nodes, since ")
    assert result.stdout.count("\n") == 1
