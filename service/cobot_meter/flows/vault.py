"""What only this service can make or read: names, preimages, tags in memos, and bodies.

Every body is sealed under a label that says whose it is and which of the two, so that none can be
put in another's place; both labels are made here and nowhere else. An answer that is not stored is
at hand for two minutes. Must not know: ciphers, or what the bodies say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cobot_meter.domain.errors import SealBroken
from cobot_meter.flows.answer.recent_answers import RecentAnswers
from cobot_meter.flows.offer.keep_body_keys import KeepBodyKeys
from cobot_meter.ports.books import Books
from cobot_meter.ports.identifiers import Identifiers, Sealer

Readable = Callable[[bytes], bool]


def _anything(_body: bytes) -> bool:
    """Where nobody writes answers."""
    return True


def request_label(escrow_id: str) -> str:
    """What the sealed request is bound to."""
    return f"{escrow_id}/request"


def completion_label(escrow_id: str) -> str:
    """What the sealed completion is bound to."""
    return f"{escrow_id}/completion"


def payment_hash(identifiers: Identifiers, subject_id: str, attempt: int) -> str:
    """The hash of the preimage that this attempt will always have."""
    return hashlib.sha256(identifiers.preimage(subject_id, attempt)).hexdigest()


class Vault:
    """The books have the sealed bodies, the memory recent answers, and our key all else."""

    def __init__(
        self,
        *,
        books: Books,
        identifiers: Identifiers,
        sealer: Sealer,
        keep_body_keys: KeepBodyKeys,
        recent_answers: RecentAnswers,
        readable: Readable = _anything,
    ) -> None:
        """`keep_body_keys` knows whether the keys of the day are as they should be.

        `readable` says of a completion whether an answer can be made of it: what could never be
        handed over must not count as released. `recent_answers` has what is not stored.
        """
        self.is_readable = readable
        self._books = books
        self._identifiers = identifiers
        self._sealer = sealer
        self._keep_body_keys = keep_body_keys
        self._recent_answers = recent_answers
        self.keeps_briefly = recent_answers.any

    def check(self) -> None:
        """Return while something can be sealed that every process opens.

        Raises BodyKeysUnusable.
        """
        self._keep_body_keys.check()

    def escrow_id(self) -> str:
        """What another escrow is called."""
        return self._identifiers.escrow_id()

    def topup_id(self) -> str:
        """What another top-up is called."""
        return self._identifiers.topup_id()

    def named_topup_id(self, owner: str, name: str) -> str:
        """What the owner's top-up of this name is called, before it is there and afterwards."""
        return self._identifiers.named_id("top", owner, name)

    def caller_id(self) -> str:
        """What a caller without a name is called."""
        return self._identifiers.caller_id()

    def key_id(self, owner: str, name: str | None) -> str:
        """What another API key is called; with a name always the same for this owner."""
        if name is None:
            return self._identifiers.key_id()
        return self._identifiers.named_id("key", owner, name)

    def key_secret(self, key_id: str, rotation: int) -> str:
        """The text of an API key: the same again whenever asked, and nowhere stored."""
        return self._identifiers.key_secret(key_id, rotation)

    def preimage(self, subject_id: str, attempt: int) -> bytes:
        """What the node gives to whoever pays this attempt: the same again whenever asked."""
        return self._identifiers.preimage(subject_id, attempt)

    def payment_hash(self, subject_id: str, attempt: int) -> str:
        """The hash of the preimage that this attempt will always have."""
        return payment_hash(self._identifiers, subject_id, attempt)

    def memo_tag(self, caller_id: str, payment_hash: str) -> str:
        """The caller, sealed to us and to this hash."""
        return self._identifiers.memo_tag(caller_id, payment_hash)

    def caller_of_tag(self, tag: str, payment_hash: str) -> str | None:
        """The caller; None when the tag is not ours, or was made for another hash."""
        return self._identifiers.caller_of_tag(tag, payment_hash)

    async def seal_request(self, escrow_id: str, body: bytes, *, day: str) -> tuple[bytes, bytes]:
        """The sealed request, after a key of its own that is wrapped for that UTC day.

        Raises BodyKeysUnusable.
        """
        wrapped_key = await self._sealer.new_key(day=day)
        sealed = await self._sealer.seal(wrapped_key, body, label=request_label(escrow_id))
        return wrapped_key, sealed

    async def open_request(self, escrow_id: str) -> tuple[bytes, bytes]:
        """The stored request, after the wrapped key that it was sealed with.

        Raises SealBroken, and BodyKeysUnusable while the key of its day may come back.
        """
        bodies = await self._books.bodies(escrow_id)
        if bodies is None or bodies.request is None or bodies.wrapped_key is None:
            message = f"the request of {escrow_id} is not stored"
            raise SealBroken(message)
        label = request_label(escrow_id)
        return bodies.wrapped_key, await self._sealer.open(
            bodies.wrapped_key, bodies.request, label=label
        )

    async def seal_completion(self, escrow_id: str, body: bytes, *, wrapped_key: bytes) -> bytes:
        """The completion, under the key of its request. Raises BodyKeysUnusable."""
        return await self._sealer.seal(wrapped_key, body, label=completion_label(escrow_id))

    async def seal_unasked(self, escrow_id: str, body: bytes, *, day: str) -> tuple[bytes, bytes]:
        """The completion of a request that was not stored, after a key of its own.

        The key is wrapped for that UTC day. Raises BodyKeysUnusable.
        """
        wrapped_key = await self._sealer.new_key(day=day)
        return wrapped_key, await self.seal_completion(escrow_id, body, wrapped_key=wrapped_key)

    def keep_briefly(self, escrow_id: str, body: bytes) -> None:
        """Have a completion at hand that the books do not keep."""
        self._recent_answers.keep(escrow_id, body)

    async def open_completion(self, escrow_id: str) -> bytes:
        """The completion: the one at hand, or the stored one.

        Raises SealBroken, and BodyKeysUnusable while the key of its day may come back.
        """
        at_hand = self._recent_answers.of(escrow_id)
        if at_hand is not None:
            return at_hand
        bodies = await self._books.bodies(escrow_id)
        if bodies is None or bodies.completion is None or bodies.wrapped_key is None:
            message = f"the completion of {escrow_id} is not stored"
            raise SealBroken(message)
        return await self._sealer.open(
            bodies.wrapped_key, bodies.completion, label=completion_label(escrow_id)
        )
