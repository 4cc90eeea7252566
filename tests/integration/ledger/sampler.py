"""Scrapes a gateway all the time, in a thread, as Prometheus would: what it sees on the way must make sense too."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.gateway import Gateway
from tests.support.http.connection import send_request

_PERIOD_S = 0.1
_FEWEST = 10


@contextmanager
def watched(gateway: Gateway) -> Iterator[list[str]]:
    """Yields what has fallen from one scrape to the next, and what else is wrong with a scrape."""
    faults: list[str] = []
    stopped = threading.Event()
    scrapes = 0

    def scrape() -> None:
        nonlocal scrapes
        earlier: Mapping[str, float] = {}
        while not stopped.wait(_PERIOD_S):
            try:
                now = lines(gateway)
            except (OSError, EOFError) as error:
                faults.append(f"a scrape failed: {error!r}")
                continue
            scrapes += 1
            faults.extend(f"{name} is {value}" for name, value in now.items() if value < 0)
            faults.extend(
                f"{name}: {value} -> {now.get(name)}" for name, value in earlier.items() if _fell(value, now.get(name))
            )
            earlier = {name: value for name, value in now.items() if _rises(name)}

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield faults
    finally:
        stopped.set()
        thread.join()
    assert scrapes >= _FEWEST, f"{scrapes} scrapes are too few to tell"


def lines(gateway: Gateway) -> dict[str, float]:
    """Every sample by its text; prometheus-client's parser takes longer for a page than its making does."""
    response = send_request(gateway.metrics_port, "/metrics", method="GET")
    assert response.status == 200, response
    assert response.body, "an empty page"
    samples = (line.rpartition(" ") for line in response.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def _rises(name: str) -> bool:
    """Counters and all parts of histograms; none of our gauges is named so."""
    return name.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum"))


def _fell(before: float, now: float | None) -> bool:
    return now is None or now < before
