"""OpenRouter's errors: every type and every recorded body, of what kind and whether it ran."""

import orjson
import pytest

from cobot_meter.adapters.upstreams.error_taxonomy import error_of
from cobot_meter.adapters.upstreams.http_errors import HttpAnswer, fault_of_lookup, fault_of_run
from cobot_meter.adapters.upstreams.openrouter.taxonomy import ERRORS, KIND_BY_TYPE
from cobot_meter.domain.errors import CostNotYetKnown, OutcomeUnknown, UpstreamRefused
from cobot_meter.domain.errors import UpstreamFaultKind as K

STATUSES = {
    400: """context_length_exceeded max_tokens_exceeded token_limit_exceeded string_too_long
        invalid_request invalid_prompt content_policy_violation refusal invalid_image
        image_too_large image_too_small unsupported_image_format image_download_failed""",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found image_not_found",
    412: "precondition_failed",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
    500: "server unmapped",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "timeout",
}
STATUS_OF_TYPE = {name: status for status, names in STATUSES.items() for name in names.split()}
SETTINGS = "https://openrouter.ai/settings"
LIMITS = ["total limit", "daily limit", "weekly limit", "monthly limit"]
DAILY_RESET_MS = 1_795_046_400_000  # 2026-11-19, midnight UTC

RECORDED: list[tuple[int, dict[str, object], K]] = [
    (
        402,
        {
            "message": f"Insufficient credits. Add more using {SETTINGS}/credits",
            "metadata": {"limit_source": "openrouter_credits"},
        },
        K.PAYMENT,
    ),
    (
        402,
        {
            "message": "This request requires more credits, or fewer max_tokens. You requested "
            "up to 65536 tokens, but can only afford 30104. To increase, visit ...",
            "metadata": {"provider_name": None, "previous_errors": []},
        },
        K.PAYMENT,
    ),
    (402, {"message": "Prompt tokens limit exceeded: 230799 > 91442"}, K.PAYMENT),
    (403, {"message": "Workspace monthly budget of $500.00 exceeded"}, K.PAYMENT),
    (403, {"message": "blocked", "metadata": {"patterns": ["x"]}}, K.MODERATION),
    (
        403,
        {
            "message": "flagged",
            "metadata": {"reasons": ["violence"], "flagged_input": "my prompt"},
        },
        K.MODERATION,
    ),
    (403, {"message": "Only management keys can perform this operation"}, K.AUTH),
    (
        429,
        {
            "message": "Provider returned error",
            "metadata": {
                "provider_name": "Google",
                "raw": "temporarily rate-limited upstream",
                "limit_source": "upstream_provider_shared_pool",
            },
        },
        K.RATE_LIMITED,
    ),
    (
        429,
        {
            "message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000",
            "metadata": {
                "limit_source": "openrouter_free_tier_daily",
                "headers": {"X-RateLimit-Reset": str(DAILY_RESET_MS)},
            },
        },
        K.ACCOUNT_LIMITED,
    ),
    (401, {"message": "User not found."}, K.AUTH),
    (401, {"message": "No cookie auth credentials found"}, K.AUTH),
    (401, {"message": "Missing Authentication header"}, K.AUTH),
    (400, {"message": "acme/fake-1.0 is not a valid model ID"}, K.NOT_FOUND),
    (404, {"message": "No endpoints found for google/gemini-2.5-flash:free."}, K.NOT_FOUND),
    (
        404,
        {
            "message": "No allowed providers are available for the selected model.",
            "metadata": {"available_providers": ["a"], "requested_providers": ["b"]},
        },
        K.NOT_FOUND,
    ),
    (
        404,
        {
            "message": "No endpoints found matching your data policy (Zero data retention). "
            f"Configure: {SETTINGS}/privacy"
        },
        K.NOT_FOUND,
    ),
    (400, {"message": "This endpoint's maximum context length is 8192 tokens"}, K.CONTEXT_LENGTH),
]
for _limit in LIMITS:
    _words = f"Key limit exceeded ({_limit}). Manage it using {SETTINGS}/keys"
    RECORDED.append((403, {"message": _words}, K.PAYMENT))
AVAILABILITY = {
    "model_not_found": (400, K.NOT_FOUND),
    "wrong_endpoint": (400, K.NOT_FOUND),
    "no_endpoints": (404, K.NOT_FOUND),
    "model_deprecated": (404, K.NOT_FOUND),
    "model_unavailable_upstream": (404, K.NOT_FOUND),
    "capacity_exhausted": (429, K.RATE_LIMITED),
    "temporarily_unavailable": (503, K.OVERLOADED),
    "region_restricted": (403, K.NOT_FOUND),
    "privacy_restricted": (404, K.NOT_FOUND),
    "constraint_filtered": (404, K.NOT_FOUND),
    "free_variant_ended": (404, K.NOT_FOUND),
}


def answer_of(status: int, error: dict[str, object], date: str | None = None) -> HttpAnswer:
    """An error as it comes over the wire."""
    return HttpAnswer(status=status, body=orjson.dumps({"error": error}), date=date)


def test_the_table_has_all_27_types() -> None:
    """Every type that OpenRouter's document names has one row, and no other has."""
    assert set(KIND_BY_TYPE) == set(STATUS_OF_TYPE)
    assert len(KIND_BY_TYPE) == 27
    assert K.UNCLASSIFIED not in KIND_BY_TYPE.values()


@pytest.mark.parametrize("name", sorted(STATUS_OF_TYPE))
def test_every_type_before_the_start(name: str) -> None:
    """A type under its own status: 4xx is a refusal of its kind, 5xx may have been charged."""
    status = STATUS_OF_TYPE[name]
    fault = fault_of_run(
        ERRORS, answer_of(status, {"message": "no", "metadata": {"error_type": name}})
    )
    assert isinstance(fault, UpstreamRefused if status < 500 else OutcomeUnknown)
    assert fault.kind is KIND_BY_TYPE[name]


