"""Which findings of a panel are the same one, said by several members.

The two most alike are put together first. A cluster has one finding of a member at most, and every
two of its findings are alike to some degree, so that no chain of small steps joins strangers. Its
members stay as they are: nothing is merged, and whoever reads it sees what each has said.
"""

from __future__ import annotations

from collections.abc import Sequence

from cobot_meter.domain.consensus.alike import Likeness
from cobot_meter.domain.consensus.findings import PanelFinding

# Two findings that are so alike are put together, and no two in a cluster are less alike than that.
ALIKE = 150
LEAST_ALIKE = 100
# Comparing is quadratic: of a whole panel so many are compared, of each member an equal share.
COMPARED_MAX = 240

Cluster = tuple[PanelFinding, ...]


def clusters_of(members: Sequence[Sequence[PanelFinding]]) -> tuple[Cluster, ...]:
    """Every finding of every member, in exactly one cluster; in a cluster as the members come.

    What a member has said beyond its share stands alone: the worst are compared, as long as there
    is room.
    """
    compared = [one for member in members for one in _share(member, len(members))]
    rest = {id(one) for one in compared}
    alone = [(one,) for member in members for one in member if id(one) not in rest]
    return (*_put_together(compared), *alone)


def _share(findings: Sequence[PanelFinding], members: int) -> list[PanelFinding]:
    worst_first = sorted(findings, key=lambda one: one.severity)
    return worst_first[: COMPARED_MAX // members]


def _put_together(findings: Sequence[PanelFinding]) -> list[Cluster]:
    """Greedily, the most alike first; ties in the order in which the findings come."""
    alike = _alike(findings)
    clusters = [[at] for at in range(len(findings))]
    for pair in sorted(alike, key=lambda pair: (-alike[pair], pair)):
        if alike[pair] < ALIKE:
            break
        one, other = (clusters[at] for at in pair)
        if one is other or not _may_join(one, other, findings, alike):
            continue
        one.extend(other)
        for at in other:
            clusters[at] = one
    firsts = {min(cluster): cluster for cluster in clusters}
    return [tuple(findings[at] for at in sorted(firsts[first])) for first in sorted(firsts)]


def _alike(findings: Sequence[PanelFinding]) -> dict[tuple[int, int], int]:
    """How alike each two of different members are, where that is anything to speak of."""
    likeness = Likeness(findings)
    weighed = likeness.weighed
    return {
        (at, other): alike
        for at, one in enumerate(weighed)
        for other in range(at + 1, len(weighed))
        if one.finding.model != weighed[other].finding.model
        and (alike := likeness.of(one, weighed[other])) >= LEAST_ALIKE
    }


def _may_join(
    one: Sequence[int],
    other: Sequence[int],
    findings: Sequence[PanelFinding],
    alike: dict[tuple[int, int], int],
) -> bool:
    if {findings[at].model for at in one} & {findings[at].model for at in other}:
        return False
    return all((min(a, b), max(a, b)) in alike for a in one for b in other)
