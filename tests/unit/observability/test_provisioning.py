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


def test_grafana_reads_the_dashboards_of_the_stacks_shape_or_all_where_engines_are_named() -> None:
    """`${ENGINES:+../all}` is empty while ENGINES is unset or empty."""
    for file, shape in (("compose.yaml", "gpu"), ("compose.cpu.yaml", "cpu")):
        document = yaml.load((ROOT / file).read_text("utf-8"), _ComposeLoader)  # noqa: S506 -- a safe loader
        environment = document["services"]["grafana"]["environment"]
        own, chosen = environment["DASHBOARDS_PATH"].split("${ENGINES:+")
        assert own == f"{provisioning.DASHBOARD_PATH}/{shape}/"
        assert chosen == "../all}"
        for name in (shape, "all"):
            assert (ROOT / "grafana" / "dashboards" / name / "glasshouse-overview.json").is_file()


class _ComposeLoader(yaml.SafeLoader):
    """Reads Compose's own tags, such as `!reset`, as nothing."""


_ComposeLoader.add_multi_constructor("!", lambda *_: None)
