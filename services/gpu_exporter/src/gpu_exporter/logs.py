"""Log lines for the operator."""

from collections.abc import Callable


def log(line: str) -> None:
    """Print a line to standard output, which is the log of a container."""
    print(f"gpu-exporter: {line}", flush=True)  # noqa: T201 -- the log of a container is its output


class DedupLogger:
    """Passes each line on only once: what a card does not support is not worth a line at every scrape."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._seen: set[str] = set()

    def __call__(self, line: str) -> None:
        """Pass the line on unless it was logged before."""
        if line not in self._seen:
            self._seen.add(line)
            self._log(line)
