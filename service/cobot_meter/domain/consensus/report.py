"""What a panel found, as whoever paid for it reads it: agreed, disputed, and said by one alone.

Nothing is voted away. Reviewers who agree are more often right, and what only one has seen is most
of what there is to see: measured on real reviews, keeping what two of three say loses half of the
true findings. So every finding is in the report once, and only its place says who agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain.consensus.clusters import Cluster, clusters_of
from cobot_meter.domain.consensus.findings import MemberAnswer, PanelFinding, Severity, Unread
from cobot_meter.domain.consensus.grounds import Submitted

# Fewer answers than this are an opinion and no consensus.
QUORUM = 2
# Each costs a search of the whole text; what is beyond, the least bad, is believed.
LOOKED_UP_MAX = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A finding, and what it names that was not found in what was submitted."""

    finding: PanelFinding
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One finding of the panel: what each of those said who have it, and who was silent.

    `severity` is the worst that one of them gave it.
    """

    stated: tuple[Stated, ...]
    silent: tuple[str, ...]
    severity: Severity

    @property
    def said_by(self) -> tuple[str, ...]:
        """The members who have it, in the panel's order."""
        return tuple(one.finding.model for one in self.stated)

    @property
    def severity_differs(self) -> bool:
        """Whether its members do not give it the same severity."""
        return len({one.finding.severity for one in self.stated}) > 1

    @property
    def unfounded(self) -> bool:
        """Whether none of those who said it named a place that was found."""
        return all(one.not_found for one in self.stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The report, each part with the worst on top.

    `agreed` is what all who answered have found, `disputed` what some of them have and others have
    not, `unique` what one alone has; `unread` is what was said and is no finding that can be read.
    """

    members: tuple[str, ...]
    agreed: tuple[Point, ...]
    disputed: tuple[Point, ...]
    unique: tuple[Point, ...]
    unread: tuple[Unread, ...]

    def points(self) -> Iterator[Point]:
        """All of them, as they are read."""
        yield from self.agreed
        yield from self.disputed
        yield from self.unique


def review(answers: Sequence[MemberAnswer], submitted: str) -> Review:
    """The report of what these members have answered, in the panel's order, about `submitted`."""
    members = tuple(one.model for one in answers)
    clusters = clusters_of([answer.findings for answer in answers])
    # Stable: what is equally bad stays in the order in which the panel said it.
    worst_first = sorted(clusters, key=lambda cluster: min(one.severity for one in cluster))
    points = _looked_up([_point(cluster, members) for cluster in worst_first], submitted)
    points.sort(key=lambda point: (point.severity, point.unfounded))
    by_voices: dict[str, list[Point]] = {"agreed": [], "disputed": [], "unique": []}
    for point in points:
        by_voices[_part(point)].append(point)
    return Review(
        members=members,
        agreed=tuple(by_voices["agreed"]),
        disputed=tuple(by_voices["disputed"]),
        unique=tuple(by_voices["unique"]),
        unread=tuple(unread for answer in answers for unread in answer.unread),
    )


def _point(cluster: Cluster, members: Sequence[str]) -> Point:
    said_by = {finding.model for finding in cluster}
    return Point(
        stated=tuple(Stated(finding=finding) for finding in cluster),
        silent=tuple(model for model in members if model not in said_by),
        severity=min(finding.severity for finding in cluster),
    )


def _looked_up(points: Sequence[Point], submitted: str) -> list[Point]:
    """The points with what they name looked up in the text, the first of them as far as it goes."""
    text, left = Submitted(submitted), LOOKED_UP_MAX
    looked_up: list[Point] = []
    for point in points:
        left -= len(point.stated)
        if left >= 0:
            stated = (replace(s, not_found=text.not_found(s.finding)) for s in point.stated)
            looked_up.append(replace(point, stated=tuple(stated)))
        else:
            looked_up.append(point)
    return looked_up


def _part(point: Point) -> str:
    if len(point.stated) < QUORUM:
        return "unique"
    return "disputed" if point.silent else "agreed"
