"""A recording of /metrics, played back: for demos on machines without a GPU, and it says so in every series."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gpu_exporter import exposition
from gpu_exporter.errors import ConfigurationError

_MARK = 'replay="true"'
_LABELS = r'[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*"'
_SERIES = re.compile(
    rf"(?P<name>[a-zA-Z_:][\w:]*)(?:\{{(?P<labels>{_LABELS}(?:,{_LABELS})*),?\}}|\{{\}})? +(?P<value>\S+)", re.ASCII
)
_ABOUT = re.compile(r"# (?:HELP|TYPE) (?P<name>\S+)")


class Replay:
    """The page of a recording: its values as they were, each series labelled, and `gpu_exporter_replay 1`."""

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what was saved from /metrics, of this exporter or of dcgm-exporter.

        Raises:
            ConfigurationError: the file cannot be read, or is no such page.
        """
        try:
            lines = list(_marked(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                f"GPU_EXPORTER_REPLAY={file} cannot be played back ({reason}); it must be a file with what a GPU "
                "exporter once answered at /metrics."
            ) from error
        metric = exposition.REPLAY
        own = [
            f"# HELP {metric.name} {metric.help}",
            f"# TYPE {metric.name} {metric.kind}",
            f"{metric.name}{{{_MARK}}} 1",
        ]
        return cls("".join(f"{line}\n" for line in (*own, *lines)))

    def text(self) -> str:
        """See `Page`."""
        return self._text

    def sick(self) -> str | None:
        """See `Page`: a recording is as well as it was."""
        return None


def _marked(text: str) -> Iterator[str]:
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        about, series = _ABOUT.match(line), _SERIES.fullmatch(line)
        found = about or series
        if found is not None and found["name"] == exposition.REPLAY.name:
            continue
        if series is None:
            if line.strip() and not line.startswith("#"):
                raise ValueError(f"line {number} is no metric")
            yield line
            continue
        float(series["value"].replace("Inf", "inf"))  # the sentence of its ValueError names the value
        labels = ",".join(part for part in (series["labels"], _MARK) if part)
        if _MARK in (series["labels"] or ""):  # the recording of a replay
            labels = series["labels"]
        marked = f"{series['name']}{{{labels}}}"
        if marked in seen:
            raise ValueError(f"line {number} repeats a series")
        seen.add(marked)
        yield f"{marked} {series['value']}"
    if not any(series.startswith("DCGM_FI_") for series in seen):
        raise ValueError("it holds no DCGM_FI_ series")
