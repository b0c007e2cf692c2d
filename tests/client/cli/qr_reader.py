"""Reads a QR code that was printed as half blocks, by the standard: an independent judge.

Of ISO/IEC 18004 it knows versions 1 to 16 at level L, and texts of digits and capitals, without
mending what is damaged: nothing on a screen is. Must not know: what drew it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_LIGHT = {" ": (False, False), "█": (True, True), "▀": (True, False), "▄": (False, True)}
_FORMAT_MASK, _LEVEL_L, _ALPHANUMERIC = 0x5412, 0b01, 0b0010
# Of each version: how many data codewords each of its blocks has.
_BLOCKS: Mapping[int, Sequence[int]] = {
    1: [19],
    2: [34],
    3: [55],
    4: [80],
    5: [108],
    6: [68] * 2,
    7: [78] * 2,
    8: [97] * 2,
    9: [116] * 2,
    10: [68] * 2 + [69] * 2,
    11: [81] * 4,
    12: [92] * 2 + [93] * 2,
    13: [107] * 4,
    14: [115] * 3 + [116],
    15: [87] * 5 + [88],
    16: [98] * 5 + [99],
}
_ALIGNED: Mapping[int, Sequence[int]] = {
    1: (),
    2: (6, 18),
    3: (6, 22),
    4: (6, 26),
    5: (6, 30),
    6: (6, 34),
    7: (6, 22, 38),
    8: (6, 24, 42),
    9: (6, 26, 46),
    10: (6, 28, 50),
    11: (6, 30, 54),
    12: (6, 32, 58),
    13: (6, 34, 62),
    14: (6, 26, 46, 66),
    15: (6, 26, 48, 70),
    16: (6, 26, 50, 74),
}
_MASKS: Sequence[Callable[[int, int], int]] = (
    lambda row, col: (row + col) % 2,
    lambda row, _: row % 2,
    lambda _, col: col % 3,
    lambda row, col: (row + col) % 3,
    lambda row, col: (row // 2 + col // 3) % 2,
    lambda row, col: row * col % 2 + row * col % 3,
    lambda row, col: (row * col % 2 + row * col % 3) % 2,
    lambda row, col: ((row + col) % 2 + row * col % 3) % 2,
)
Matrix = list[list[bool]]


def qr_of(printed: str) -> Matrix:
    """The dark modules of the code in these lines, without what is free around it."""
    rows: Matrix = []
    for line in printed.splitlines():
        if line.startswith("█") and set(line) <= _LIGHT.keys():
            pairs = [_LIGHT[char] for char in line]
            rows += [[not upper for upper, _ in pairs], [not lower for _, lower in pairs]]
    dark_rows = [at for at, row in enumerate(rows) if any(row)]
    first, last = dark_rows[0], dark_rows[-1]
    left = rows[first].index(True)
    size = last - first + 1
    assert left == first, "as much is free on the left as above"
    assert not any(any(row[:left]) or any(row[left + size :]) for row in rows)
    return [row[left : left + size] for row in rows[first : last + 1]]


def text_of(matrix: Matrix) -> str:
    """What it says."""
    size = len(matrix)
    version = (size - 17) // 4
    assert size == 17 + 4 * version
    told = _number([matrix[row][col] for row, col in _format_places()]) ^ _FORMAT_MASK
    assert told >> 13 == _LEVEL_L
    mask = _MASKS[told >> 10 & 0b111]
    fixed = _fixed(version)
    bits = [
        matrix[row][col] ^ (mask(row, col) == 0)
        for row, col in _zigzag(size)
        if (row, col) not in fixed
    ]
    return _text(_data(bits, _BLOCKS[version]), length_bits=9 if version < 10 else 11)


def _format_places() -> list[tuple[int, int]]:
    across = [(8, col) for col in (0, 1, 2, 3, 4, 5, 7, 8)]
    return [*across, *((row, 8) for row in (7, 5, 4, 3, 2, 1, 0))]


def _fixed(version: int) -> set[tuple[int, int]]:
    """What every code of this version has: finders, timing, alignment, format and version."""
    size = 17 + 4 * version
    places = {(6, at) for at in range(size)} | {(at, 6) for at in range(size)}
    corners = [(0, 0, 9, 9), (0, size - 8, 9, 8), (size - 8, 0, 8, 9)]
    if version >= 7:
        corners += [(0, size - 11, 6, 3), (size - 11, 0, 3, 6)]
    for top, left, height, width in corners:
        places |= {(top + row, left + col) for row in range(height) for col in range(width)}
    centres = _ALIGNED[version]
    for row in centres:
        for col in centres:
            if {row, col} <= {6, centres[-1]} and (row, col) != (centres[-1], centres[-1]):
                continue  # a finder is there, or would be
            places |= {(row + up, col + over) for up in range(-2, 3) for over in range(-2, 3)}
    return places


def _zigzag(size: int) -> Iterator[tuple[int, int]]:
    upwards = True
    for right in range(size - 1, 0, -2):
        column = right if right > 6 else right - 1
        for row in range(size - 1, -1, -1) if upwards else range(size):
            yield row, column
            yield row, column - 1
        upwards = not upwards


def _data(bits: list[bool], blocks: Sequence[int]) -> list[bool]:
    """The data of all blocks one after the other: in the code they take turns."""
    codewords = [bits[at : at + 8] for at in range(0, len(bits) - 7, 8)]
    coming = iter(codewords)
    shares: list[list[list[bool]]] = [[] for _ in blocks]
    for number in range(max(blocks)):
        for share, length in zip(shares, blocks, strict=True):
            if number < length:
                share.append(next(coming))
    return [bit for share in shares for codeword in share for bit in codeword]


def _text(bits: list[bool], *, length_bits: int) -> str:
    coming = iter(bits)

    def take(count: int) -> int:
        return _number([next(coming) for _ in range(count)])

    assert take(4) == _ALPHANUMERIC
    length = take(length_bits)
    pairs = [divmod(take(11), len(LETTERS)) for _ in range(length // 2)]
    text = "".join(LETTERS[first] + LETTERS[second] for first, second in pairs)
    return text + (LETTERS[take(6)] if length % 2 else "")


def _number(bits: Sequence[bool]) -> int:
    return int("".join("1" if bit else "0" for bit in bits), 2)
