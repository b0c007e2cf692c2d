"""Keys drawn at random, as those who issue them say that theirs look, in places where they leak.

Written for itself, not from the detector's rules: a wrong format there is found here.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
LETTERS = LOWER + UPPER
ALNUM = LETTERS + DIGITS
HEX = DIGITS + "abcdef"
URL_SAFE = ALNUM + "-_"
BASE32 = UPPER + "234567"
BECH32 = "023456789acdefghjklmnpqrstuvwxyz"
SEED, KEYS = 20_261_129, 300
Draw = Callable[[random.Random], str]


def _drawn(prefix: str, signs: str, length: int, ending: str = "") -> Draw:
    return lambda chance: prefix + "".join(chance.choices(signs, k=length)) + ending


def _joined(between: str, *parts: Draw) -> Draw:
    return lambda chance: between.join(part(chance) for part in parts)


def _bytes(length: int) -> Draw:
    return lambda chance: base64.b64encode(chance.randbytes(length)).decode()


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _web_token(chance: random.Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": chance.randrange(10**9), "iat": 1_760_000_000})
    written = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    ]
    signature = base64.urlsafe_b64encode(chance.randbytes(32)).decode().rstrip("=")
    return ".".join((*written, signature))


def _pem(chance: random.Random) -> str:
    lines = [base64.b64encode(chance.randbytes(48)).decode() for _ in range(6)]
    return "\n".join(("-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"))


# One for each of the sixty that leak most: those with a look of their own.
LOOKS: dict[str, Draw] = {
    "AWS_ACCESS_KEY_ID": _drawn("AKIA", BASE32, 16),
    "GITHUB_TOKEN": _drawn("ghp_", ALNUM, 36),
    "GITHUB_FINE": _joined("_", _drawn("github_pat_", ALNUM, 22), _drawn("", ALNUM, 59)),
    "GITHUB_APP": _drawn("ghs_", ALNUM, 36),
    "GITLAB_TOKEN": _drawn("glpat-", URL_SAFE, 20),
    "GITLAB_RUNNER": _drawn("glrt-", URL_SAFE, 20),
    "SLACK_BOT": _joined(
        "-", _drawn("xoxb-", DIGITS, 12), _drawn("", DIGITS, 12), _drawn("", ALNUM, 24)
    ),
    "SLACK_APP": _joined(
        "-", _drawn("xapp-1-A", UPPER + DIGITS, 10), _drawn("", DIGITS, 13), _drawn("", HEX, 64)
    ),
    "SLACK_HOOK": _joined(
        "/",
        _drawn("https://hooks.slack.com/services/T", UPPER + DIGITS, 8),
        _drawn("B", UPPER + DIGITS, 8),
        _drawn("", ALNUM, 24),
    ),
    "STRIPE_SECRET": _drawn("sk_live_", ALNUM, 24),
    "STRIPE_RESTRICTED": _drawn("rk_live_", ALNUM, 99),
    "STRIPE_HOOK": _drawn("whsec_", ALNUM, 32),
    "OPENAI_PROJECT": _drawn("sk-proj-", URL_SAFE, 74, "T3BlbkFJ"),
    "OPENAI_OLDER": _joined("T3BlbkFJ", _drawn("sk-", ALNUM, 20), _drawn("", ALNUM, 20)),
    "ANTHROPIC": _drawn("sk-ant-api03-", URL_SAFE, 93, "AA"),
    "OPENROUTER": _drawn("sk-or-v1-", HEX, 64),
    "DEEPSEEK": _drawn("sk-", HEX, 32),
    "GROQ": _drawn("gsk_", ALNUM, 52),
    "HUGGINGFACE": _drawn("hf_", LETTERS, 34),
    "REPLICATE": _drawn("r8_", ALNUM, 37),
    "PERPLEXITY": _drawn("pplx-", ALNUM, 48),
    "XAI": _drawn("xai-", ALNUM, 80),
    "GOOGLE_API": _drawn("AIza", URL_SAFE, 35),
    "GOOGLE_CLIENT": _drawn("GOCSPX-", URL_SAFE, 28),
    "AZURE_CLIENT": _joined("8Q~", _drawn("", ALNUM, 3), _drawn("", ALNUM + "~_.-", 34)),
    "AZURE_STORAGE": lambda chance: (
        "DefaultEndpointsProtocol=https;AccountKey=" + _bytes(64)(chance)
    ),
    "DIGITALOCEAN": _drawn("dop_v1_", HEX, 64),
    "HEROKU": _drawn("HRKU-AA", URL_SAFE, 58),
    "FLY": _drawn("fo1_", URL_SAFE, 43),
    "NETLIFY": _drawn("nfp_", ALNUM, 36),
    "SUPABASE": _drawn("sbp_", HEX, 40),
    "VAULT": _drawn("hvs.", URL_SAFE, 90),
    "TERRAFORM": _joined(".atlasv1.", _drawn("", ALNUM, 14), _drawn("", ALNUM, 67)),
    "DOPPLER": _drawn("dp.pt.", ALNUM, 43),
    "PULUMI": _drawn("pul-", HEX, 40),
    "TAILSCALE": _joined("-", _drawn("tskey-auth-k", ALNUM, 11), _drawn("", ALNUM, 32)),
    "NPM": _drawn("npm_", ALNUM, 36),
    "PYPI": _drawn("pypi-AgEIcHlwaS5vcmc", URL_SAFE, 150),
    "RUBYGEMS": _drawn("rubygems_", HEX, 48),
    "DOCKER": _drawn("dckr_pat_", URL_SAFE, 27),
    "ATLASSIAN": _drawn("ATATT3xFfGF0", URL_SAFE, 172, "="),
    "POSTMAN": _joined("-", _drawn("PMAK-", HEX, 24), _drawn("", HEX, 34)),
    "SENDGRID": _joined(".", _drawn("SG.", URL_SAFE, 22), _drawn("", URL_SAFE, 43)),
    "MAILCHIMP": _drawn("", HEX, 32, "-us14"),
    "MAILGUN": _drawn("key-", HEX, 32),
    "TWILIO": _drawn("SK", HEX, 32),
    "SHOPIFY": _drawn("shpat_", HEX, 32),
    "SQUARE": _drawn("EAAA", URL_SAFE, 60),
    "RAZORPAY": _drawn("rzp_live_", ALNUM, 14),
    "TELEGRAM": _joined(":AA", _drawn("", "123456789", 10), _drawn("", URL_SAFE, 33)),
    "DISCORD": _joined(
        ".", _drawn("bot token M", ALNUM, 25), _drawn("", ALNUM, 6), _drawn("", URL_SAFE, 38)
    ),
    "FIGMA": _drawn("figd_", URL_SAFE, 43),
    "LINEAR": _drawn("lin_api_", ALNUM, 40),
    "NOTION": _joined("", _drawn("ntn_", DIGITS, 11), _drawn("", ALNUM, 35)),
    "DATABRICKS": _drawn("dapi", HEX, 32),
    "GRAFANA": _joined("_", _drawn("glsa_", ALNUM, 32), _drawn("", HEX, 8)),
    "NEWRELIC": _drawn("NRAK-", UPPER + DIGITS, 27),
    "SENTRY": _drawn("sntryu_", HEX, 64),
    "NOSTR": _drawn("nsec1", BECH32, 58),
    "WEB_TOKEN": _web_token,
    "PRIVATE": _pem,
}
# And some that only the name before them gives away.
NAMES: dict[str, Draw] = {
    "AWS_SECRET_ACCESS_KEY": _drawn("", ALNUM + "+/", 40),
    "DATADOG_API_KEY": _drawn("", HEX, 32),
    "CLOUDFLARE_API_TOKEN": _drawn("", URL_SAFE, 40),
    "HEROKU_API_KEY": _uuid,
    "COHERE_API_KEY": _drawn("", ALNUM, 40),
    "MISTRAL_API_KEY": _drawn("", ALNUM, 32),
    "TOGETHER_API_KEY": _drawn("", HEX, 64),
    "ALGOLIA_ADMIN_KEY": _drawn("", HEX, 32),
    "DB_PASSWORD": _drawn("", ALNUM + "!%*-_", 20),
    "CLIENT_SECRET": _drawn("", URL_SAFE, 40),
}
PLACES: tuple[Callable[[str, str], str], ...] = (
    lambda name, key: f"export {name}={key}\n",
    lambda name, key: json.dumps({"env": {name: key}}, indent=2),
    lambda name, key: f'client = Client({name.lower()} = "{key}")  # does not work, why?',
    lambda name, key: f"{name}: {key}\nother: 1",
    lambda name, key: f"my {name.lower().replace('_', ' ')} is: {key} and I get a 401",
)


def generated() -> Iterator[tuple[str, str]]:
    """Three hundred texts with one key each, always the same ones, and whose key it is."""
    chance = random.Random(SEED)
    drawers = [*LOOKS.items(), *NAMES.items()]
    for at in range(KEYS):
        name, draw = drawers[at % len(drawers)]
        place = PLACES[(at // len(drawers) + at) % len(PLACES)]
        yield name, place(name, draw(chance))