@pytest.mark.parametrize("name", sorted(STATUS_OF_TYPE))
def test_every_type_after_the_start(name: str) -> None:
    """Under the 200 of a stream the type alone tells the kind, and `code` may be text."""
    assert ERRORS.kind({"error_type": name}) is KIND_BY_TYPE[name]
    error = {"code": str(STATUS_OF_TYPE[name]), "metadata": {"error_type": name}}
    assert ERRORS.kind(error) is KIND_BY_TYPE[name]


@pytest.mark.parametrize(("status", "error", "kind"), RECORDED)
def test_every_recorded_body(status: int, error: dict[str, object], kind: K) -> None:
    """Bodies seen in real traffic are of their kind, certainly not charged, and tell nothing."""
    fault = fault_of_run(ERRORS, answer_of(status, {"code": status, **error}))
    assert isinstance(fault, UpstreamRefused)
    assert fault.kind is kind
    for secret in (SETTINGS, "credits", "limit exceeded", "$", "my prompt", "management"):
        assert secret not in fault.message


@pytest.mark.parametrize("code", sorted(AVAILABILITY))
def test_every_availability(code: str) -> None:
    """`availability` says that nothing ran, whatever the status; its wait is honoured."""
    status, kind = AVAILABILITY[code]
    fault = fault_of_run(
        ERRORS, answer_of(status, {"availability": {"code": code, "retry_after": 4}})
    )
    assert isinstance(fault, UpstreamRefused)
    assert (fault.kind, fault.retry_after_s) == (kind, 4)


@pytest.mark.parametrize("name", ["timeout", "server", "provider_unavailable"])
def test_a_4xx_that_ran_is_unknown(name: str) -> None:
    """A type that is only said after the request went on makes any status unknown."""
    error: dict[str, object] = {"metadata": {"error_type": name}}
    assert ERRORS.may_have_run(error, 400)
    assert isinstance(fault_of_run(ERRORS, answer_of(400, error)), OutcomeUnknown)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, K.TIMEOUT), (500, K.SERVER), (502, K.SERVER), (524, K.TIMEOUT), (529, K.OVERLOADED)],
)
def test_a_bare_status_has_a_kind(status: int, kind: K) -> None:
    """Where the body says nothing the status decides."""
    assert ERRORS.kind({}, status) is kind


def test_the_free_daily_cap_is_not_asked_before_its_reset() -> None:
    """The reset is measured from the answer's own date; untold, it is a day away."""
    error = next(error for _, error, _ in RECORDED if "per-day" in str(error["message"]))
    date = "Wed, 18 Nov 2026 23:00:00 GMT"
    assert ERRORS.retry_after_s(error, header=None, date=date) == 3_600
    assert ERRORS.retry_after_s(error, header=None, date=None) == 86_400
    assert ERRORS.retry_after_s(error, header=None, date="yesterday") == 86_400
    assert ERRORS.retry_after_s(error, header="9", date=date) == 9
    fault = fault_of_run(ERRORS, answer_of(429, error, date))
    assert fault.retry_after_s == 3_600


def test_a_mid_stream_error_of_few_words() -> None:
    """A recorded frame with a code and a sentence only is told by its words."""
    error = {"code": 400, "message": "Token limit reached"}
    assert ERRORS.kind(error) is K.CONTEXT_LENGTH
    assert ERRORS.kind({"message": "boom"}) is K.UNCLASSIFIED
    assert ERRORS.kind({"code": "server_error"}) is K.UNCLASSIFIED


def test_a_look_up_over_the_keys_limit_is_asked_again() -> None:
    """A 403 for the key's limit passes with its reset: the cost is not yet known, not refused."""
    error: dict[str, object] = {"message": "Key limit exceeded (daily limit)."}
    assert isinstance(fault_of_lookup(ERRORS, answer_of(403, error), "gen-1"), CostNotYetKnown)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"error":[]}', b'{"error":null}'])
def test_any_body_is_read(body: bytes) -> None:
    """What is no error object says nothing, and breaks nothing."""
    assert error_of(body) == {}


ANSWERED = "Wed, 24 Jun 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("90", 90),
        (" 90 ", 90),
        ("1.5", 2),
        ("0", 0),
        ("Wed, 24 Jun 2026 12:01:30 GMT", 90),
        ("Wednesday, 24-Jun-26 12:01:30 GMT", 90),
        ("Wed, 24 Jun 2026 12:01:30 -0000", 90),
        ("Wed, 24 Jun 2026 11:00:00 GMT", 0),
        ("Wed, 24 Jun 2036 11:00:00 GMT", 86_400),
        ("999999999", 86_400),
        ("9" * 400, None),
        ("-1", None),
        ("soon", None),
        ("Wed, 99 Jun 2026 12:01:30 GMT", None),
        ("\u0663", None),
        ("", None),
        (None, None),
    ],
)
def test_both_forms_of_retry_after(header: str | None, seconds: int | None) -> None:
    """Seconds, and a date measured from the answer's own; at most a day, nonsense is nothing."""
    assert ERRORS.retry_after_s({}, header=header, date=ANSWERED) == seconds


def test_an_error_that_is_only_a_text_is_repeated() -> None:
    """Gateways write `{"error": "..."}`; what no terminal shows is not repeated as it is."""
    fault = fault_of_run(
        ERRORS, HttpAnswer(status=400, body=b'{"error":"bad \\ud83d token\\u0000\\u001b[2J"}')
    )
    assert isinstance(fault, UpstreamRefused)
    assert fault.message.endswith("bad \ufffd token\ufffd\ufffd[2J")
