"""An invoice as a QR code made of text, for a telephone to pay what a terminal shows.

Two rows of the code are one line of half blocks, and light is what is drawn: on a dark terminal it
looks as on paper. It is as small as it can be, since a terminal has 80 columns: an invoice in
capitals takes 5.5 bits a letter in place of 8, and no damage has to be mended on a screen.
"""

from __future__ import annotations

from cobot_pay.invoice_terms import plain_invoice

NEEDS = "for a QR code of the invoice: pip install 'cobot-pay[qr]'"
# What a reader wants to see free around the code, in modules.
BORDER = 4
_LIGHT_ABOVE_AND_BELOW = {(True, True): "█", (True, False): "▀", (False, True): "▄"}
_DARK = " "


class NoQrCode(Exception):
    """The extra that draws is not installed; the text says how to."""


def invoice_qr(payment_request: str) -> str:
    """The invoice as lines of half blocks. Raises NoQrCode."""
    try:
        import segno
    except ModuleNotFoundError as fault:
        raise NoQrCode(NEEDS) from fault
    text = plain_invoice(payment_request).upper()
    code = segno.make(text, error="L", micro=False, boost_error=False)
    rows = [[not dark for dark in row] for row in code.matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append([True] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        "".join(_LIGHT_ABOVE_AND_BELOW.get(light, _DARK) for light in zip(*pair, strict=True))
        for pair in pairs
    )
