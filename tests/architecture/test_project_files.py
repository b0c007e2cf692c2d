"""No file that is committed depends on where it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.architecture.source_tree import ROOT, project_files, source

HOUSE = ROOT / "service/cobot_meter"
# Spelled in pieces, so that this file does not hold what it looks for.
HOSTS = ["pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "proxy." + "golang"]
REGISTRY = re.compile("|".join(map(re.escape, HOSTS)) + r"|--(?:extra-)?index-[u]rl|--find-[l]inks")
HOME = re.compile(r"(?<![\w.$}])/(?:home|Users|root|work)/[\w.]")
LOOSE_END = re.compile(r"(?:#|//|--)\s*(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")
CODE = {".py", ".proto", ".toml", ".ini", ".yml", ".yaml", ".sh", ".sql", ".service"}


def text_lines() -> Iterator[tuple[str, int, str]]:
    """File, line number and line of every text file of the project."""
    for name in project_files():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            for number, line in enumerate(content.decode().splitlines(), start=1):
                yield name, number, line


def test_no_file_names_a_registry_or_a_home() -> None:
    """Neither a package registry's address nor somebody's home path is in any tracked file."""
    found = [
        f"{name}:{number}"
        for name, number, line in text_lines()
        if REGISTRY.search(line) or HOME.search(line)
    ]
    assert found == []


def test_every_loose_end_names_its_issue() -> None:
    """A TODO in code is written with the number of the issue that will close it."""
    found = [
        f"{name}:{number}"
        for name, number, line in text_lines()
        if PurePosixPath(name).suffix in CODE and LOOSE_END.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (REGISTRY, "https://" + HOSTS[0] + "/simple"),
        (HOME, "open('/" + "home/ann/x')"),
        (HOME, "path = /" + "work/main"),
        (LOOSE_END, "#" + " TODO tidy up"),
        (LOOSE_END, "//" + " FIXME(ann)"),
    ],
)
def test_an_offence_would_be_found(pattern: re.Pattern[str], line: str) -> None:
    """Each pattern notices what it is there for."""
    assert pattern.search(line)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [(HOME, "ProtectHome=yes"), (HOME, "/v1/work"), (LOOSE_END, "#" + " TODO(#12): tidy up")],
)
def test_what_is_allowed_is_let_pass(pattern: re.Pattern[str], line: str) -> None:
    """No pattern notices what it is not there for."""
    assert not pattern.search(line)


def test_every_path_of_the_map_leads_somewhere() -> None:
    """Each file and folder that the map names exists."""
    named = re.findall(r"`([a-z0-9_/{},]+(?:\.py|/))`", source("docs/map.md"))
    paths = [path for name in named for path in spelled_out(name)]
    assert len(paths) > 40
    assert [path for path in paths if not ((HOUSE / path).exists() or (ROOT / path).exists())] == []


def spelled_out(name: str) -> list[str]:
    """`a/{b,c}/d.py` as `a/b/d.py` and `a/c/d.py`."""
    before, brace, rest = name.partition("{")
    if not brace:
        return [name]
    choices, _, after = rest.partition("}")
    return [f"{before}{choice}{after}" for choice in choices.split(",")]
