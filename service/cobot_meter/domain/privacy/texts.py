"""The texts of a request as a detector reads them: joined, and without what hides a letter.

Base64 is opened once. Must not know: what is looked for.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

# Larger than this is not looked at: whoever hides something in it must not be believed.
SCANNED_CHARS_MAX = 256 * 1_024
DECODED_BYTES_MAX = 64 * 1_024
_DEPTH_MAX = 100
# Signs that show nothing: an address with one inside is still that address.
_UNSEEN = re.compile(
    "[\N{SOFT HYPHEN}\N{MONGOLIAN VOWEL SEPARATOR}\N{ZERO WIDTH SPACE}-\N{RIGHT-TO-LEFT MARK}"
    "\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}\N{WORD JOINER}-\N{INVISIBLE PLUS}"
    "\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}\N{ZERO WIDTH NO-BREAK SPACE}"
    "\N{COMBINING GRAPHEME JOINER}]"
)
# NFKC of a whole text costs twenty times as much as of the few letters that need it.
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_DASHES = re.compile("[\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}\N{SMALL HYPHEN-MINUS}]")
_BASE64_MIN = 24
_BASE64 = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{_BASE64_MIN},}}")
_URL_SAFE = str.maketrans("-_", "+/")
_DATA_URL = re.compile(r"data:[\w.+-]{0,60}/?[\w.+-]{0,60}(?:;[\w=.+-]{1,60}){0,4},", re.IGNORECASE)
_PRINTED_PARTS = 10
# Parts of messages that are no text: what is said in them is in their bytes.
_NO_TEXT = frozenset(
    {"image_url", "image", "input_image", "input_audio", "audio", "video_url", "input_video"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """`joined` holds every text on lines of its own; `whole` says that nothing was left out."""

    joined: str
    whole: bool


def texts_of(document: object) -> Texts:
    """Every text of a JSON value: members' names, contents, names of files, tools' arguments.

    What is written as JSON inside of a text is read as well, so that nothing hides in its escapes.
    """
    gathered = _Gathered()
    gathered.take(document, depth=_DEPTH_MAX)
    return Texts(joined="\n".join(gathered.said), whole=gathered.whole)


def plain(text: str) -> str:
    """`text` with one way to write each letter, no invisible signs, and one kind of dash."""
    if text.isascii():
        return text
    return _NOT_ASCII.sub(_normal, _UNSEEN.sub("", text))


def _normal(part: re.Match[str]) -> str:
    return _DASHES.sub("-", unicodedata.normalize("NFKC", part[0]))


def longest_word(text: str) -> int:
    """The length of the longest stretch without a blank: cheaper than to look for a pattern."""
    return max(map(len, text.split()), default=0)


def decoded(text: str) -> Texts:
    """What base64 in `text` says, as far as it is text at all; not whole where it is too long."""
    found: list[str] = []
    whole = True
    if longest_word(text) < _BASE64_MIN:
        return Texts(joined="", whole=True)
    for chunk in _BASE64.finditer(text):
        written = chunk[0]
        if len(written) * 3 // 4 > DECODED_BYTES_MAX:
            whole = False
            continue
        said = _said(written)
        if said is not None:
            found.append(said)
    return Texts(joined="\n".join(found), whole=whole)


class _Gathered:
    """What has been found of a value so far."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.whole = True
        self._left = SCANNED_CHARS_MAX

    def take(self, value: object, *, depth: int) -> None:
        """Add what `value` says, as long as there is room."""
        match value:
            case str():
                self._text(value, depth)
            case dict() if depth:
                self._object(value, depth)
            case list() if depth:
                for member in value:
                    self.take(member, depth=depth - 1)
            case dict() | list():
                self.whole = False
            case int() if not isinstance(value, bool):
                self._keep(str(value))
            case _:
                pass

    def _object(self, value: Mapping[str, object], depth: int) -> None:
        kind = value.get("type")
        if isinstance(kind, str) and kind in _NO_TEXT:
            self.whole = False
            return
        for name, member in value.items():
            self._keep(name)
            self.take(member, depth=depth - 1)

    def _text(self, text: str, depth: int) -> None:
        if text[:5].lower() == "data:" and (head := _DATA_URL.match(text)):
            self._file(text, head)
            return
        self._keep(text)
        if depth and "\\" in text and text.lstrip()[:1] in {"{", "["}:
            try:
                inner = json.loads(text)
            except (ValueError, RecursionError):
                return
            self.take(inner, depth=depth - 1)

    def _file(self, text: str, head: re.Match[str]) -> None:
        """A file written out in the request: scanned where it is text, and else not whole."""
        rest = text[head.end() :]
        if "base64" not in head[0].lower():
            self._keep(rest)
            return
        said = _said(rest.rstrip("=")) if len(rest) * 3 // 4 <= DECODED_BYTES_MAX else None
        if said is None:
            self.whole = False
        else:
            self._keep(said)

    def _keep(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            self.whole = False
        else:
            self.said.append(text)


def _said(written: str) -> str | None:
    """The text that base64 stands for; None where it stands for something else."""
    written = written.translate(_URL_SAFE)
    written = written[: len(written) - (len(written) % 4 == 1)]
    try:
        said = base64.b64decode(written + "=" * (-len(written) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    shown = sum(map(str.isprintable, said)) + said.count("\n") + said.count("\t") + said.count("\r")
    return said if shown * _PRINTED_PARTS >= len(said) * (_PRINTED_PARTS - 1) else None
