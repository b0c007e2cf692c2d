"""The bytes of a body, which whoever needs them last takes. Must not know: what they say."""

from __future__ import annotations


class Body:
    """Bytes until they are taken: nobody who waits for an answer must keep them in memory.

    Whoever passes a request on passes this on, and not the bytes. So taking it once empties it for
    all who have waited, and no value needs a field that is set later.
    """

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        """`content` is the whole body."""
        self._content = content

    @property
    def content(self) -> bytes:
        """The bytes, which stay here; nothing once they are taken."""
        return self._content

    def take(self) -> bytes:
        """The bytes, once; nothing afterwards."""
        content, self._content = self._content, b""
        return content
