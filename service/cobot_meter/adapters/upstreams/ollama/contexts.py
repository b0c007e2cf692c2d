"""The context that a model is run with: set by us, since Ollama's own default is short.

Ollama cuts a prompt that is longer than its context without a word, and its OpenAI endpoint takes
no word about it. What it does take is a model of another name that has the context among its
parameters: that one is made from the operator's before it is first asked, and is no second copy of
the weights. Nothing is made from a model that is not there: Ollama would download it. Must not
know: callers, or what is asked.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import orjson

from cobot_meter.adapters.upstreams.chat_posts import OK
from cobot_meter.adapters.upstreams.exact_json import plain_loads
from cobot_meter.adapters.upstreams.http_errors import HttpAnswer
from cobot_meter.adapters.upstreams.ollama.wire import DEFAULT_TAG, name_there
from cobot_meter.domain import outside
from cobot_meter.domain.errors import (
    UpstreamFaultKind,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.upstream.completions import Model

TAGS_PATH, CREATE_PATH = "/api/tags", "/api/create"
_OURS = "cobot-meter/"
_NOT_FOUND = 404


class OllamaApi(Protocol):
    """Ollama's own endpoints."""

    async def __call__(self, path: str, body: bytes = b"") -> HttpAnswer:
        """One answer, read whole; a body makes it a POST.

        Raises UpstreamUnreachable when none came, and for a list whose status is not 200.
        """


class _ModelThere(NamedTuple):
    """A model of Ollama's list: the digest of what it is, and whether another machine runs it."""

    digest: str
    elsewhere: bool


class SizedModels:
    """The operator's models under names of ours, each with the context that is sold."""

    def __init__(self, api: OllamaApi) -> None:
        """None is made yet, by this process."""
        self._api = api
        self._made: dict[str, str] = {}

    async def name_of(self, model: Model) -> str:
        """What Ollama calls this model with its context; made now where it is not there.

        Raises UpstreamRefused for one that is not there, that another machine would run though it
        is sold as one of this machine, or that cannot be made, and UpstreamUnreachable: nothing has
        been sent.
        """
        listed = _listed((await self._api(TAGS_PATH)).body)
        name, ours = _tagged(name_there(model)), sized_name(model)
        base = listed.get(name)
        if base is None:
            raise _refused(f"{model.model_id} is not there")
        both = (base, listed.get(ours, base))
        if model.on_this_machine and any(one.elsewhere for one in both):
            raise _refused(f"{model.model_id} does not run on this machine")
        # Made anew by every process, and after the operator has pulled another version.
        if ours not in listed or self._made.get(ours) != base.digest:
            await self._make(model, name, ours)
            self._made[ours] = base.digest
        return ours

    async def _make(self, model: Model, name: str, ours: str) -> None:
        wish = {
            "model": ours,
            "from": name,
            "parameters": {"num_ctx": model.context_length},
            "stream": False,
        }
        answer = await self._api(CREATE_PATH, orjson.dumps(wish))
        if answer.status != OK or _status(answer.body) != "success":
            raise _refused(
                f"the context of {model.model_id} could not be set to {model.context_length}"
            )


def sized_name(model: Model) -> str:
    """What the model with its context is called at Ollama."""
    return f"{_OURS}{_tagged(name_there(model))}-ctx{model.context_length}"


def _tagged(name: str) -> str:
    return name if ":" in name else name + DEFAULT_TAG


def _listed(content: bytes) -> dict[str, _ModelThere]:
    """Every model of `GET /api/tags` by its whole name. Raises UpstreamUnreachable for no list."""
    try:
        document = plain_loads(content)
    except ValueError as fault:
        raise UpstreamUnreachable("the upstream's model list cannot be read") from fault
    rows = document.get("models") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise UpstreamUnreachable("the upstream's model list cannot be read")
    found: dict[str, _ModelThere] = {}
    for row in (row for row in rows if isinstance(row, dict)):
        for said in (row.get("name"), row.get("model")):
            name = outside.identifier(said)
            if name is None:
                continue
            known = found.get(_tagged(name))
            elsewhere = bool(row.get("remote_host") or row.get("remote_model"))
            found[_tagged(name)] = _ModelThere(
                digest=outside.maybe_text(row.get("digest")),
                elsewhere=elsewhere or (known is not None and known.elsewhere),
            )
    return found


def _status(content: bytes) -> object:
    try:
        document = plain_loads(content)
    except ValueError:
        return None
    return document.get("status") if isinstance(document, dict) else None


def _refused(words: str) -> UpstreamRefused:
    return UpstreamRefused(words, status=_NOT_FOUND, kind=UpstreamFaultKind.NOT_FOUND)
