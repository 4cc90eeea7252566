"""How much memory request bodies take that are still on their way, all of them together.

nginx passes a body on as it comes (docs/decisions/0024), so that a slow one waits here.
"""

from types import TracebackType
from typing import Self

from gateway.errors import TooManyUploads

# A body up to this size always finds room: large ones that never end do not keep out a question.
SMALL = 65_536


class Uploads:
    """All bodies that are on their way.

    Args:
        most: Bytes that those larger than `SMALL` may have together.

    Attributes:
        held: Bytes that they have.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0


class Upload:
    """One body on its way. Use it with `with`, which ends when the body is whole or given up.

    Args:
        uploads: Those that it belongs to.
    """

    __slots__ = ("_counted", "_uploads")

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._counted = 0

    def grow(self, size: int) -> None:
        """It has so many bytes now.

        Raises:
            TooManyUploads: There is no room for them.
        """
        if size <= SMALL:
            return
        uploads = self._uploads
        if uploads.held - self._counted + size > uploads.most:
            raise TooManyUploads(
                f"Request bodies of {uploads.held} bytes are on their way, as many as the gateway holds at once. "
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
