"""An engine's answer, as whoever relays it sees it."""

from typing import Protocol


class Response(Protocol):
    """An engine's answer whose head has arrived. Always `close` it."""

    status: int
    headers: dict[bytes, bytes]

    async def chunk(self) -> bytes:
        """The next bytes of the body as they arrive; b"" at its end.

        Raises:
            EngineReset: The connection broke before the body's end.
            EngineBadResponse: The engine does not speak HTTP.
        """

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            EngineReset, EngineBadResponse: As `chunk`; EngineBadResponse also if it is longer than `limit` bytes.
        """

    async def beginning(self, limit: int) -> bytes:
        """The body's first `limit` bytes, or all of it: enough for an error's text.

        Raises:
            EngineReset, EngineBadResponse: As `chunk`.
        """

    def close(self, *, linger: bool = False, reuse: bool = True) -> None:
        """Returns the connection to the pool if the answer is complete; else aborts it, which frees the engine at once.

        Args:
            linger: All that matters has arrived ([DONE]); the few bytes that end the body may follow later.
            reuse: False for an engine that is known to close the connection now.
        """
