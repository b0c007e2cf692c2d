"""The plugin `cobot-meter` of the program cobot: a model provider that pays for each call.

cobot's loop calls `chat` synchronously, on its event loop. So the call is bought before, in
`loop.before_llm`, which may wait without holding up anybody, and `chat` finds it bought. Whoever
calls `chat` alone (what compacts a conversation, say) waits for it, for `timeout_s` at most.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from cobot.plugins.base import Plugin, PluginMeta
from cobot.plugins.interfaces import LLMError, LLMProvider, LLMResponse, ToolProvider

from cobot_pay.cli.settings import BadSettings
from cobot_pay.cobot.answers import BoughtAnswer, read_answer, request_body
from cobot_pay.cobot.opening import Purse, open_purse
from cobot_pay.cobot.sentences import CallRefused
from cobot_pay.cobot.settings import SECTION, MeterSettings, read_meter_settings
from cobot_pay.cobot.tools import MeterTools, definitions
from cobot_pay.cobot.wizard import asked_settings
from cobot_pay.peers.blocks import PAID_OTHERWISE

MAX_TOKENS = 2_048  # what cobot's loop asks for, which names no other
_KEPT_MAX = 32
_LATE = "no answer came in time; ask the same again: what was paid for is not paid twice"


class CobotMeterPlugin(Plugin, LLMProvider, ToolProvider):  # type: ignore[misc] # cobot is not here
    """Buys each call at the service that `cobot.yml` names."""

    meta = PluginMeta(
        id=SECTION,
        version="1.0.0",
        capabilities=["llm", "tools"],
        dependencies=["config"],
        priority=28,  # after every wallet
        implements={"loop.before_llm": "before_llm"},
    )

    def __init__(self) -> None:
        """Nothing is read or opened before it is configured and started."""
        self._config: Mapping[str, Any] = {}
        self._settings: MeterSettings | None = None
        self._purse: Purse | None = None
        self._tools: MeterTools | None = None
        self._bought: OrderedDict[bytes, BoughtAnswer] = OrderedDict()

    def configure(self, config: dict[str, Any]) -> None:
        """Take the whole of `cobot.yml`, which is read when the plugin starts."""
        self._config = config

    async def start(self) -> None:
        """Open wallet and budget; ends the program with one sentence where nothing can be bought.

        cobot starts its plugins twice when it talks on standard input: the second time finds all
        open.
        """
        if self._purse is not None:
            return
        try:
            settings = read_meter_settings(self._config)
            wallets = self._registry.all_with_capability("wallet") if self._registry else []
            purse = open_purse(settings, folder=Path.cwd(), wallet_plugins=wallets)
            await purse.settle(self.log_info)
            await purse.limit_key(self.log_warn)
        except (BadSettings, OSError) as fault:
            raise SystemExit(f"cobot-meter: {fault}") from fault
        self._settings, self._purse = settings, purse
        self._tools = MeterTools(settings, purse)
        self.log_info(f"buys {', '.join(settings.models)} from {settings.seller.url}")

    async def stop(self) -> None:
        """Let payments under way be booked."""
        if self._purse is not None:
            await asyncio.to_thread(self._purse.close)

    async def before_llm(self, ctx: dict[str, Any]) -> dict[str, Any]:
        """Buy the call that comes next; a refusal is what the cobot says instead of an answer."""
        if ctx.get(PAID_OTHERWISE):
            return ctx
        settings, purse = self._opened()
        content = self._content(ctx.get("messages", []), ctx.get("tools"), None, MAX_TOKENS)
        calls = purse.calls() if purse.is_open else await asyncio.to_thread(purse.calls)
        future = asyncio.wrap_future(calls.begin(content))
        try:
            answer = read_answer(await asyncio.wait_for(future, settings.timeout_s))
        except (TimeoutError, CallRefused) as fault:
            late = isinstance(fault, TimeoutError)
            refused = f"{settings.seller.url}: {_LATE}" if late else str(fault)
            self.log_warn(refused)
            ctx.update(abort=True, abort_message=refused)
            return ctx
        self._bought[content] = answer
        while len(self._bought) > _KEPT_MAX:
            self._bought.popitem(last=False)
        return ctx

    def chat(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        model: str | None = None,
        max_tokens: int = MAX_TOKENS,
    ) -> LLMResponse:
        """The answer that was bought for this, or one that is bought now. Raises LLMError."""
        content = self._content(messages, tools, model, max_tokens)
        answer = self._bought.pop(content, None) or self._buy(content)
        return LLMResponse(
            content=answer.content,
            tool_calls=answer.tool_calls,
            model=answer.model,
            usage=answer.usage,
        )

    def get_definitions(self) -> list[dict[str, Any]]:
        """The tools, in OpenAI's form."""
        return definitions(self._settings) if self._settings else []

    def execute(self, tool_name: str, args: dict[str, Any]) -> str:
        """What a tool says."""
        if self._tools is None:
            return "Error: cobot-meter has not been started"
        return self._tools.execute(tool_name, args)

    @property
    def restart_requested(self) -> bool:
        """Never: no tool here restarts a cobot."""
        return False

    def wizard_section(self) -> dict[str, str]:
        """What cobot's wizard calls these settings."""
        words = "pays for each call over Lightning, within a budget"
        return {"key": SECTION, "name": "cobot-meter", "description": words}

    def wizard_configure(self, config: dict[str, Any]) -> dict[str, Any]:
        """Ask for what has to be known."""
        return asked_settings(config.get(SECTION))

    def _buy(self, content: bytes) -> BoughtAnswer:
        settings, purse = self._opened()
        future: Future[Mapping[str, Any]] = purse.calls().begin(content)
        try:
            return read_answer(future.result(settings.timeout_s))
        except TimeoutError as late:
            raise LLMError(f"{settings.seller.url}: {_LATE}") from late
        except CallRefused as fault:
            raise LLMError(str(fault)) from fault

    def _content(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        model: str | None,
        max_tokens: int,
    ) -> bytes:
        settings, _ = self._opened()
        models = (model,) if model else settings.models
        return request_body(messages, tools=tools, models=models, max_tokens=max_tokens)

    def _opened(self) -> tuple[MeterSettings, Purse]:
        if self._settings is None or self._purse is None:
            raise LLMError("cobot-meter has not been started; start the cobot with `cobot run`")
        return self._settings, self._purse


def create_plugin() -> CobotMeterPlugin:
    """What cobot looks for in an installed package."""
    return CobotMeterPlugin()
