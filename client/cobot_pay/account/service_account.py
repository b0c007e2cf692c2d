"""Asks a seller for credit and keys. What has to be paid is paid by `L402Auth`, in its budget."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from cobot_pay.http_shapes import origin_of
from cobot_pay.l402_auth import L402Auth
from cobot_pay.offers import read_document
from cobot_pay.purchase import HEADER

_GOOD = range(200, 300)


class AccountRefused(Exception):
    """The seller refuses or does not answer; the text says why, in the seller's words if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What there is to spend at a seller, and what it has set aside for what runs now."""

    available_msat: int
    reserved_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Topup:
    """A top-up that was paid; `key` is the new key where one was wished for, and a secret."""

    available_msat: int
    key: str = ""


class ServiceAccount:
    """Our account at one seller, as the token or the key that we hold there names it."""

    def __init__(
        self, http: httpx.AsyncClient, *, upstream: str, auth: L402Auth, key: str = ""
    ) -> None:
        """`upstream` is the seller's origin; a token that `auth` holds goes before the key."""
        self._http = http
        self._upstream = upstream
        self._origin = origin_of(httpx.URL(upstream))
        self._auth = auth
        self._key = key

    async def topup(self, amount_sat: int, *, key: Mapping[str, object] | None = None) -> Topup:
        """Pay for credit; with `key`, for a key of these limits too.

        Raises every L402Error, and AccountRefused. Interrupted after the payment nothing is lost:
        the proof of it is our token from then on, and the credit is its.
        """
        body: dict[str, object] = {"amount_sat": amount_sat}
        if key is not None:
            body["key"] = dict(key)
        # Our token may be the proof of an earlier top-up, which would answer again: a fresh name
        # tells them apart. Without a token the seller has nobody to remember a name for.
        known = self._origin in self._auth.tokens
        fresh = {"Idempotency-Key": secrets.token_hex(16)} if known else {}
        said = await self._asked("POST", "/v1/topups", body=body, headers=fresh)
        made = said.get("key")
        return Topup(
            available_msat=_number(said, "available_msat"),
            key=str(made.get("key", "")) if isinstance(made, dict) else "",
        )

    async def credit(self) -> Credit:
        """What there is; 0 msat where the seller does not know us yet. Raises AccountRefused."""
        if not self._key and self._origin not in self._auth.tokens:
            return Credit(available_msat=0, reserved_msat=0)
        ours = (await self._asked("GET", "/v1/credits")).get("cobot")
        if not isinstance(ours, dict):
            raise AccountRefused(f"{self._upstream} does not say in sat what there is to spend")
        return Credit(
            available_msat=_number(ours, "available_msat"),
            reserved_msat=_number(ours, "reserved_msat"),
        )

    async def keys(self) -> list[Mapping[str, Any]]:
        """Our keys as the seller's JSON has them, without their texts. Raises AccountRefused."""
        listed = (await self._asked("GET", "/v1/keys")).get("data")
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    async def create_key(self, limits: Mapping[str, object]) -> str:
        """The text of a new key: a secret that is not shown again. Raises AccountRefused."""
        fresh = {"Idempotency-Key": secrets.token_hex(16)}
        said = await self._asked("POST", "/v1/keys", body=dict(limits), headers=fresh)
        return str(said.get("key", ""))

    async def rotate_key(self, key_id: str) -> str:
        """The new text of that key; the one before ends at once. Raises AccountRefused."""
        said = await self._asked("POST", f"/v1/keys/{_segment(key_id)}/rotate", body={})
        return str(said.get("key", ""))

    async def revoke_key(self, key_id: str) -> None:
        """End that key for good: it spends nothing more. Raises AccountRefused."""
        await self._asked("DELETE", f"/v1/keys/{_segment(key_id)}")

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        worn = dict(headers or {})
        if self._key:
            worn[HEADER] = f"Bearer {self._key}"
        try:
            response = await self._http.request(
                method, f"{self._upstream}{path}", json=body, headers=worn, auth=self._auth
            )
        except httpx.TransportError as fault:
            message = f"{self._upstream} does not answer ({type(fault).__name__})"
            raise AccountRefused(message) from fault
        said = read_document(response.content)
        if response.status_code not in _GOOD:
            raise AccountRefused(f"{self._upstream} says: {_why(said, response.status_code)}")
        return said


def _why(said: Mapping[str, Any], status: int) -> str:
    error = said.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(message)[:400] if message else f"status {status}"


def _number(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    return value if type(value) is int else 0


def _segment(key_id: str) -> str:
    """The id as a part of a path. Raises AccountRefused for a text that is no id."""
    if not key_id.replace("_", "").replace("-", "").isalnum():
        raise AccountRefused(f"{key_id!r} is no id of a key: `cobot-pay keys URL list` shows them")
    return key_id
