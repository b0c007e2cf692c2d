"""The operator's page on benchmarks: well-formed without a script, and escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.domain.benchmarks.record import MS_PER_DAY, BenchRecord, ReplyVerdict, RunKind
from cobot_meter.flows.benchmarks.show_benchmarks import FRESH_MS, ShowBenchmarks
from cobot_meter.http_api.http.exchange import Receive, Scope, Send
from cobot_meter.operator_api.pages import BENCHMARKS_PATH, operator_pages
from tests.domain.benchmarks.bench_records import NOW_MS, record
from tests.fakes.clock import FakeClock
from tests.http_api.asgi_caller import AsgiCaller, Reply

HOSTILE = '<script>alert("x")</script>&'
VOID = {"meta", "br", "img", "input", "link", "hr"}


async def nothing_else(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """What is behind the pages: it says nothing."""


class _Elements(HTMLParser):
    """Which elements there are, and whether each is closed where it has to be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [said or "" for name, said in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class _Opened:
    """The page on a folder's records, at a clock."""

    def __init__(self, folder: Path, records: Iterable[BenchRecord]) -> None:
        self.file = RecordFile(folder)
        for one in records:
            self.file.append(one)
        self.clock = FakeClock(now_ms=NOW_MS + 1_000)
        shown = ShowBenchmarks(records=self.file, clock=self.clock)
        self._caller = AsgiCaller(operator_pages(shown, rest=nothing_else))

    async def get(self, path: str = BENCHMARKS_PATH, *, method: str = "GET") -> Reply:
        return await self._caller.send(method, path)


def parsed(reply: Reply) -> _Elements:
    """The page's elements. Fails where one is not closed, or is closed in the wrong place."""
    elements = _Elements()
    elements.feed(reply.body.decode())
    elements.close()
    assert elements.open == []
    return elements


def months(model: str, *, cost: int, fell: bool = False, **more: object) -> list[BenchRecord]:
    """Forty days of sixty probes, nine of ten right; the last week far fewer where it `fell`."""
    return [
        record(
            n,
            right=n % 10 > 0 and (not fell or day > 6 or n % 3 > 0),
            model=model,
            at_ms=NOW_MS - day * MS_PER_DAY,
            cost_pusd=cost,
            kind=RunKind.PROBE,
            **more,
        )
        for day in range(40, -1, -1)
        for n in range(60)
    ]


async def test_the_page_shows_what_was_measured(tmp_path: Path) -> None:
    """Rows, intervals, the line of the best, sums of the watch, and what moved; no script."""
    records = [
        *months("a/cheap", cost=10**7),
        *months("b/fell", cost=10**9, fell=True),
        *[
            record(n, model="c/two", provider=name, verdict=verdict, error=error)
            for n, (name, verdict, error) in enumerate(
                [("P1", ReplyVerdict.RIGHT, ""), ("P2", ReplyVerdict.ERROR, "timeout")] * 2
            )
        ],
        record(0, model="d/public", kind=RunKind.PUBLIC),
    ]
    opened = _Opened(tmp_path, records)
    reply = await opened.get()
    page = reply.body.decode()
    elements = parsed(reply)
    assert reply.status == 200
    assert elements.addresses == ["/operator/benchmarks.json"]
    assert not {"script", "img", "link", "iframe"} & set(elements.seen)
    assert "default-src 'none'" in (reply.header("content-security-policy") or "")
    for said in ("90.0 %", "$0.01", "quality fell", "at P1", "50.0 %", "lie in the open", "points"):
        assert said in page, said
    assert 'class="front"' in page
    assert page.count('class="spark') == 2
    document = (await opened.get("/operator/benchmarks.json")).json()
    assert {one["model"] for one in document["movements"] if one["moved"]} == {"b/fell"}
    assert document["records"] == len(
        [one for one in records if one.at_ms > NOW_MS - 35 * MS_PER_DAY]
    )


async def test_names_of_others_are_texts(tmp_path: Path) -> None:
    """A provider may call itself what it likes: it adds no element."""
    bad = [
        record(n, model=HOSTILE, provider=f"{HOSTILE}{n % 2}", right=n > 3, kind=kind)
        for n in range(8)
        for kind in (RunKind.FULL, RunKind.PROBE)
    ]
    reply = await _Opened(tmp_path, bad).get()
    assert "script" not in parsed(reply).seen
    assert b"&lt;script&gt;" in reply.body


async def test_empty_books_have_one_sentence(tmp_path: Path) -> None:
    """Nothing was run: what to do is said, and nothing falls over."""
    opened = _Opened(tmp_path, [])
    reply = await opened.get()
    parsed(reply)
    assert b"Nothing has been measured yet" in reply.body
    assert b"<table" not in reply.body
    only_errors = _Opened(tmp_path / "x", [record(0, verdict=ReplyVerdict.ERROR, error="timeout")])
    failed = await only_errors.get()
    parsed(failed)
    assert b"no answer yet" in failed.body


async def test_only_its_own_paths_are_answered(tmp_path: Path) -> None:
    """An unknown page is 404, writing is 405, and everything else is the metrics' to answer."""
    opened = _Opened(tmp_path, [])
    assert (await opened.get("/operator/else")).status == 404
    refused = await opened.get(method="POST")
    assert (refused.status, refused.header("allow")) == (405, "GET")
    assert (await opened.get(method="HEAD")).body == b""
    assert (await opened.get("/metrics")).status == 0


async def test_it_is_reckoned_anew_when_there_is_something_new(tmp_path: Path) -> None:
    """Not for every look, and not later than FRESH_MS after a record came."""
    opened = _Opened(tmp_path, [record(0)])
    assert (await opened.get("/operator/benchmarks.json")).json()["records"] == 1
    opened.file.append(record(1))
    assert (await opened.get("/operator/benchmarks.json")).json()["records"] == 1
    opened.clock.advance(FRESH_MS / 1_000)
    assert (await opened.get("/operator/benchmarks.json")).json()["records"] == 2
