"""Which models the names of tiers stand for, and whether requests are scanned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.privacy.tiers import PrivateModels
from cobot_meter.wiring.settings.settings import PREFIX, Settings, read_settings

OLLAMA = {"OLLAMA_URL": "http://127.0.0.1:11434", "OLLAMA_MODELS": "llama3.2:3b 8192 0.02 0.04"}
MODEL = "ollama/llama3.2:3b"


def settings(**chosen: str) -> Settings:
    """Settings by their names without the prefix."""
    environ = {"RATE_USD_PER_BTC": "94000", **chosen}
    return read_settings({f"{PREFIX}{name}": value for name, value in environ.items()})


def test_by_default_nothing_is_private_and_nothing_is_scanned() -> None:
    """Who has no model of his own machine has nobody to send the private ones to."""
    privacy = settings().upstream.privacy
    assert (privacy.models, privacy.scans) == (PrivateModels(), False)
    assert settings(**OLLAMA).upstream.privacy.scans is False


def test_a_private_model_switches_the_detector_on() -> None:
    """Unless the operator says otherwise."""
    read = settings(**OLLAMA, PRIVATE_MODEL=MODEL, ZDR_MODEL="qwen/qwen3-coder").upstream
    assert read.privacy.models == PrivateModels(local=MODEL, zdr="qwen/qwen3-coder")
    assert read.privacy.scans
    assert read.local.on_this_machine
    assert all(model.on_this_machine for model in read.local.models)
    off = settings(**OLLAMA, PRIVATE_MODEL=MODEL, PRIVACY_DETECTOR="off").upstream.privacy
    assert (off.models, off.scans) == (replace(read.privacy.models, zdr=""), False)
    assert settings(PRIVACY_DETECTOR="on").upstream.privacy.scans


@pytest.mark.parametrize(
    "url", ["http://localhost:11434", "http://[::1]:11434", "http://127.9.9.9"]
)
def test_every_way_to_name_this_machine_is_taken(url: str) -> None:
    """By its name or by any address of loopback."""
    assert settings(
        **OLLAMA | {"OLLAMA_URL": url}, PRIVATE_MODEL=MODEL
    ).upstream.local.on_this_machine


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"PRIVATE_MODEL": MODEL}, "a model of COBOT_METER_OLLAMA_MODELS"),
        ({**OLLAMA, "PRIVATE_MODEL": "llama3.2:3b"}, MODEL),
        ({**OLLAMA, "PRIVATE_MODEL": "qwen/qwen3-coder"}, MODEL),
        (
            {**OLLAMA, "OLLAMA_URL": "http://192.168.1.5:11434", "PRIVATE_MODEL": MODEL},
            "is not an address of it",
        ),
        (
            {**OLLAMA, "OLLAMA_URL": "http://gpu.example:11434", "PRIVATE_MODEL": MODEL},
            "is not an address of it",
        ),
        ({**OLLAMA, "PRIVATE_MODEL": MODEL, "MODELS": "qwen/qwen3-coder"}, "COBOT_METER_MODELS"),
        ({"ZDR_MODEL": "a/b", "MODELS": "qwen/qwen3-coder"}, "COBOT_METER_MODELS"),
        ({"ZDR_MODEL": "cobot/private"}, "a model of the upstream"),
        ({"PRIVACY_DETECTOR": "maybe"}, "auto, on, off"),
    ],
)
def test_a_promise_that_could_not_be_kept_stops_the_start(
    chosen: dict[str, str], said: str
) -> None:
    """An Ollama of another machine, a model that is not there, a name for a name."""
    with pytest.raises(SettingInvalid, match=said):
        settings(**chosen)


def test_an_ollama_of_another_machine_is_still_sold_in_public() -> None:
    """It is no model of this machine, and no private request goes there."""
    read = settings(**OLLAMA | {"OLLAMA_URL": "http://192.168.1.5:11434"}).upstream
    assert not any(model.on_this_machine for model in read.local.models)
