"""The series of a stack with every part: those that it exports, from recorded scrapes whose names are filled in."""

import re
from dataclasses import dataclass

from tests.support.generated_files import TARGET_METRICS, expressions, goldens, job_of

from observability import settings
from observability.promql import metric_names

# A stack has more of these: `stack_series` repeats their series.
KEY, MODEL = "key-0", "model-0"
_ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/models")
_NAMES = {
    "model": (MODEL,), "key": (KEY,), "model_name": (MODEL,), "route": _ROUTES, "gpu": ("0",), "cpu": ("0", "1"),
    "device": ("sda",), "mountpoint": ("/",), "fstype": ("ext4",),
}  # fmt: skip
_ENGINES = {"vllm": "vllm", "llama_cpp": "llamacpp"}
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Labelled:
    """A series: its name, and its labels as in the text format, without braces."""

    name: str
    labels: str

    def __str__(self) -> str:
        return f"{self.name}{{{self.labels}}}"


def exported() -> list[Labelled]:
    """What is scraped, without what no panel, alert or rule reads."""
    read = {name for expression in expressions().values() for name in metric_names(expression)}
    found = []
    for scrape, text in goldens().items():
        job = job_of(scrape)
        target = f'job="{job}",instance="{job}:1",vm="{settings.VM}"'
        lines = (line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#"))
        for line in lines:
            name, _, labels = line.removesuffix("}").partition("{")
            if name in read:
                found += [Labelled(name, f"{target},{each}".rstrip(",")) for each in _filled(labels, job)]
        found += [Labelled(name, target) for name in TARGET_METRICS if name in read]
    return found


def _filled(labels: str, job: str) -> list[str]:
    """Labels once for each value of those whose values the recording leaves out."""
    for label, value in _LABEL.findall(labels):
        if value:
            continue
        values = _NAMES.get(label, (f"{label}-0",))
        if label == "engine":
            kind = dict(_LABEL.findall(labels)).get("kind")
            values = ("0",) if job == "vllm" else (_ENGINES[kind],) if kind else tuple(_ENGINES.values())
        each = (re.sub(rf'\b{label}=""', f'{label}="{name}"', labels) for name in values)
        return [filled for one in each for filled in _filled(one, job)]
    return [labels]
