"""The series that the recording rules make of those that are scraped, as promtool evaluates the rules."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml
from tests.support.promtool import SCRAPE_SECONDS
from tests.support.refresh.scraped import Labelled

from observability import downsampling, recording
from observability.queries import events, gpu

# More than a long step, evaluated a few times: each rule has something to read then.
_MINUTES, _EVALUATION = 20, "5m"
_TIMEOUT_S = 300
# Recorded only when something starts.
_OF_STARTS = {events.GATEWAY_STARTED, events.ENGINE_READY, events.DEPLOYED}
# The recorded scrape is of a GPU that does not report it.
_MEMORY_TEMPERATURE = gpu.recorded("MEMORY_TEMP")
_MISSING = _OF_STARTS | {_MEMORY_TEMPERATURE, downsampling.long_steps(_MEMORY_TEMPERATURE)}
# As promtool prints a sample: {__name__="a", b="c"} 1E+00
_FOUND = re.compile(r'([\w:]*)\{((?:\w+="[^"]*"(?:, )?)*)\} [-+\dNI]')


def recorded(directory: Path, exported: Sequence[Labelled]) -> list[Labelled]:
    """Every series that is recorded of these.

    Args:
        directory: for promtool's files.
        exported: what is scraped; each of them counts up.

    Raises:
        AssertionError: a rule records nothing.
    """
    (directory / "rules.yml").write_text(yaml.safe_dump(recording.rules()), encoding="utf-8")
    samples = _MINUTES * 60 // SCRAPE_SECONDS
    test = {
        "interval": f"{SCRAPE_SECONDS}s",
        "input_series": [
            {"series": str(series), "values": f"1+{0 if series.name.endswith('_state') else 3}x{samples}"}
            for series in exported
        ],
        # Nothing is expected: promtool says what there is instead.
        "promql_expr_test": [
            {"expr": name, "eval_time": f"{_MINUTES}m", "exp_samples": []} for name in recording.series()
        ],
    }
    file = directory / "recorded.test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": _EVALUATION, "tests": [test]}),
        encoding="utf-8",
    )
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    found = [_labelled(name, labels) for name, labels in _FOUND.findall(done.stdout + done.stderr)]
    missing = recording.series().keys() - {series.name for series in found} - _MISSING
    assert not missing, f"nothing is recorded of {sorted(missing)}: {(done.stdout + done.stderr)[-2000:]}"
    return found


def _labelled(name: str, labels: str) -> Labelled:
    pairs = dict(pair.split("=", 1) for pair in labels.split(", ") if pair)
    name = pairs.pop("__name__", f'"{name}"').strip('"')
    return Labelled(name, ",".join(f"{label}={value}" for label, value in pairs.items()))
