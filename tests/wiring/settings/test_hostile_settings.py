"""Every setting, given what people paste: one sentence that names it, and never a secret."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.settings import Settings, read_settings, setting_names

KEY, KEY_FILE = "OPENROUTER_API_KEY", "OPENROUTER_API_KEY_FILE"
REAL = {
    "COBOT_METER_UPSTREAM": "openrouter",
    "COBOT_METER_NODE": "lnd",
    "COBOT_METER_NETWORK": "mainnet",
    "COBOT_METER_LND_TLS_CERT": "tls.cert",
    "COBOT_METER_LND_MACAROON": "our.macaroon",
    KEY: "sk-or-v1-0123456789abcdef",
}
NAMES = sorted({*setting_names(), KEY, KEY_FILE})
PASTED = {
    "\N{HORIZONTAL ELLIPSIS}": "U+2026 HORIZONTAL ELLIPSIS",
    "\N{ZERO WIDTH SPACE}": "U+200B ZERO WIDTH SPACE",
    "\N{LEFT DOUBLE QUOTATION MARK}": "U+201C LEFT DOUBLE QUOTATION MARK",
    "\N{RIGHT SINGLE QUOTATION MARK}": "U+2019 RIGHT SINGLE QUOTATION MARK",
    "\N{NO-BREAK SPACE}": "U+00A0 NO-BREAK SPACE",
    "\N{SOFT HYPHEN}": "U+00AD SOFT HYPHEN",
    "\N{EN DASH}": "U+2013 EN DASH",
    "\x1b": "U+001B ESCAPE",
    "\n": "U+000A LINE FEED",
    "\udce9": "the byte 0xE9, which is not UTF-8",
}
UNSHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
CANARY = "canary7"


def refusal(environ: dict[str, str]) -> str:
    """The one line that stops the start."""
    with pytest.raises(SettingInvalid) as refused:
        read_settings(environ)
    return said(refused.value)


def said(refused: SettingInvalid) -> str:
    """Its sentence, which every terminal can show."""
    message = refused.message
    assert not any(unicodedata.category(char) in UNSHOWN for char in message), ascii(message)
    assert len(message) < 1_000
    return message


@pytest.mark.parametrize("char", PASTED, ids=ascii)
@pytest.mark.parametrize(
    "name", [KEY, "COBOT_METER_UPSTREAM_URL", "COBOT_METER_MODELS", "COBOT_METER_DATABASE_URL"]
)
def test_a_pasted_character_is_named_with_its_place(name: str, char: str) -> None:
    """Which setting, which character, and where: nobody sees it otherwise."""
    line = refusal(REAL | {name: f"abc{char}def"})
    assert name in line
    assert PASTED[char] in line
    assert "at character 4" in line


@pytest.mark.parametrize("around", ['"{}"', "'{}'", "`{}`", '"{}'])
@pytest.mark.parametrize("name", [KEY, "COBOT_METER_UPSTREAM_URL", "COBOT_METER_DATA_DIR"])
def test_quotes_around_a_value_are_named(name: str, around: str) -> None:
    """A shell takes them away; an environment file of systemd's or Docker's may not."""
    line = refusal(REAL | {name: around.format("https://host/path")})
    assert line.startswith(f"{name} has quotes around it")


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "  {}\t", "\n{}"])
def test_an_end_of_line_around_a_value_is_passed_over(around: str) -> None:
    """A file with the line ends of another system works as it looks."""
    read = read_settings({name: around.format(value) for name, value in REAL.items()})
    assert read == read_settings(REAL)
    assert read.upstream.api_key.reveal() == REAL[KEY]


def test_a_byte_order_mark_is_called_by_its_name() -> None:
    """Windows editors put one before the first value of a file."""
    assert "COBOT_METER_NODE begins with a byte order mark" in refusal(
        {"COBOT_METER_NODE": "\ufefflnd"}
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("openrouter.ai/api/v1", "does not begin with https://"),
        ("ftp://openrouter.ai", "does not begin with https://"),
        ("https:/openrouter.ai", "does not begin with https://"),
        (f"https://ann:{CANARY}@openrouter.ai", "has a user or a password in it"),
        ("https://openrouter .ai", "has a space in it"),
        ("https://", "does not begin with"),
        ("https://open_router.ai:port/api", "is not an address that can be read"),
        ("https://host:99999/api", "is not an address that can be read"),
        ("https://[::1/api", "is not an address that can be read"),
        ("https://256.1.1.1/api", "names no host"),
        ("https://host/api?key=1", "has something behind its path"),
        ("https://host/api#here", "has something behind its path"),
    ],
)
@pytest.mark.parametrize("name", ["COBOT_METER_UPSTREAM_URL", "COBOT_METER_PUBLIC_URL"])
def test_a_url_that_could_not_work_is_refused(name: str, url: str, says: str) -> None:
    """With what is wrong with it, and without the password that it may have in it."""
    line = refusal(REAL | {name: url})
    assert line.startswith(f"{name} {says}")
    assert CANARY not in line


@pytest.mark.parametrize(
    "address",
    ["0:8402", "1.2.3:80", "::1:8402", "[::1:8402", "[127.0.0.1]:1", "a b:1", f"{'a' * 70}:1"],
)
def test_an_address_that_no_socket_takes_is_refused(address: str) -> None:
    """Names that are none, shortened IPv4 and IPv6 without brackets."""
    line = refusal({"COBOT_METER_LISTEN": address})
    assert "COBOT_METER_LISTEN must be an address and port" in line


@pytest.mark.parametrize("name", [KEY, "COBOT_METER_DATABASE_URL"])
def test_a_secret_can_lie_in_a_file(tmp_path: Path, name: str) -> None:
    """Its end of line is no part of it, and one of the two ways has to be chosen."""
    value = "postgresql://ann:canary7@host/books" if "URL" in name else "sk-canary7"
    file = tmp_path / "secret"
    file.write_text(f"{value}\r\n")
    plain = {one: value_ for one, value_ in REAL.items() if one != name}
    read = read_settings(plain | {f"{name}_FILE": str(file)})
    assert value in {read.upstream.api_key.reveal(), read.database.url.reveal()}
    assert CANARY not in repr(read)
    both = refusal(REAL | {name: value, f"{name}_FILE": str(file)})
    assert both == f"{name} and {name}_FILE are both set: set one of the two"


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"canary7\xff", "its byte 8 is not UTF-8"),
        (b"canary7\ncanary7\n", "has U+000A LINE FEED at character 8"),
        (b"canary7 canary7", "has a space at character 8"),
        ("\ufeffcanary7".encode(), "begins with a byte order mark"),
        (b"'canary7'", "has quotes around it"),
        (b"canary7" * 10_000, "has more than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_one_sentence(
    tmp_path: Path, held: bytes, says: str
) -> None:
    """It names the variable and the file, and nothing of what is in it."""
    file = tmp_path / "secret"
    file.write_bytes(held)
    environ = {name: value for name, value in REAL.items() if name != KEY}
    line = refusal(environ | {KEY_FILE: str(file)})
    assert line.startswith(KEY_FILE)
    assert str(file) in line
    assert says in line
    assert CANARY not in line


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """Missing, or a directory: the system's own word for it."""
    environ = {name: value for name, value in REAL.items() if name != KEY}
    missing = refusal(environ | {KEY_FILE: str(tmp_path / "none")})
    assert missing == f"{KEY_FILE}: cannot read {tmp_path}/none: No such file or directory"
    assert "Is a directory" in refusal(environ | {KEY_FILE: str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COBOT_METER_UPSTREAM", "sk-or-v1-canary7"),
        ("COBOT_METER_LISTEN", "postgresql://ann:canary7@host/books"),
        ("COBOT_METER_MARKUP_BPS", "canary70123456789abcdef0123456789abcdef"),
    ],
)
def test_a_secret_in_the_wrong_variable_is_not_repeated(name: str, value: str) -> None:
    """The sentence says that it may be one."""
    line = refusal({name: value})
    assert CANARY not in line
    assert "it may be a secret" in line


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.text(alphabet=st.characters(codec="ascii"), max_size=80),
    st.sampled_from([*PASTED, "0", "-1", "9" * 15, "9" * 400, "1e9", "NaN", "lnd", "mainnet"]),
    st.builds(
        lambda url, tail: url + tail,
        st.sampled_from(["http://", "https://h", "h:1"]),
        st.text(max_size=9),
    ),
)


@settings(max_examples=25, derandomize=True)
@pytest.mark.parametrize("name", NAMES)
@given(value=HOSTILE)
@example(value="\ufeff")
@example(value="\udcff")
@example(value="[")
@example(value="0.0.0.0/0")
def test_whatever_a_setting_is_given_it_is_read_or_refused_in_one_line(
    name: str, value: str
) -> None:
    """No value of any variable ends in a traceback, alone or beside those of a real service."""
    for environ in ({}, REAL):
        try:
            read = read_settings({**environ, name: value})
        except SettingInvalid as refused:
            said(refused)
        else:
            assert isinstance(read, Settings)


@settings(max_examples=100, derandomize=True)
@given(rest=st.text(max_size=200))
def test_a_name_that_is_no_setting_is_refused_in_one_line(rest: str) -> None:
    """Whatever stands behind the prefix, long or unreadable."""
    if f"COBOT_METER_{rest}" not in NAMES:
        line = refusal({f"COBOT_METER_{rest}": "1"})
        assert "is not a setting of this version" in line
