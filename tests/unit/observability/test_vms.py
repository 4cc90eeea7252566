"""Several VMs are told apart: each target has a label `vm`, and every panel filters by it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.support.generated_files import RULE_METRICS, filled_in, generated_yaml

from observability import dashboards, settings
from observability.panel import Query

_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\{([^}]*)\}")
# The value of each series on each VM. Both VMs use the same instance names, as two copies of one stack do.
SERIES = {
    'model:gateway_requests:increase1m{{vm="{vm}", model="m", outcome="ok"}}': {"a": 60, "b": 180},
    'gateway_inflight_requests{{job="gateway", instance="api:9091", vm="{vm}", model="m"}}': {"a": 2, "b": 5},
    'gateway_engine_state{{job="gateway", vm="{vm}", engine="vllm", state="ready"}}': {"a": 1, "b": 1},
    'gpu:memory_used:max1m{{vm="{vm}", gpu="0"}}': {"a": 100, "b": 200},
}


def queries() -> dict[tuple[str, str], Query]:
    return {
        (dashboard.title, panel.title): query
        for dashboard in dashboards.all_dashboards()
        for panel in dashboard.panels
        for query in panel.queries[:1]
    }


def test_every_target_has_the_vm_label() -> None:
    for path in ("prometheus/prometheus.gpu.yml", "prometheus/prometheus.cpu.yml", "prometheus/native.yml.template"):
        for job in generated_yaml(path)["scrape_configs"]:
            if "static_configs" in job:
                assert [group["labels"] for group in job["static_configs"]] == [{"vm": settings.VM}]
            else:
                vm = settings.DRILL_VM if job["job_name"] == "drill" else settings.VM
                assert job["relabel_configs"][-1] == {"target_label": "vm", "replacement": vm}


def test_every_panel_filters_by_vm() -> None:
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            for query in panel.queries:
                for metric, matchers in _SELECTOR.findall(query.expr):
                    # Service levels and the reconciliation cover all VMs: two gateways may share an engine.
                    if metric.startswith(("slo:", "reconciliation:")) or metric in RULE_METRICS:
                        continue
                    if 'state="starting"' in matchers and "launcher" in metric:
                        continue
                    where = f"{dashboard.title} / {panel.title}: {metric}"
                    assert 'vm=~"$vm"' in matchers, where
                    assert f'vm!="{settings.DRILL_VM}"' in matchers, where


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_two_vms_are_shown_apart_and_together(tmp_path: Path) -> None:
    """Evaluated by promtool, with the variable filled in as Grafana does."""
    expected = {
        ("Gateway", "Requests by outcome"): {"a": [1], "b": [3], "(a|b)": [4], ".*": [4]},
        ("Overview", "Requests in flight"): {"a": [2], "b": [5], "(a|b)": [7], ".*": [7]},
        # 101: one of one is ready; 202: two of two.
        ("Overview", "Engines ready"): {"a": [101], "b": [101], "(a|b)": [202], ".*": [202]},
        # Each VM has a GPU 0: together they are two series.
        ("GPU", "GPU memory"): {"a": [100], "b": [200], "(a|b)": [100, 200], ".*": [100, 200]},
    }
    cases = [
        {
            "expr": f"sort({filled_in(queries()[panel].expr.replace('$vm', chosen))}) + 0",
            "eval_time": "10m",
            "exp_samples": [{"labels": _labels(panel, chosen, n), "value": value} for n, value in enumerate(values)],
        }
        for panel, answers in expected.items()
        for chosen, values in answers.items()
    ]
    series = [
        {"series": name.format(vm=vm), "values": f"0+{value * 60}x20" if "_total" in name else f"{value}x20"}
        for name, values in SERIES.items()
        for vm, value in values.items()
    ]
    test = {"rule_files": [], "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]}
    file = tmp_path / "vms.test.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _labels(panel: tuple[str, str], chosen: str, number: int) -> str:
    match panel:
        case ("GPU", _):
            return f'{{gpu="0", vm="{chosen if len(chosen) == 1 and chosen.isalpha() else "ab"[number]}"}}'
        case (_, "Requests by outcome"):
            return '{outcome="ok"}'
        case _:
            return "{}"
