"""The agent as the published program `cobot` is one: everything through its extension points.

Must not know: bills, tasks or strangers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cobot.plugins.base import Plugin
from cobot.plugins.communication import OutgoingMessage

from cobot_meter.cobot.agent import Peer, Said
from cobot_pay.peers.blocks import PAID_OTHERWISE

_SOUL = "You are Cobot, a helpful AI assistant."


class CobotAgent:
    """What a cobot's own loop does for a friend, of which this is the part that it keeps private.

    One turn's words are put together at once and kept: other plugins hold the state of "the" turn
    in one place, and two strangers' turns would mix in it.
    """

    def __init__(self, plugin: Plugin, *, model: str) -> None:
        """`plugin` is ours, started: through it the others are reached."""
        self._plugin = plugin
        self._model = model

    async def conversation(self, message: str, peer: Peer) -> Sequence[Said]:
        """The soul, what other plugins add to it, the history with this peer, and the message."""
        soul = self._soul()
        messages = [{"role": "system", "content": soul}, {"role": "user", "content": message}]
        told = await self._chain(
            "loop.transform_system_prompt",
            {"prompt": soul, "peer": peer.sender_name, "messages": messages},
        )
        messages[0]["content"] = told.get("prompt", soul)
        told = await self._chain(
            "loop.transform_history", {"messages": messages, "peer": peer.sender_name}
        )
        return [*told.get("messages", messages)]

    async def may_call(self, messages: Sequence[Said], tools: Sequence[Said], peer: Peer) -> str:
        """What a plugin says that stops the turn; empty where none does."""
        told = await self._chain(
            "loop.before_llm",
            {
                "messages": messages,
                "model": self._model,
                "tools": tools,
                "channel_type": peer.channel_type,
                "channel_id": peer.channel_id,
                # A plugin of ours buys calls at this point, and this one is the task's.
                PAID_OTHERWISE: True,
            },
        )
        return str(told.get("abort_message", "Request aborted.")) if told.get("abort") else ""

    async def called(self, message: Said, document: Said) -> None:
        """Tell the plugins that count and log."""
        usage = document.get("usage")
        used = usage if isinstance(usage, Mapping) else {}
        await self._chain(
            "loop.after_llm",
            {
                "response": message.get("content"),
                "model": str(document.get("model", self._model)),
                "tokens_in": used.get("prompt_tokens", 0),
                "tokens_out": used.get("completion_tokens", 0),
                "has_tool_calls": bool(message.get("tool_calls")),
            },
        )

    def tools(self, named: Collection[str]) -> Sequence[Said]:
        """Those of these names, each once, from the plugin that is asked first."""
        found: dict[str, Said] = {}
        for provider in self._providers() if named else ():
            for definition in provider.get_definitions():
                name = _name_of(definition)
                if name in named:
                    found.setdefault(name, definition)
        return [*found.values()]

    async def use_tool(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What it says; other people's tools may fail in any way, and then they say that."""
        told = await self._chain("loop.before_tool", {"tool": name, "args": arguments})
        if told.get("abort"):
            result = str(told.get("abort_message", "Blocked."))
        else:
            result = self._used(name, arguments)
        await self._chain("loop.after_tool", {"tool": name, "args": arguments, "result": result})
        return result

    async def outgoing(self, text: str, peer: Peer) -> str:
        """As the plugins that look at answers leave it."""
        told = await self._chain(
            "loop.transform_response", {"text": text, "recipient": peer.sender_name}
        )
        text = told.get("text", text)
        told = await self._chain("loop.before_send", {"text": text, "recipient": peer.sender_name})
        return "" if told.get("abort") else str(told.get("text", text))

    def send(self, peer: Peer, text: str, *, reply_to: str) -> bool:
        """By the channel that the peer wrote over."""
        channels = self._plugin._registry.get("communication")  # noqa: SLF001 - cobot's documented name for it
        message = OutgoingMessage(
            channel_type=peer.channel_type,
            channel_id=peer.channel_id,
            content=text,
            reply_to=reply_to,
            metadata={"recipient": peer.sender_id},
        )
        return bool(channels.send(message))

    async def sent(self, peer: Peer, text: str) -> None:
        """Tell the plugins that keep histories: only now, or the next answer would give it away."""
        await self._chain(
            "loop.after_send",
            {
                "text": text,
                "recipient": peer.sender_name,
                "channel_type": peer.channel_type,
                "channel_id": peer.channel_id,
            },
        )

    def _used(self, name: str, arguments: Mapping[str, Any]) -> str:
        for provider in self._providers():
            try:
                if any(_name_of(one) == name for one in provider.get_definitions()):
                    return str(provider.execute(name, arguments))
            except Exception as fault:  # as in cobot's own loop: one tool does not end the agent
                self._plugin.log_error(f"the tool {name} failed: {fault}")
                return f"Error: {type(fault).__name__}"
        return f"Error: Unknown tool '{name}'"

    def _providers(self) -> Sequence[Any]:
        found: Sequence[Any] = self._plugin._registry.all_with_capability("tools")  # noqa: SLF001 - as above
        return found

    async def _chain(self, point: str, told: dict[str, Any]) -> dict[str, Any]:
        answered: dict[str, Any] = await self._plugin.call_extension_chain(point, told)
        return answered

    def _soul(self) -> str:
        config = self._plugin._registry.get("config").get_config()  # noqa: SLF001 - as above
        path = Path(config.soul_path)
        return path.read_text(encoding="utf-8") if path.exists() else _SOUL


def _name_of(definition: Said) -> str:
    function = definition.get("function")
    return str(function.get("name", "")) if isinstance(function, Mapping) else ""
