"""`cobot-pay proxy`: runs until it is told to stop, and then lets what began come to its end."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from urllib.parse import urlsplit

from cobot_pay.account.auto_topup import AutoTopup, TopupMark
from cobot_pay.account.service_account import ServiceAccount
from cobot_pay.cli.buyer import Buyer, http_client
from cobot_pay.cli.sellers import Seller
from cobot_pay.cli.settings import BadSettings
from cobot_pay.proxy.forwarder import Forwarder
from cobot_pay.proxy.listener import Listener
from cobot_pay.proxy.refusals import refusal
from cobot_pay.spending.settling import settle_unknown

# Longer than a payment takes: what is cut off in one stays reserved and unknown.
GRACE_S = 70.0
LISTEN = "127.0.0.1:8405"
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTerms:
    """Where it listens, and above which mark it keeps the credit, if at all."""

    listen: str = LISTEN
    mark: TopupMark | None = None


async def run_proxy(buyer: Buyer, seller: Seller, terms: ProxyTerms) -> None:
    """Serve until SIGINT or SIGTERM. Raises BadSettings where it cannot listen."""
    host, port = _address(terms.listen)
    for told in await settle_unknown(buyer.budget, buyer.wallet()):
        buyer.say(told)
    async with http_client() as http:
        auth, key = buyer.auth(seller, as_key=True), buyer.key_at(seller)
        forwarder = Forwarder(http, upstream=seller.url, auth=auth, key=key)
        listener = Listener(
            forwarder.respond, refuse=lambda status, text: refusal(status, text, code="bad_request")
        )
        account = ServiceAccount(http, upstream=seller.url, auth=auth, key=key)
        try:
            async with listener.listening(host, port) as taken:
                base = f"http://{host}:{taken}/v1"
                buyer.say(f"OPENAI_BASE_URL={base} OPENAI_API_KEY=none pays {seller.url}")
                await _until_stopped(buyer, account, terms.mark)
        except OSError as fault:
            raise BadSettings(f"cannot listen at {terms.listen}: {fault.strerror}") from fault
        buyer.say("stopping: what began is let come to its end")
        if not await listener.drained(GRACE_S):
            buyer.say("stopped with requests under way; what they were paying is kept as unknown")


async def _until_stopped(buyer: Buyer, account: ServiceAccount, mark: TopupMark | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_keep_up(buyer, account, mark, stop)) if mark else None
        await stop.wait()
        if watching is not None:
            await watching  # a top-up under way is let come to its end
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


async def _keep_up(
    buyer: Buyer, account: ServiceAccount, mark: TopupMark, stop: asyncio.Event
) -> None:
    keeper = AutoTopup(account, mark=mark, lock=buyer.settings.home / "topup.lock", tell=buyer.say)
    while not stop.is_set():
        await keeper.look()
        try:
            async with asyncio.timeout(mark.look_every_s):
                await stop.wait()
        except TimeoutError:
            continue


def _address(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None:
        raise BadSettings(f"--listen is HOST:PORT, such as 127.0.0.1:8405, not {listen!r}")
    if host not in _LOCAL:
        raise BadSettings(
            f"whoever reaches this proxy spends your money: it listens at 127.0.0.1, not {host}"
        )
    return host, port
