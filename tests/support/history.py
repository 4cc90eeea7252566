"""History for a Prometheus: a week of samples written as blocks, so that no test waits a week."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Long ones: promtool reads the file once for each block, and asks for all points of a rule in one, 11 000 at most.
_BLOCK = "54h"
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Series:
    """A series of samples.

    Attributes:
        name: of the metric.
        labels: as in the text format, without braces.
        value: by the time in seconds; None for no sample.
    """

    name: str
    labels: str
    value: Callable[[int], float | None]


def write(directory: Path, series: Iterable[Series], times: range) -> None:
    """Writes blocks of samples into Prometheus' data directory."""
    write_lines(directory, _lines(series, times))


def write_lines(directory: Path, lines: Iterable[str]) -> None:
    """Writes blocks of samples, given as lines of the text format, each with its time in seconds."""
    file = directory.with_suffix(".openmetrics")
    with file.open("w", encoding="ascii") as text:
        text.writelines(lines)
        text.write("# EOF\n")
    command = ("promtool", "tsdb", "create-blocks-from", f"--max-block-duration={_BLOCK}", "--quiet", "openmetrics")
    subprocess.run([*command, str(file), str(directory)], check=True, timeout=_TIMEOUT_S, capture_output=True)
    file.unlink()


def record(directory: Path, url: str, rules: dict[str, Any], times: range, block: str = _BLOCK) -> None:
    """Writes what rules would have recorded of the history that a running Prometheus has.

    Args:
        directory: of its data.
        url: of the running Prometheus, which sees the result after a restart.
        rules: a rule file; none of its rules may read what another one records.
        times: from when until when.
        block: shorter for rules that are evaluated more often.
    """
    file = directory.with_suffix(".rules.yml")
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    command = (
        "promtool", "tsdb", "create-blocks-from", f"--max-block-duration={block}", "rules",
        f"--start={times.start}", f"--end={times.stop}", f"--url={url}", f"--output-dir={directory}", str(file),
    )  # fmt: skip
    subprocess.run(command, check=True, timeout=_TIMEOUT_S, capture_output=True)


def _lines(series: Iterable[Series], times: range) -> Iterator[str]:
    for each in series:
        for time in times:
            if (value := each.value(time)) is not None:
                yield f"{each.name}{{{each.labels}}} {value!r} {time}\n"
