"""What is exposed in the history has the names and labels that the real parts expose."""

import re
from pathlib import Path

import pytest
from tests.support.truth import engine_traffic, targets, traffic
from tests.support.truth.samples import by_metric

GOLDEN = Path(__file__).parents[2] / "observability" / "golden"
# Of the target, or Prometheus' own.
_OF_TARGET = {"job", "instance", "vm"}
_OF_PROMETHEUS = ("up", "scrape_duration_seconds")
_LABEL = re.compile(r'(\w+)="')
DAYS = 0.1
TIMES = range(int(traffic.ASKED_AT - DAYS * traffic.DAY), traffic.ASKED_AT, 60)


@pytest.fixture(scope="module")
def recorded() -> dict[str, set[str]]:
    """The labels of each metric of the recorded scrapes."""
    found: dict[str, set[str]] = {}
    for file in GOLDEN.rglob("*.metrics"):
        for line in file.read_text("utf-8").splitlines():
            if not line.startswith("#"):
                name = re.split(r"[{ ]", line, maxsplit=1)[0]
                found.setdefault(name, set()).update(_LABEL.findall(line))
    return found


def test_metrics_and_their_labels_are_those_of_real_parts(recorded: dict[str, set[str]]) -> None:
    series = targets.scrapes(traffic.requests(DAYS), engine_traffic.at_engines(DAYS), TIMES)
    unknown = {name for name, _ in series} - recorded.keys() - set(_OF_PROMETHEUS)
    assert unknown == set()
    more = {name: set(_LABEL.findall(labels)) - _OF_TARGET - recorded.get(name, set()) for name, labels in series}
    assert {name: labels for name, labels in more.items() if labels} == {}


def test_both_vms_have_all_parts_but_llama_cpp() -> None:
    series = by_metric(targets.scrapes((), (), TIMES), TIMES)
    jobs = {vm: {each.labels["job"] for each in series["up"] if each.labels["vm"] == vm} for vm in traffic.VMS}
    assert jobs[traffic.LOCAL] - jobs[traffic.REMOTE] == {"llamacpp", "llamacpp-launcher"}
    assert {"vllm", "gpu-exporter", "node-exporter"} <= jobs[traffic.REMOTE]


def test_engines_count_what_clients_and_probes_get() -> None:
    at_engines = engine_traffic.at_engines(DAYS)
    series = by_metric(targets.scrapes((), at_engines, TIMES), TIMES)
    generated = sum(each.increase(TIMES.start, TIMES.stop) for each in series["vllm:generation_tokens_total"])
    wanted = [each for each in at_engines if each.engine and each.engine.kind == "vllm"]
    assert generated == sum(each.tokens[1] if each.tokens else each.events for each in wanted) > 0
    assert {"probe", "direct"} <= {each.route for each in at_engines}
