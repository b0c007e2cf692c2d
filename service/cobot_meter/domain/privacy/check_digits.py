"""Check digits of numbers that people are known by: sums over ASCII digits, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

_VERHOEFF_MULTIPLY = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_VERHOEFF_PERMUTE = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"
_ITALIAN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10)
_ITALIAN_ODD_REST = (22, 25, 24, 23)
_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CHINESE = "10X98765432"
_CHINESE_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_SINGAPORE = {"S": "JZIHGFEDCBA", "T": "GFEDCBAJZIH", "F": "XWUTRQPNMLK", "G": "RQPNMLKXWUT"}
_SINGAPORE_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)


def luhn(digits: str) -> bool:
    """ISO 7812: cards, and the numbers of several countries."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of its two digits
    return total % 10 == 0


def verhoeff(digits: str) -> bool:
    """Aadhaar."""
    state = "0"
    for at, digit in enumerate(reversed(digits)):
        state = _VERHOEFF_MULTIPLY[int(state)][int(_VERHOEFF_PERMUTE[at % 8][int(digit)])]
    return state == "0"


def iban(text: str) -> bool:
    """ISO 13616, of letters and digits without blanks: 97 and one over."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def eleven(digits: str, weights: Sequence[int]) -> bool:
    """A weighted sum that 11 divides, over as many digits as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11 == 0


def spanish(number: str) -> bool:
    """DNI and NIE: eight digits, the first perhaps a letter, and a letter for their rest."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return _SPANISH[int(digits) % 23] == number[-1]


def italian(code: str) -> bool:
    """Codice fiscale, sixteen letters and digits."""
    odd = (*_ITALIAN_ODD, *_ITALIAN_ODD_REST)
    total = 0
    for at, sign in enumerate(code[:15]):
        value = int(sign) if sign.isdigit() else ord(sign) - ord("A")
        total += value if at % 2 else odd[value]
    return chr(ord("A") + total % 26) == code[15]


def french(number: str) -> bool:
    """NIR: thirteen digits and a key of two; Corsica's letters are no digits."""
    digits = number[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(digits) % 97 == int(number[13:])


def belgian(digits: str) -> bool:
    """Rijksregisternummer: nine digits and their rest, for either century of birth."""
    key = int(digits[9:])
    return any(97 - int(before + digits[:9]) % 97 == key for before in ("", "2"))


def finnish(code: str) -> bool:
    """Henkilötunnus: six digits, a sign of the century, three digits and a letter for the rest."""
    return _FINNISH[int(code[:6] + code[7:10]) % 31] == code[10]


def brazilian(digits: str) -> bool:
    """CPF: nine digits and two that follow from them; all alike are none."""
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        rest = sum(int(digits[at]) * (length + 1 - at) for at in range(length)) * 10 % 11 % 10
        if rest != int(digits[length]):
            return False
    return True


def chinese(code: str) -> bool:
    """Resident identity number: seventeen digits and one, or X, for their rest."""
    pairs = zip(code[:17], _CHINESE_WEIGHTS, strict=True)
    return _CHINESE[sum(int(digit) * weight for digit, weight in pairs) % 11] == code[17]


def singaporean(code: str) -> bool:
    """NRIC and FIN: a letter, seven digits and a letter for their rest."""
    pairs = zip(code[1:8], _SINGAPORE_WEIGHTS, strict=True)
    return _SINGAPORE[code[0]][sum(int(digit) * weight for digit, weight in pairs) % 11] == code[8]
