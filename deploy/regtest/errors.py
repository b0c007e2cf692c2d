"""What can go wrong with the nodes."""

from __future__ import annotations


class NodeFault(Exception):
    """A node did not do what it was asked; the text says which, and how its log ends."""


class NodesLeftOut(Exception):
    """This machine cannot build the nodes; the text is one line with the way to change that."""


class BuildFailed(Exception):
    """The Go client is there and could not build; the text ends with what it printed."""
