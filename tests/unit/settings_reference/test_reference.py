"""The reference against the programs, the compose files and `.env.example`."""

import re
from pathlib import Path

import pytest

from gateway.settings import Settings as GatewaySettings
from glasshouse import env_file
from glasshouse.settings import load
from settings_reference.reference import reference
from settings_reference.setting import Reference
from vllm_launcher.environment import LAUNCHER_VARIABLES

REPOSITORY = Path(__file__).resolve().parents[3]
COMPOSE = "".join((REPOSITORY / file).read_text(encoding="utf-8") for file in ("compose.yaml", "compose.cpu.yaml"))
OF_COMPOSE_ITSELF = {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
# Without Docker there is another default, or none.
OTHER_IN_DOCKER = {"ENGINES", "HTTPS_PORT", "PUBLIC_ADDRESS", "TLS_DOMAIN", "VLLM_MODEL_FILE", "GPU_EXPORTER_HOSTNAME"}


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference()


@pytest.fixture(scope="module")
def defaults(known: Reference) -> dict[str, str]:
    return {setting.name: setting.default for setting in known.settings}


def test_each_setting_is_there_once_and_is_described(known: Reference) -> None:
    names = [setting.name for setting in known.settings]
    assert len(names) == len(set(names))
    for setting in known.settings:
        assert re.fullmatch(r"[`A-Z0-9].*[.]", setting.description), setting.name
        assert setting.allowed, setting.name
        assert setting.readers, setting.name


def test_it_has_what_the_programs_and_compose_read(defaults: dict[str, str]) -> None:
    passed_on = re.findall(r"^ +([A-Z_]+):(?: #.*)?$", COMPOSE, re.MULTILINE)
    read_by_compose = {*re.findall(r"\$\{([A-Z_]+)", COMPOSE), *passed_on}
    gateway = {name.upper() for name in GatewaySettings.model_fields}
    assert read_by_compose | OF_COMPOSE_ITSELF | gateway | LAUNCHER_VARIABLES <= set(defaults)


def test_composes_defaults_are_those_of_the_reference(defaults: dict[str, str]) -> None:
    for name, default in re.findall(r"\$\{([A-Z_]+):-([^$}]*)\}", COMPOSE):
        assert name in OTHER_IN_DOCKER or defaults[name] == default, name


def test_every_setting_uncommented_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    example = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(re.sub(r"^#(?=[A-Z_]+=)", "", example, flags=re.MULTILINE), encoding="utf-8")
    settings = load(tmp_path, {})
    assert (settings.gateway_port, settings.shutdown_grace, settings.stop_grace) == (8000, 30, 35)
    written = env_file.read(tmp_path / ".env", {})
    assert len(written) > 60
    changed = {name for name, value in written.items() if settings.environment[name] != value}
    assert all(settings.environment[name] == str(tmp_path / written[name]) for name in changed)  # paths, absolute


def test_who_reads_a_setting_is_merged_from_all_programs(known: Reference) -> None:
    readers = {setting.name: setting.readers for setting in known.settings}
    assert readers["SHUTDOWN_GRACE"] == ("api", "glasshouse", "nginx", "compose")
    assert readers["LLAMACPP_MODEL"] == ("llamacpp", "glasshouse")
    assert "VLLM_STATUS_PORT" in known.read_by("vllm")
