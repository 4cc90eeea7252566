import resource
import subprocess
import sys
from pathlib import Path

import pytest

from glasshouse.settings import Settings, load
from glasshouse.stack.native import start
from glasshouse.stack.shape import Shape


def _shape(*, nginx: bool = False, prometheus: bool = False) -> Shape:
    return Shape("native", Path("/usr/sbin/nginx") if nginx else None, Path("/p") if prometheus else None, ())


def test_the_ports_are_those_of_the_programs_that_the_shape_has(settings: Settings) -> None:
    always = {"GATEWAY_PORT", "METRICS_PORT", "LLAMACPP_PORT", "LLAMACPP_STATUS_PORT"}
    for shape in (None, _shape()):
        assert {port.variable for port in start.required_ports(settings, shape)} == always
    everything = start.required_ports(settings, _shape(nginx=True, prometheus=True))
    assert {port.variable for port in everything} == always | {"HTTPS_PORT", "PROMETHEUS_PORT"}


def test_the_port_of_the_privacy_canary_is_required_where_it_is_enabled(root: Path) -> None:
    settings = load(root, {"PRIVACY_CANARY": "true", "PRIVACY_CANARY_PORT": "9197"})
    (port,) = [port for port in start.required_ports(settings, None) if port.variable == "PRIVACY_CANARY_PORT"]
    assert port.number == 9197


def test_programs_get_the_settings_and_what_supervisord_reads(root: Path) -> None:
    settings = load(root, {"RUN_DIR": "100%", "OWN": "1"})
    given = start._environment(settings, _shape(nginx=True), "https://127.0.0.1:8443")
    assert given["OWN"] == "1"
    assert given["LOGS_TWICE"] == f"{root}/100%%/logs"  # a percent sign is supervisord's syntax
    assert (given["NGINX_PROGRAM"], given["NGINX_AUTOSTART"]) == ("/usr/sbin/nginx", "true")
    assert given["PROMETHEUS_AUTOSTART"] == given["PRIVACY_CANARY_AUTOSTART"] == "false"


def test_the_limit_of_open_files_is_raised_as_far_as_it_may() -> None:
    code = (
        "import resource\nfrom glasshouse.stack.native import start\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))\nstart.raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] not in range(512):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "(512, 512)\n"


@pytest.mark.parametrize("fails", [True, False])
def test_the_watchdog_is_dismissed_however_the_start_ends(settings: Settings, fails: bool) -> None:
    def inside() -> None:
        with start.watchdog(settings):
            if fails:
                raise KeyboardInterrupt

    if fails:
        with pytest.raises(KeyboardInterrupt):
            inside()
    else:
        inside()
    assert not settings.run_dir.exists()  # `glasshouse down` has not run
