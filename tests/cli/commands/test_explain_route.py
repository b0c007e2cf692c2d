"""`explain-route`: the decision on a file, from the table alone, with nobody asked."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from cobot_meter.cli.exit_codes import ExitCode
from tests.cli.shop import CommandLine

NOBODY = {"COBOT_METER_UPSTREAM_URL": "http://127.0.0.1:9/api/v1"}


def written(folder: Path, **fields: object) -> str:
    """A file with a request of these fields."""
    said = {"role": "user", "content": "Write a Rust function that parses dates."}
    path = folder / "request.json"
    path.write_bytes(orjson.dumps({"model": "cobot/auto", "messages": [said], **fields}))
    return str(path)


def test_a_decision_is_said_with_all_that_it_was_made_of(tmp_path: Path) -> None:
    """For people and for machines, with the hints that stand in the request."""
    line = CommandLine(NOBODY)
    told = line.run("explain-route", written(tmp_path))
    assert told.exit_code == 0, told.output
    for words in ("deepseek/deepseek-chat", "asks_for_code", "lower bound", "89.3 %"):
        assert words in told.stdout
    hinted = written(tmp_path, cobot={"task": "factual"})
    document = json.loads(line.run("explain-route", hinted, "--json").stdout)
    assert document["task_source"] == "declared"
    assert document["chain"][0] == document["model"]


def test_only_what_is_offered_is_chosen_from(tmp_path: Path) -> None:
    """A setting that narrows the offer narrows this too."""
    line = CommandLine({**NOBODY, "COBOT_METER_MODELS": "anthropic/claude-opus-5"})
    told = line.run("explain-route", written(tmp_path))
    assert "anthropic/claude-opus-5 answers" in told.stdout
    assert "not_offered" in told.stdout


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "openai/gpt-5-mini"}, "not offered"),
        ({"cobot": {"max_cost": "1msat"}}, "allows 1 msat"),
        ({"cobot": {"task": "cod"}}, "must be one of"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_nobody_can_answer_is_a_finding(
    tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    """In one sentence."""
    told = CommandLine(NOBODY).run("explain-route", written(tmp_path, **fields))
    assert told.exit_code == ExitCode.FINDING
    assert words in told.stderr


def test_a_file_that_is_not_there_could_not_be_read(tmp_path: Path) -> None:
    """And one that is no JSON is a finding."""
    line = CommandLine(NOBODY)
    missing = line.run("explain-route", str(tmp_path / "none.json"))
    assert missing.exit_code == ExitCode.COULD_NOT_LOOK
    (tmp_path / "broken.json").write_text("{")
    assert line.run("explain-route", str(tmp_path / "broken.json")).exit_code == ExitCode.FINDING


HERE = {
    "COBOT_METER_OLLAMA_URL": "http://127.0.0.1:9",
    "COBOT_METER_OLLAMA_MODELS": "llama3.2:3b 8192 0.02 0.04",
    "COBOT_METER_PRIVATE_MODEL": "ollama/llama3.2:3b",
}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"cobot": {"privacy": "local"}}, "it was sent as local"),
        ({"messages": [{"role": "user", "content": "charge 4111 1111 1111 1111"}]}, "(card)"),
        ({"model": "openai/gpt-5-mini", "cobot": {"privacy": "local"}}, "it was sent as local"),
    ],
)
def test_what_is_private_is_answered_by_the_model_of_this_machine(
    tmp_path: Path, fields: dict[str, object], why: str
) -> None:
    """Whatever model it names, with the reason; and without such a model it is a finding."""
    asked = written(tmp_path, **fields)
    line = CommandLine({**NOBODY, **HERE})
    told = line.run("explain-route", asked)
    assert told.exit_code == 0, told.output
    assert "ollama/llama3.2:3b answers" in told.stdout
    assert why in told.stdout
    assert "4111" not in told.stdout
    document = json.loads(line.run("explain-route", asked, "--json").stdout)
    assert (document["chain"], document["privacy"]["tier"]) == (["ollama/llama3.2:3b"], "local")
    nowhere = CommandLine({**NOBODY, "COBOT_METER_PRIVACY_DETECTOR": "on"})
    assert nowhere.run("explain-route", asked).exit_code == ExitCode.FINDING


def test_a_panel_is_named_with_whose_it_is(tmp_path: Path) -> None:
    """The request's own, else that of the settings, which refuse one that cannot be."""
    line = CommandLine({**NOBODY, "COBOT_METER_PANEL_MODELS": "a/one,b/two"})
    asked = written(tmp_path, model="cobot/consensus")
    assert "a/one, b/two answer together" in line.run("explain-route", asked).stdout
    own = written(tmp_path, model="cobot/consensus:verdict", cobot={"panel": ["c/three", "d/four"]})
    told = json.loads(line.run("explain-route", own, "--json").stdout)
    assert (told["panel"], told["named_by"]) == (["c/three", "d/four"], "the request")
    for wrong in ("a/one", "a/one,a/one", "a/one,cobot/auto"):
        settings = {**NOBODY, "COBOT_METER_PANEL_MODELS": wrong}
        refused = CommandLine(settings).run("explain-route", asked)
        assert refused.exit_code == ExitCode.USAGE
        assert "PANEL_MODELS" in refused.output
    none = CommandLine({**NOBODY, "COBOT_METER_PANEL_MODELS": "none"})
    assert none.run("explain-route", written(tmp_path, model="cobot/consensus")).exit_code == 1


def test_a_private_panel_is_refused_as_the_service_refuses_it(tmp_path: Path) -> None:
    """No member is put in another's place, not even by the model of this machine."""
    line = CommandLine({**NOBODY, **HERE})
    asked = written(tmp_path, model="cobot/consensus", cobot={"privacy": "local"})
    told = line.run("explain-route", asked)
    assert told.exit_code == ExitCode.FINDING
    assert "is on the panel" in told.stderr
