"""The two files that reach lnd: what lies in them instead is named, with what to do about it."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from cobot_meter.adapters.lightning.lnd.access import read_secrets
from cobot_meter.adapters.lightning.lnd.files import certificate_fault, macaroon_fault, validity_of
from cobot_meter.adapters.lightning.lnd.fitness import WARNING, NodeCheck, examine
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.errors import SettingInvalid
from tests.fakes.lnd.lnd_certificates import BORN, LIFE, TlsPair, make_tls_pair
from tests.fakes.lnd.lnd_macaroons import Bakery
from tests.fakes.lnd.lnd_server import FakeLnd

PAIR = make_tls_pair()
MACAROON = Bakery().bake((("invoices", "read"),))
PATH = Path("file")
DAY = dt.timedelta(days=1)


def der() -> bytes:
    """The certificate in the other form."""
    certificate = x509.load_pem_x509_certificate(PAIR.certificate)
    return certificate.public_bytes(serialization.Encoding.DER)


CERTIFICATES = {
    "is empty": b" \n",
    "is a private key, which stays with lnd": PAIR.key,
    "is a macaroon": MACAROON,
    "COBOT_METER_LND_MACAROON": MACAROON.hex().encode(),
    "in DER, not in PEM": der(),
    "looks cut short": PAIR.certificate[:-40],
    "is not a certificate in PEM: give lnd's tls.cert": b"nonsense",
}
MACAROONS = {
    "is empty: bake the macaroon anew": b"\n",
    "as hex text": MACAROON.hex().encode() + b"\n",
    "`xxd -r -p`": MACAROON.hex().upper().encode(),
    "as base64 text": base64.b64encode(MACAROON),
    "`base64 -d`": base64.urlsafe_b64encode(MACAROON) + b"\n",
    "as JSON": b'{"v": 2}',
    "is a certificate or a key": PAIR.certificate,
}


@pytest.mark.parametrize("says", CERTIFICATES)
def test_what_is_no_certificate_is_named(says: str) -> None:
    """One sentence with the file's name and what to give instead."""
    fault = certificate_fault(PATH, CERTIFICATES[says])
    assert fault is not None
    assert fault.startswith("file ")
    assert says in fault


@pytest.mark.parametrize("says", MACAROONS)
def test_what_is_no_macaroon_is_named(says: str) -> None:
    """Written down in letters, in JSON, or the other file."""
    fault = macaroon_fault(PATH, MACAROONS[says])
    assert fault is not None
    assert fault.startswith("file ")
    assert says in fault


def test_the_right_files_are_let_pass(tmp_path: Path) -> None:
    """Also with line ends of another system and words around the certificate."""
    assert macaroon_fault(PATH, MACAROON) is None
    for certificate in (
        PAIR.certificate,
        PAIR.certificate.replace(b"\n", b"\r\n"),
        b"# ours\n" + PAIR.certificate,
    ):
        assert certificate_fault(PATH, certificate) is None
    access = FakeLnd(tmp_path).access(port=1)
    assert read_secrets(access).macaroon == access.macaroon_path.read_bytes()


@settings(derandomize=True, max_examples=300)
@given(held=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: t.encode())))
def test_any_octets_are_judged_without_an_exception(held: bytes) -> None:
    """A sentence or nothing; what is random is never a certificate."""
    assert certificate_fault(PATH, held) is not None
    macaroon_fault(PATH, held)
    assert validity_of(held) is None


@pytest.mark.parametrize("swapped", ["tls_cert_path", "macaroon_path"])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, swapped: str) -> None:
    """A directory, and nothing at all."""
    access = FakeLnd(tmp_path).access(port=1)
    path: Path = getattr(access, swapped)
    path.unlink()
    with pytest.raises(SettingInvalid, match="No such file or directory"):
        read_secrets(access)
    path.mkdir()
    with pytest.raises(SettingInvalid, match="Is a directory"):
        read_secrets(access)


async def reached(folder: Path, pair: TlsPair) -> NodeCheck:
    """The first check at a node that has this certificate."""
    lnd = FakeLnd(folder)
    lnd.pair = pair
    lnd.show_certificate()
    await lnd.start()
    try:
        return (await examine(lnd.access(), now_ms=SystemClock().now_ms()))[0]
    finally:
        await lnd.stop()


def now() -> dt.datetime:
    """Of the clock that certificates are held against."""
    return dt.datetime.fromtimestamp(SystemClock().now_ms() // 1_000, tz=dt.UTC)


@pytest.mark.parametrize(
    ("born", "life", "well", "says"),
    [
        (lambda: BORN, LIFE, True, "answers"),
        (lambda: now() - 30 * DAY, 29 * DAY, False, "expired on"),
        (lambda: now() + 2 * DAY, 29 * DAY, False, "set the clock"),
        (lambda: now() - 30 * DAY, 33 * DAY, True, "expires on"),
    ],
)
async def test_the_dates_of_a_certificate_are_looked_at(
    tmp_path: Path,
    born: Callable[[], dt.datetime],
    life: dt.timedelta,
    says: str,
    *,
    well: bool,
) -> None:
    """An expired one is not "another certificate", and one that soon expires is a warning."""
    check = await reached(tmp_path, make_tls_pair(born=born(), life=life))
    assert (check.name, check.well) == ("reachable", well)
    assert says in check.detail
    assert check.detail.startswith(WARNING) == (says == "expires on")
