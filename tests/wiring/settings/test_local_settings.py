"""A local Ollama in the settings: what its models cost, and what stops the start."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.wiring.settings.settings import read_settings

URL = "COBOT_METER_OLLAMA_URL"
MODELS = "COBOT_METER_OLLAMA_MODELS"
BOTH = {URL: "http://127.0.0.1:11434/", MODELS: "llama3.2:3b 8192 0.02 0.04"}


def test_models_with_a_tariff() -> None:
    """Each has a prefix, its context, and whole pico-USD for a token."""
    two = BOTH | {MODELS: " llama3.2:3b 8192 0.02 0.04 ,qwen3 32768  0 1.000001"}
    local = read_settings(two).upstream.local
    assert local.base_url == "http://127.0.0.1:11434"
    first, second = local.models
    assert (first.model_id, first.upstream) == ("ollama/llama3.2:3b", "ollama")
    assert first.price == ModelPrice(prompt_pusd=20_000, completion_pusd=40_000)
    assert second.price == ModelPrice(prompt_pusd=0, completion_pusd=1_000_001)
    assert (second.context_length, second.max_completion_tokens) == (32_768, 32_768)


def test_none_by_default() -> None:
    """Without both variables there is no local upstream."""
    assert read_settings({}).upstream.local.models == ()


@pytest.mark.parametrize(
    ("changed", "names", "says"),
    [
        ({URL: ""}, URL, "is missing"),
        ({MODELS: " "}, MODELS, "is missing"),
        ({URL: "127.0.0.1:11434"}, URL, "the address of your Ollama"),
        ({URL: "http://127.0.0.1:11434/v1"}, URL, "the address of your Ollama"),
        ({URL: "http://ann:canary@host"}, URL, "the address of your Ollama"),
        ({MODELS: "llama3.2:3b"}, MODELS, "a name without a slash"),
        ({MODELS: "hf.co/a/b 8192 0 0"}, MODELS, "a name without a slash"),
        ({MODELS: "llama3.2:3b 8k 0.02 0.04"}, MODELS, "context in tokens"),
        ({MODELS: "llama3.2:3b 100 0.02 0.04"}, MODELS, "context in tokens"),
        ({MODELS: "llama3.2:3b 8192 -1 0.04"}, MODELS, "USD"),
        ({MODELS: "llama3.2:3b 8192 0.0000001 0.04"}, MODELS, "USD"),
        ({MODELS: "llama3.2:3b 8192 1e3 0.04"}, MODELS, "USD"),
        ({MODELS: "a 8192 0 0, a 8192 0 1"}, MODELS, "names that differ"),
        ({MODELS: "gpt-oss:120b-cloud 8192 1 1"}, MODELS, "your own machine"),
        ({"COBOT_METER_DATABASE_URL": "postgresql://a@b/c"}, URL, "COBOT_METER_DATABASE_URL"),
    ],
)
def test_a_wrong_one_is_one_line(changed: dict[str, str], names: str, says: str) -> None:
    """It names the variable and what would fit."""
    with pytest.raises(SettingInvalid) as refused:
        read_settings(BOTH | changed)
    assert names in refused.value.message
    assert says in refused.value.message
    assert "\n" not in refused.value.message
    assert "canary" not in refused.value.message
