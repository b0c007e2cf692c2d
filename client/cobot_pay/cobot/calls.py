"""Buys chat completions for a cobot: each in a thread of its own, within the budget on disk.

A call that takes too long is given up by whoever waits for it, never by the thread that pays: what
is being paid is booked, and the proof is shown when the same is asked again.
Must not know: cobot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

import httpx

from cobot_pay.cli.sellers import Seller
from cobot_pay.cobot.broken_calls import sentence_of
from cobot_pay.cobot.key_spending import KeySpending
from cobot_pay.cobot.sentences import CallRefused, refusal, spent_sentence
from cobot_pay.cobot.settings import MeterSettings
from cobot_pay.errors import Committed, L402Error
from cobot_pay.http_shapes import origin_of
from cobot_pay.l402_auth import L402Auth
from cobot_pay.offers import read_document, read_rate
from cobot_pay.purchase import HEADER, PurchaseTerms
from cobot_pay.spending.capped import CappedSpending
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Wallet

MAX_COST = "X-Cobot-Max-Cost"
ANSWER_BYTES_MAX = 8 * 1024 * 1024
_CONNECT_S, _STOP_S = 10.0, 5.0
_JSON = {"Content-Type": "application/json"}
_GOOD = 200
_SAT_MSAT = 1_000


class Calls:
    """All purchases of one cobot, on one connection pool and one budget."""

    def __init__(
        self,
        settings: MeterSettings,
        *,
        budget: StoredBudget,
        key_budget: KeySpending,
        wallet: Wallet,
    ) -> None:
        """`key_budget` counts what a key spends; `wallet` pays where there is none."""
        self._settings = settings
        self._budget = budget
        self._key_budget = key_budget
        self._wallet = wallet
        self._auth = self._auth_within(settings.call_msat)
        times = httpx.Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s))
        self._http = httpx.Client(timeout=times)
        self._under_way: set[threading.Thread] = set()

    def begin(self, content: bytes) -> Future[Mapping[str, Any]]:
        """Start buying this request body at our service; the future has the answer's document.

        It raises CallRefused with a sentence, also when a limit has no whole sat left: that one
        says when it resets.
        """
        return self._apart(lambda: self._bought(content))

    def begin_elsewhere(
        self, url: Seller, content: bytes, *, max_msat: int
    ) -> Future[Mapping[str, Any]]:
        """The same at another service, by invoice, for at most so much; our key stays here."""
        return self._apart(lambda: self._bought_elsewhere(url, content, max_msat))

    def asked(self, method: str, path: str, content: bytes = b"") -> Mapping[str, Any]:
        """What our service answers to a request that costs nothing. Raises CallRefused."""
        url = f"{self._settings.seller.url}{path}"
        worn = self._own_authorization()
        try:
            response = self._http.request(method, url, content=content, headers={**_JSON, **worn})
        except httpx.TransportError as fault:
            raise CallRefused(sentence_of(fault, self._settings.seller.url)) from fault
        said = read_document(response.content)
        if response.status_code != _GOOD:
            raise CallRefused(refusal(response.status_code, said, self._settings.seller.url))
        return said

    def close(self) -> None:
        """Give payments under way a moment to be booked; what is not by then is asked for later."""
        until_s = time.monotonic() + _STOP_S
        for thread in list(self._under_way):
            thread.join(max(0.0, until_s - time.monotonic()))
        if not self._under_way:
            self._http.close()

    def _apart(self, work: Callable[[], Mapping[str, Any]]) -> Future[Mapping[str, Any]]:
        future: Future[Mapping[str, Any]] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except (CallRefused, L402Error, httpx.HTTPError, OSError, ValueError) as fault:
                url = self._settings.seller.url
                told = (
                    fault
                    if isinstance(fault, CallRefused)
                    else CallRefused(sentence_of(fault, url))
                )
                future.set_exception(told)
            finally:
                self._under_way.discard(threading.current_thread())
                if not future.done():
                    message = "the call ended with a fault of this program; its log says which"
                    future.set_exception(CallRefused(message))

        thread = threading.Thread(target=run, daemon=True, name="cobot-meter-call")
        self._under_way.add(thread)
        thread.start()
        return future

    def _bought(self, content: bytes) -> Mapping[str, Any]:
        seller = self._settings.seller
        stands = self._budget.stands_at(seller.origin)
        _demand_a_sat(stands)
        if not self._settings.api_key:
            most = {MAX_COST: f"{self._most_msat(stands)}msat"}
            return self._sent(seller, content, headers=most, auth=self._auth)
        rate = self._rate(content) if self._key_budget.needs_rate else None
        call = self._key_budget.reserve(self._settings.call_msat, micro_usd_per_btc=rate)
        with call:
            most = {MAX_COST: f"{call.amount_msat}msat", **self._own_authorization()}
            try:
                said = self._sent(seller, content, headers=most, auth=None, on_answer=call.answered)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                call.not_sent()
                raise
            return said

    def _bought_elsewhere(self, seller: Seller, content: bytes, max_msat: int) -> Mapping[str, Any]:
        stands = self._budget.stands_at(self._settings.seller.origin)
        most_msat = min(max_msat, self._most_msat(stands))
        most = {MAX_COST: f"{most_msat}msat"}
        return self._sent(seller, content, headers=most, auth=self._auth_within(most_msat))

    def _sent(
        self,
        seller: Seller,
        content: bytes,
        *,
        headers: Mapping[str, str],
        auth: L402Auth | None,
        on_answer: Callable[[int, Mapping[str, Any]], None] = lambda _status, _said: None,
    ) -> Mapping[str, Any]:
        url = f"{seller.url}/v1/chat/completions"
        worn = {**_JSON, **self._settings.hints, **headers}
        with self._http.stream("POST", url, content=content, headers=worn, auth=auth) as response:
            said = read_document(_bounded(response))
            on_answer(response.status_code, said)
            if response.status_code != _GOOD:
                raise CallRefused(refusal(response.status_code, said, seller.url))
            return said

    def _auth_within(self, most_msat: int) -> L402Auth:
        """What pays, in the budget, and for no single call more than this."""
        capped = CappedSpending(self._budget, most_msat=most_msat)
        terms = PurchaseTerms(patience_s=self._settings.timeout_s)
        return L402Auth(wallet=self._wallet, budget=capped, terms=terms)

    def _own_authorization(self) -> dict[str, str]:
        """Who we are at our service: the key, else the newest proof of a payment."""
        if self._settings.api_key:
            return {HEADER: f"Bearer {self._settings.api_key}"}
        token = self._auth.tokens.get(self._settings.seller.origin)
        return {HEADER: token} if token else {}

    def _most_msat(self, stands: Iterable[Committed]) -> int:
        """What one call may cost now: its own limit, and no more than the others leave."""
        least = min(stands, key=lambda one: one.left_msat)
        if least.left_msat < _SAT_MSAT and not least.in_flight_msat:
            raise CallRefused(spent_sentence(least))
        return max(_SAT_MSAT, min(self._settings.call_msat, least.left_msat))

    def _rate(self, content: bytes) -> int | None:
        """The exchange rate: as we last heard it, else as a quote names it, which costs nothing."""
        known = self._budget.last_rate(self._settings.seller.origin)
        return known or read_rate(self.asked("POST", "/v1/quotes", content), at=("rate",))


def _demand_a_sat(stands: Iterable[Committed]) -> None:
    """Raises CallRefused when one of the limits that reset is spent to its last whole sat."""
    for one in stands:
        if one.resets_at_s is not None and one.limit_msat - one.spent_msat < _SAT_MSAT:
            raise CallRefused(spent_sentence(one))


def _bounded(response: httpx.Response) -> bytes:
    """The body, of which a stranger cannot make more than this program holds."""
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise CallRefused(f"{origin_of(response.url)} sends an answer without end; it was left")
        parts.append(part)
    return b"".join(parts)
