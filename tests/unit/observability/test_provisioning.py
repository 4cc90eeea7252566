"""compose.yaml sets the environment variables of Grafana's provisioning files."""

import re

import yaml
from tests.support.generated_files import ROOT

from observability import files, provisioning

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def test_every_variable_of_the_provisioned_files_is_set_in_compose() -> None:
    environment = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["grafana"]["environment"]
    expected = {
        variable
        for path, text in files.generated().items()
        if path.startswith(("grafana/provisioning/datasources/", "grafana/provisioning/dashboards/"))
        for variable in _VARIABLE.findall(text)
    }
    assert expected == {"PROMETHEUS_URL", "DASHBOARDS_PATH"}
    assert expected <= set(environment)
    assert environment["DASHBOARDS_PATH"] == provisioning.DASHBOARD_PATH
