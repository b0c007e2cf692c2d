"""`reasoning_details` in pieces, put together into one block for each type and index.

OpenRouter streams a block's text bit by bit and its signature last, in a piece of its own; sent
back to a model, a block in pieces is refused, because the signature belongs to none of them. Must
not know: streams, or what a block says.
"""

from __future__ import annotations

from cobot_meter.domain import outside

# More than any model makes in one answer; what would be passed over would be missed.
BLOCKS_MAX = 1_024
# What grows piece by piece; of every other field the last word counts.
_GROWING = frozenset({"text", "summary", "data"})

Said = dict[str, object]


class ReasoningBlocks:
    """Pieces in, blocks out, in the order in which they began."""

    __slots__ = ("_blocks", "_by_place", "_texts")

    def __init__(self) -> None:
        """None yet."""
        self._blocks: list[Said] = []
        self._texts: list[dict[str, list[str]]] = []
        self._by_place: dict[tuple[object, int], int] = {}

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._blocks)

    def add(self, pieces: list[object]) -> None:
        """The `reasoning_details` of one delta, or of a message. Raises ValueError for too many."""
        for piece in pieces:
            if isinstance(piece, dict):
                self._piece(piece)

    def documents(self) -> list[object]:
        """The blocks."""
        return [
            {**block, **{name: "".join(texts) for name, texts in grown.items()}}
            for block, grown in zip(self._blocks, self._texts, strict=True)
        ]

    def _piece(self, piece: Said) -> None:
        at = self._meant(piece)
        if at is None:
            at = self._begin(piece)
        block, texts = self._blocks[at], self._texts[at]
        for name, said in piece.items():
            if name in _GROWING and isinstance(said, str):
                block.setdefault(name, "")
                texts.setdefault(name, []).append(said)
            elif said is not None or name not in block:
                block[name] = said

    def _begin(self, piece: Said) -> int:
        if len(self._blocks) >= BLOCKS_MAX:
            message = f"more than {BLOCKS_MAX} blocks of reasoning"
            raise ValueError(message)
        at = len(self._blocks)
        self._blocks.append({})
        self._texts.append({})
        index = outside.count(piece.get("index"))
        if index is not None:
            self._by_place[_kind(piece), index] = at
        return at

    def _meant(self, piece: Said) -> int | None:
        """The block that a piece goes on with; None for one that begins another."""
        index = outside.count(piece.get("index"))
        if index is not None:
            at = self._by_place.get((_kind(piece), index))
        else:
            at = len(self._blocks) - 1 if self._blocks else None
        if at is None:
            return None
        block = self._blocks[at]
        named, said = block.get("id"), piece.get("id")
        if named and said and named != said:
            return None
        if index is None and (_kind(block) != _kind(piece) or block.get("signature")):
            return None  # a signature is the end of its block
        return at


def _kind(piece: Said) -> str:
    said = piece.get("type")
    return said if isinstance(said, str) else ""
