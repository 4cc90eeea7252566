"""A history of a stack with two models and many keys, written as blocks of a Prometheus."""

import functools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support import history
from tests.support.refresh.recorded import recorded
from tests.support.refresh.scraped import KEY, MODEL, Labelled, exported

from observability import recording, settings
from observability.queries import events

MODELS = (MODEL, "model-1")
# Any: what a query costs does not depend on it.
END = 1_790_000_000 // 86400 * 86400
DAY = 86400
# Long enough for the longest window of a query of now, and for what Prometheus looks back.
_RECENT_SECONDS = 1200
# Outcomes of a key that did not happen are not recorded, and few of them do.
_UNUSUAL = r'outcome="(client_error|rate_limited|queue_full|timeout|stream_error|internal_error)"'
# Values repeat after so many samples: cheap to write, and no constant, which would be cheap to read.
_PERIOD = 97


def write(directory: Path, scrape_seconds: int, keys: int, days: Mapping[str, int], block: str = "54h") -> int:
    """Writes a history; returns how many samples it has.

    Args:
        directory: of Prometheus' data.
        scrape_seconds: the shortest time between two samples. The stack's own is 5.
        keys: how many keys have series of their own.
        days: how many there are of a metric; of the others there is what a query of now needs.
        block: the longest block, each of which takes a while to write. A Prometheus that keeps samples for 15 days has
            blocks of up to 36 hours.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    scraped = exported()
    counted = _Counted(_lines([*scraped, *recorded(directory.parent, scraped)], scrape_seconds, keys, days))
    history.write_lines(directory, counted, block)
    return counted.samples


class _Counted:
    """Lines, whose number is known at the end."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self.samples = lines, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.samples += line.count("\n")
            yield line


def _lines(everything: Iterable[Labelled], scrape_seconds: int, keys: int, days: Mapping[str, int]) -> Iterator[str]:
    for series in everything:
        step = max(_steps().get(series.name, settings.SCRAPE_INTERVAL_SECONDS), scrape_seconds)
        if series.name.startswith("key:") and re.search(_UNUSUAL, series.labels):
            continue
        begin = END - days.get(series.name, 0) * DAY - _RECENT_SECONDS
        for each in _repeated(series, keys):
            yield _samples(each, range(begin, END + 1, step))
    for name in (events.ENGINE_READY, events.DEPLOYED):
        for day in range(days.get(name, 0)):
            started = END - day * DAY - DAY // 2
            times = range(started, started + 300, 60)
            yield "".join(f'{name}{{job="vllm-launcher",vm="{settings.VM}"}} {started} {time}\n' for time in times)


@functools.cache
def _steps() -> dict[str, int]:
    """How often each recorded series is recorded, in seconds."""
    return {name: group.interval_seconds for group in recording.all_groups() for name in group.series}


def _repeated(series: Labelled, keys: int) -> Iterator[Labelled]:
    """The series of each key and each model."""
    for number in range(keys if f'"{KEY}"' in series.labels else 1):
        of_key = series.labels.replace(f'"{KEY}"', f'"key-{number}"')
        # Each engine serves one model.
        by_model = f'model="{MODEL}"' in of_key.split(",") and "kind=" not in of_key
        for model in MODELS if by_model else (MODEL,):
            yield Labelled(series.name, of_key.replace(f'"{MODEL}"', f'"{model}"'))


def _samples(series: Labelled, times: range) -> str:
    noise = zlib.crc32(str(series).encode())
    # A bucket counts what the one before counts; more tokens than requests, or they would be probes'.
    bound = re.search(r'le="([^"]*)"', series.labels)
    base = 1000 if "tokens" in series.name else 20
    base += int(min(10 * float(bound[1]), 10_000)) if bound else 0
    rises = series.name.endswith(("_total", "_bucket", "_count", "_sum"))
    if rises:
        return "".join(f"{series} {base * index} {time}\n" for index, time in enumerate(times))
    values = [str(base + (noise + 7 * index) % 13) for index in range(_PERIOD)]
    return "".join(f"{series} {values[index % _PERIOD]} {time}\n" for index, time in enumerate(times))
