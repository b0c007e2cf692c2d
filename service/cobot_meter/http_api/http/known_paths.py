"""Which paths there are, which methods they take, and which was meant by one that is not there.

Clients are given a base URL by people, and people leave `/v1` out, write it twice or take
OpenRouter's `/api/v1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SEGMENTS_MAX = 16
_VERSION = "v1"
_ANY = "{"


class KnownPaths:
    """The public routes, by method and path template (`/v1/models/{author}/{slug}`)."""

    def __init__(self, routes: Iterable[tuple[str, str]]) -> None:
        """Each route is named once for each of its methods."""
        self._methods: dict[tuple[str, ...], list[str]] = {}
        for method, path in routes:
            self._methods.setdefault(_segments(path), []).append(method)

    def methods(self, path: str) -> tuple[str, ...]:
        """What this path takes, `OPTIONS` last; nothing for a path that is not there."""
        if "//" in path or path.endswith("/"):
            return ()
        found = _segments(path)
        methods: list[str] = []
        for template, named in self._methods.items():
            if _fits(template, found):
                methods += [method for method in named if method not in methods]
        if "GET" in methods:
            methods.append("HEAD")
        return (*methods, "OPTIONS") if methods else ()

    def meant(self, path: str) -> str | None:
        """The path there is that this one ends with, whatever stands before it and after it."""
        found = _segments(path)
        if len(found) > _SEGMENTS_MAX:
            return None
        for at in range(len(found)):
            rest = [word for word in found[at:] if word.lower() != _VERSION]
            for template in self._methods:
                named = tuple(word for word in template if word != _VERSION)
                if rest and _fits(named, [word.lower() for word in rest], literally=True):
                    return _filled(template, rest)
        return None


def _segments(path: str) -> tuple[str, ...]:
    return tuple(word for word in path.split("/") if word)


def _fits(template: Sequence[str], found: Sequence[str], *, literally: bool = False) -> bool:
    """Whether each word is the template's; `literally`: and one of them is not a free one."""
    if len(template) != len(found) or (literally and template[0].startswith(_ANY)):
        return False
    return all(
        word.startswith(_ANY) or word == other for word, other in zip(template, found, strict=True)
    )


def _filled(template: Sequence[str], rest: Sequence[str]) -> str:
    """The template with the words that stand where it leaves them open."""
    words = iter(rest)
    shown = [
        word if word == _VERSION else (other if word.startswith(_ANY) else word)
        for word, other in ((word, "" if word == _VERSION else next(words)) for word in template)
    ]
    return "/" + "/".join(shown)
