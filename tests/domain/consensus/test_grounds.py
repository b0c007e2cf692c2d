"""Whether the places that findings name stand in what was submitted."""

from __future__ import annotations

import pytest

from cobot_meter.domain.consensus.findings import PanelFinding
from cobot_meter.domain.consensus.grounds import Submitted

DIFF = """Please review this.
diff --git a/app/tokens.py b/app/tokens.py
--- a/app/tokens.py
+++ b/app/tokens.py
@@ -10,3 +40,4 @@ def check(token):
     given = read()
-    if token == given:
+    if token  ==  given.strip():
+        return True
--- a/app/gone.py
+++ /dev/null
@@ -1,2 +0,0 @@
-import os
-import sys
"""


def finding(
    *, file: str = "", lines: tuple[int | None, int | None] = (None, None), quote: str = ""
) -> PanelFinding:
    """One that names this place."""
    return PanelFinding(
        model="a/b",
        number=1,
        claim="It is wrong.",
        file=file,
        line_start=lines[0],
        line_end=lines[1],
        evidence_quote=quote,
    )


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (finding(), ()),
        (finding(file="app/tokens.py", lines=(41, 42), quote="if token == given.strip():"), ()),
        (finding(file="b/app/tokens.py", lines=(10, 12)), ()),
        (finding(file="tokens.py", lines=(12, None)), ()),
        (finding(file="app/gone.py", lines=(2, 2)), ()),
        (finding(file="app/tokens.py", lines=(90, 99)), ("lines",)),
        (finding(file="app/gone.py", lines=(41, 42)), ("lines",)),
        (finding(lines=(90, 99)), ("lines",)),
        (finding(file="app/keys.py", lines=(1, 1)), ("file",)),
        (finding(quote="given = read() if token == given:"), ()),
        (finding(quote="given = read() ... return True"), ()),
        (finding(quote="return True … given = read()"), ("quote",)),
        (finding(quote="-    if token == given:"), ()),
        (finding(quote="os.system(token)"), ("quote",)),
        (finding(file="x.py", lines=(90, 90), quote="no"), ("file", "quote")),
    ],
)
def test_a_place_is_looked_up(found: PanelFinding, missing: tuple[str, ...]) -> None:
    """Files by their names, lines by the diff's hunks, quotes whatever their white space."""
    assert Submitted(DIFF).not_found(found) == missing


@pytest.mark.parametrize(
    ("lines", "missing"), [((1, 3), ()), ((3, 9), ()), ((4, 9), ("lines",)), ((9, 2), ())]
)
def test_without_a_diff_a_text_has_as_many_lines_as_it_has(
    lines: tuple[int, int], missing: tuple[str, ...]
) -> None:
    """A line beyond the end of everything that was submitted is an invention."""
    assert Submitted("def f():\n    return 1\n").not_found(finding(lines=lines)) == missing
