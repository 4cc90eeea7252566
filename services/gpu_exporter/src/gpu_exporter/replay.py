"""Plays a recording of /metrics back, for demos on machines without a GPU; every series is labelled as such."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gpu_exporter import report_metrics
from launcher.errors import ConfigurationError

_REPLAY_LABEL = 'replay="true"'
_LABELS = r'[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*"'
_SERIES = re.compile(
    rf"(?P<name>[a-zA-Z_:][\w:]*)(?:\{{(?P<labels>{_LABELS}(?:,{_LABELS})*),?\}}|\{{\}})? +(?P<value>\S+)", re.ASCII
)
_METADATA = re.compile(r"# (?:HELP|TYPE) (?P<name>\S+)")


class Replay:
    """A recording in Prometheus' text format: unchanged values, each series labelled, and `gpu_exporter_replay 1`."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what was saved from /metrics, of this exporter or of dcgm-exporter.

        Raises:
            ConfigurationError: the file cannot be read, or holds something else.
        """
        try:
            lines = list(_labelled_lines(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                f"GPU_EXPORTER_REPLAY={file} cannot be played back ({reason}); it must be a file with what a GPU "
                "exporter once answered at /metrics."
            ) from error
        metric = report_metrics.REPLAY
        own = [
            f"# HELP {metric.name} {metric.help}",
            f"# TYPE {metric.name} {metric.kind}",
            f"{metric.name}{{{_REPLAY_LABEL}}} 1",
        ]
        return cls("".join(f"{line}\n" for line in (*own, *lines)))


def _labelled_lines(text: str) -> Iterator[str]:
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        metadata, series = _METADATA.match(line), _SERIES.fullmatch(line)
        found = metadata or series
        if found is not None and found["name"] == report_metrics.REPLAY.name:
            continue
        if series is None:
            if line.strip() and not line.startswith("#"):
                raise ValueError(f"line {number} is no metric")
            yield line
            continue
        float(series["value"].replace("Inf", "inf"))  # the message of its ValueError names the value
        recorded = series["labels"] or ""
        own = "" if _REPLAY_LABEL in recorded else _REPLAY_LABEL  # a replay may have been recorded
        labels = ",".join(part for part in (recorded, own) if part)
        labelled = f"{series['name']}{{{labels}}}"
        if labelled in seen:
            raise ValueError(f"line {number} repeats a series")
        seen.add(labelled)
        yield f"{labelled} {series['value']}"
    if not any(series.startswith("DCGM_FI_") for series in seen):
        raise ValueError("it holds no DCGM_FI_ series")
