"""Scrapes a gateway continuously in a thread, as Prometheus would: no counter may fall between two scrapes."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.gateway import Gateway
from tests.support.http.connection import send_request

_PERIOD_S = 0.1
_MIN_SCRAPES = 10


@contextmanager
def scraping(gateway: Gateway) -> Iterator[list[str]]:
    """Yields the list of what has fallen from one scrape to the next, of negative values and of failed scrapes."""
    problems: list[str] = []
    stopped = threading.Event()
    scrapes = 0

    def run() -> None:
        nonlocal scrapes
        earlier: Mapping[str, float] = {}
        while not stopped.wait(_PERIOD_S):
            try:
                now = scrape(gateway)
            except (OSError, EOFError) as error:
                problems.append(f"a scrape failed: {error!r}")
                continue
            scrapes += 1
            problems.extend(f"{name} is {value}" for name, value in now.items() if value < 0)
            problems.extend(
                f"{name}: {value} -> {now.get(name)}" for name, value in earlier.items() if _fell(value, now.get(name))
            )
            earlier = {name: value for name, value in now.items() if _rises(name)}

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield problems
    finally:
        stopped.set()
        thread.join()
    assert scrapes >= _MIN_SCRAPES, f"{scrapes} scrapes are too few"


def scrape(gateway: Gateway) -> dict[str, float]:
    """Every sample by its text; prometheus-client's parser takes longer for an exposition than the gateway does."""
    response = send_request(gateway.metrics_port, "/metrics", method="GET")
    assert response.status == 200, response
    assert response.body, "an empty exposition"
    samples = (line.rpartition(" ") for line in response.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def rising(samples: Mapping[str, float]) -> frozenset[str]:
    """The names and labels of all counters, and of all parts of histograms and summaries."""
    return frozenset(name for name in samples if _rises(name))


def _rises(name: str) -> bool:
    """Whether it is a counter, or part of a histogram or a summary; no gauge of ours has such a name."""
    return name.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum"))


def _fell(before: float, now: float | None) -> bool:
    return now is None or now < before
