"""Numbers and addresses that say what they are; and those that only look like it."""

from __future__ import annotations

import random

import pytest

from cobot_meter.domain.privacy import check_digits
from cobot_meter.domain.privacy.personal_data import personal_data
from tests.domain.privacy.reading import signals


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("my card is 4111 1111 1111 1111, please", "card"),
        ("amex 378282246310005", "card"),
        ("378-", ""),
        ("5500-0000-0000-0004", "card"),
        ("1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 4111 1111 1111 1111", "card"),
        ("IBAN GB82 WEST 1234 5698 7654 32.", "iban"),
        ("send it to de89370400440532013000 today", "iban"),
        ("ask jane.roe+work@hospital.org about it", "email"),
        ("+49 30 901820", "phone"),
        ("reach her at 415-555-0132", "phone"),
        ("(020) 7946 0958", ""),
        ("Phone: 9472 7916", "phone"),
        ("0494 92 82 32", "phone"),
        ("36.107.174.11 keeps logging in", "ip_address"),
        ("2a02:8108:1234:5678:9abc:def0:1234:5678", "ip_address"),
        ("SSN 219-09-9999", "national_id"),
        ("NINO AB123456C", "national_id"),
        ("DNI 12345678Z", "national_id"),
        ("codice fiscale RSSMRA85T10A562S", "national_id"),
        ("NIR 2 55 08 14 168 025 38", "national_id"),
        ("CPF 111.444.777-35", "national_id"),
        ("hetu 131052-308T", "national_id"),
        ("aadhaar 2341 2341 2346", "national_id"),
        ("身份证 11010519491231002X", "national_id"),
        ("NRIC S1234567D", "national_id"),
        ("NHS number 943 476 5919", "national_id"),
        ("BSN 111222333", "national_id"),
        ("rijksregister 85.07.30-033.28", "national_id"),
        ("SIN 046-454-286", "national_id"),
        ("tax file number 123 456 782", "national_id"),
        ("personnummer 811228-9874", "national_id"),
        ("My driver's license number is F162823540116", "licence"),
        ("passport number: 340020013", "licence"),
    ],
)
def test_each_kind_is_found(text: str, kind: str) -> None:
    """One of each, as people write them."""
    found = set(personal_data(text, text.lower()))
    assert kind in found or (not kind and found <= {"phone"})


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112",
        "0000000000000000 and 4444444444444444444",
        "GB82 WEST 1234 5698 7654 33",
        "@app.route('/x') and git@github.com:a/b.git",
        "write to user@example.com or root@localhost",
        "When: 2000-04-16 11:34:35, or 06-04-2020",
        "127.0.0.1, 10.0.0.7, 192.168.1.1 and 1.2.3",
        "the opium war of 1839-1842 and 10000 units of 9000",
        "3.14159265358979 and 1,000,000 and 100 200 300",
        "aadhaar 2341 2341 2347, SIN 046-454-287, DNI 12345678A",
        "123456782 and 943 476 5919",
        "a passport is no licence number",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    """Sums that are wrong, addresses of nobody, dates and figures."""
    assert list(personal_data(text, text.lower())) == []


WIDE = str.maketrans({str(digit): chr(0xFF10 + digit) for digit in range(10)})


@pytest.mark.parametrize(
    "hidden",
    [
        "\N{ZERO WIDTH SPACE}".join("4111111111111111"),
        "4111 1111 1111 1111".translate(WIDE),
        "4111-1111-1111-1111".replace("-", "\N{NON-BREAKING HYPHEN}"),
        "4111 1111 1111 1111".replace(" ", "\N{NO-BREAK SPACE}"),
    ],
)
def test_letters_that_hide_hide_nothing(hidden: str) -> None:
    """Zero-width signs, wide digits and other dashes are read as what they stand for."""
    assert signals(f"pay with {hidden}") == ("card",)


def test_a_wrong_digit_is_noticed_in_nine_of_ten() -> None:
    """Each check digit refuses every change of one digit that it is made for."""
    chance = random.Random(7)
    for holds, right in (
        (check_digits.luhn, "4111111111111111"),
        (check_digits.verhoeff, "234123412346"),
        (check_digits.iban, "GB82WEST12345698765432"),
        (check_digits.brazilian, "11144477735"),
        (check_digits.belgian, "85073003328"),
        (check_digits.french, "255081416802538"),
    ):
        assert holds(right)
        at = chance.choice([at for at, sign in enumerate(right) if sign.isdigit()])
        for digit in "0123456789".replace(right[at], ""):
            assert not holds(right[:at] + digit + right[at + 1 :])
