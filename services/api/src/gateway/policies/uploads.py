"""Limits the memory of request bodies that are still arriving, all of them together.

nginx passes a body on as it arrives (docs/decisions/0024), so that a slow one waits here.
"""

from types import TracebackType
from typing import Self

from gateway.errors import TooManyUploads

# A body up to this size always finds room: large ones that never end do not keep out small requests. In bytes.
SMALL = 65_536


class Uploads:
    """All bodies that are arriving.

    Args:
        most: Bytes that bodies larger than `SMALL` may hold together.

    Attributes:
        held: Bytes that they hold now.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Upload:
    """One body that is arriving. Use it as a context manager, which ends when the body is complete or given up.

    Args:
        uploads: All bodies.
    """

    __slots__ = ("_counted", "_uploads")

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._counted = 0

    def grow(self, size: int) -> None:
        """The body now has `size` bytes.

        Raises:
            TooManyUploads: There is no room for them.
        """
        if size <= SMALL:
            return
        uploads = self._uploads
        if uploads.held - self._counted + size > uploads.limit:
            raise TooManyUploads(
                f"Request bodies of {uploads.held} bytes are arriving, as much as the gateway holds at once. "
                "Please try again.",
                retry_after=1,
            )
        uploads.held += size - self._counted
        self._counted = size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._uploads.held -= self._counted
