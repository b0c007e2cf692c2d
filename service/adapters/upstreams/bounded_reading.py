"""Reading an answer no further than a number of bytes. Must not know: what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from service.adapters.upstreams.http_errors import TRANSPORT_FAULTS
from service.domain.errors import OutcomeUnknown

_DRAIN_TIMEOUT_S = 1.0


class BoundedChunks:
    """The chunks of one answer, up to a number of bytes."""

    __slots__ = ("_chunks", "_left")

    def __init__(self, chunks: AsyncIterator[bytes], bytes_max: int) -> None:
        """`chunks` is read until its end, or until `bytes_max` are passed."""
        self._chunks = chunks
        self._left = bytes_max

    async def next(self) -> bytes | None:
        """The next chunk, None at the end. Raises OutcomeUnknown when there are too many bytes."""
        chunk = await anext(self._chunks, None)
        self._left -= len(chunk or b"")
        if self._left < 0:
            raise OutcomeUnknown("the upstream's answer is larger than this service takes")
        return chunk

    async def rest(self) -> bytes:
        """All that follows. Raises as `next` does."""
        pieces: list[bytes] = []
        while (chunk := await self.next()) is not None:
            pieces.append(chunk)
        return b"".join(pieces)

    async def drain(self) -> None:
        """Read to the very end, so that the connection can be used again; not at any price."""
        with contextlib.suppress(*TRANSPORT_FAULTS):
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                async for _ in self._chunks:
                    pass


async def read_up_to(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    """All chunks, or the first `bytes_max` bytes of them."""
    pieces: list[bytes] = []
    left = bytes_max
    async for chunk in chunks:
        pieces.append(chunk[:left])
        left -= len(chunk)
        if left <= 0:
            break
    return b"".join(pieces)
