"""The container file and the systemd unit, checked as far as any machine can."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.settings import read_settings, setting_names
from tests.architecture.source_tree import ROOT, source

CONTAINERFILE = "deploy/Containerfile"
UNIT = "deploy/cobot-meter.service"
AUDIT = "deploy/cobot-meter-audit.service"
DROP_IN = "deploy/cobot-meter-lnd.conf"
DATA = "/var/lib/cobot-meter"
EXPOSURE_MAX = "15"  # systemd's own scale, in tenths: 0 is sealed, 100 is open
WRONG_SETTING = "2"
UPSTREAM_KEYS = ("OPENROUTER_API_KEY", "OPENROUTER_API_KEY_FILE")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the container file with its arguments, continued lines joined."""
    lines = [line for line in source(CONTAINERFILE).splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(word, rest) for word, _, rest in pairs]


def last_stage() -> list[tuple[str, str]]:
    """The instructions of the stage that is shipped."""
    everything = instructions()
    first = max(index for index, (word, _) in enumerate(everything) if word == "FROM")
    return everything[first:]


def settings_in(name: str) -> dict[str, str]:
    """The COBOT_METER_ variables that a file gives, with their values."""
    return dict(re.findall(r"(COBOT_METER_[A-Z_]+)=(\S+)", source(name)))


def test_everything_copied_into_the_image_exists() -> None:
    """Every source of a COPY from the repository is there."""
    copies = [shlex.split(rest) for word, rest in instructions() if word == "COPY"]
    sources = [path for words in copies if not words[0].startswith("--") for path in words[:-1]]
    assert sources
    assert [path for path in sources if not (ROOT / path).exists()] == []


def test_the_image_holds_what_the_lock_says() -> None:
    """Packages come from the run-time lock by hash; nothing else is resolved or downloaded."""
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    locked, ours = installs
    assert "--require-hashes -r /app/requirements/runtime.lock" in locked
    assert "--no-deps" in locked
    assert "--no-deps --no-build-isolation" in ours
    assert not any(word == "ADD" for word, _ in instructions())


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The shipped stage ends as a numbered user who is not root, and never goes back."""
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert users == ["10001:10001"]


def test_the_image_keeps_its_books_on_a_volume_and_says_how_it_is() -> None:
    """Data directory, volume and health check are there and agree."""
    shipped = dict(last_stage())
    assert shipped["VOLUME"] == DATA
    assert f"COBOT_METER_DATA_DIR={DATA}" in source(CONTAINERFILE)
    assert "/healthz" in shipped["HEALTHCHECK"]
    assert shipped["STOPSIGNAL"] == "SIGTERM"
    assert (shipped["ENTRYPOINT"], shipped["CMD"]) == ('["cobot-meter"]', '["serve"]')


@pytest.mark.parametrize("name", [CONTAINERFILE, UNIT])
def test_the_service_starts_with_the_settings_that_are_given(name: str) -> None:
    """What deploy/ sets is read, and means what it should: an unknown variable would stop us."""
    given = settings_in(name)
    if name == CONTAINERFILE:  # which listens on every address, and cannot know how it is called
        with pytest.raises(SettingInvalid, match="COBOT_METER_PUBLIC_URL"):
            read_settings(given)
    settings = read_settings(given | {"COBOT_METER_PUBLIC_URL": "https://shop.example"})
    assert str(settings.data_dir) == given["COBOT_METER_DATA_DIR"]
    if name == CONTAINERFILE:
        assert (settings.face.listen.host, settings.face.listen.port) == ("0.0.0.0", 8402)  # noqa: S104


@pytest.fixture(params=[UNIT, AUDIT])
def unit(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A unit with a command that exists here, since the installed one does not, and the drop-in."""
    name: str = request.param
    copy = tmp_path / Path(name).name
    text = source(name).replace("/opt/cobot-meter/bin/cobot-meter", sys.executable)
    copy.write_text(text, encoding="utf-8")
    drop_in = tmp_path / f"{copy.name}.d" / "lnd.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(source(DROP_IN), encoding="utf-8")
    return copy


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd for what is asked here."""
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@needs_systemd
def test_systemd_finds_no_fault_with_the_unit(unit: Path) -> None:
    """`systemd-analyze verify` accepts every line."""
    result = systemd_analyze("verify", "--man=no", str(unit))
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_hardened(unit: Path) -> None:
    """`systemd-analyze security` rates the exposure at no more than 1.5 of 10."""
    if "--offline" not in systemd_analyze("--help").stdout:
        pytest.skip("this systemd-analyze cannot rate a unit that is not installed")
    result = systemd_analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit))
    assert result.returncode == 0, result.stdout[-400:]


def test_the_unit_waits_for_the_drain_and_leaves_wrong_settings_alone() -> None:
    """Stopping gives time to drain, and exit 2 is not answered with a restart."""
    lines = source(UNIT).splitlines()
    assert "TimeoutStopSec=90" in lines
    assert f"RestartPreventExitStatus={WRONG_SETTING}" in lines
    assert "DynamicUser=yes" in lines


def test_the_drop_in_hands_over_what_the_service_reads(tmp_path: Path) -> None:
    """Every file that a setting names is a credential of that name, and together they can start."""
    handed = dict(re.findall(r"LoadCredential=(\S+?):(\S+)", source(DROP_IN)))
    for name in handed:
        (tmp_path / name).write_text("sk-or-v1-handed-over\n")
    given = {
        name: value.replace("%d", str(tmp_path))
        for name, value in re.findall(r"Environment=(\w+)=(\S+)", source(DROP_IN))
    }
    used = {Path(value).name for value in given.values() if value.startswith(str(tmp_path))}
    assert used == handed.keys()
    settings = read_settings(given)
    assert settings.upstream.api_key.reveal() == "sk-or-v1-handed-over"
    assert settings.node.lnd is not None
    assert settings.risks == ()


def test_both_units_are_one_user_with_one_directory() -> None:
    """The audit reads what the service writes, with the same rights and no more."""
    for line in ("User=cobot-meter", "DynamicUser=yes", "StateDirectory=cobot-meter"):
        assert line in source(UNIT).splitlines()
        assert line in source(AUDIT).splitlines()
    for line in source(AUDIT).splitlines():
        if line.startswith(("Protect", "Restrict", "SystemCall", "Capability", "Environment")):
            assert line in source(UNIT).splitlines()


def test_the_guide_names_files_that_are_there() -> None:
    """Every file of deploy/ that its README tells to copy exists, and so does each setting."""
    guide = source("deploy/README.md")
    for name in re.findall(r"deploy/([\w./-]+\.(?:service|conf))", guide):
        assert (ROOT / "deploy" / name).exists(), name
    known = {*setting_names(), *UPSTREAM_KEYS}
    told = set(re.findall(r"\b(?:COBOT_METER|OPENROUTER)_[A-Z_]+[A-Z]", guide))
    assert told <= known
