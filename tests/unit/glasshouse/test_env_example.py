"""`.env.example` and the settings of the programs say the same."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

import glasshouse.settings
from gateway.settings import Settings as GatewaySettings
from gpu_exporter.settings import Settings as GpuExporterSettings
from llamacpp_server.settings import Settings as LlamacppSettings
from vllm_launcher.environment import LAUNCHER_VARIABLES

REPOSITORY = Path(__file__).resolve().parents[3]
# These defaults come from elsewhere, as the file says beside them.
_ELSEWHERE = {"ENGINES", "ENGINE_KEY_FILE", "KEYS_FILE", "LLAMACPP_THREADS"}


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    lines = (REPOSITORY / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z_]+=", line))


def _defaults() -> Mapping[str, object]:
    gateway = {name.upper(): field.default for name, field in GatewaySettings.model_fields.items()}
    llamacpp = {f"LLAMACPP_{name.upper()}": field.default for name, field in LlamacppSettings.model_fields.items()}
    del llamacpp["LLAMACPP_ENGINE_KEY_FILE"]  # shared by all engines, without a prefix
    gpu_exporter = {
        f"GPU_EXPORTER_{name.upper()}": field.default for name, field in GpuExporterSettings.model_fields.items()
    }
    return {**gateway, **llamacpp, **gpu_exporter}


def _own() -> set[str]:
    source = Path(glasshouse.settings.__file__).read_text(encoding="utf-8")
    return set(re.findall(r'(?:values\.\w+|merged\.get|name, outer_name, margin =)\(?\s*"([A-Z_]+)"', source)) | {
        "STOP_GRACE"
    }


def _composed() -> set[str]:
    """What the compose files read."""
    text = "".join((REPOSITORY / file).read_text(encoding="utf-8") for file in ("compose.yaml", "compose.cpu.yaml"))
    of_compose_itself = {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
    return of_compose_itself.union(
        re.findall(r"\$\{([A-Z_]+)", text), re.findall(r"^ +([A-Z_]+):$", text, re.MULTILINE)
    )


def test_it_has_every_knob_and_no_other(example: dict[str, str]) -> None:
    known = {*_defaults(), *_own(), *_composed(), *LAUNCHER_VARIABLES, "VLLM_MODEL", "LLAMACPP_SETTINGS_FILE"}
    assert set(example) == known


def test_it_shows_the_defaults(example: dict[str, str]) -> None:
    for name, default in _defaults().items():
        if name not in _ELSEWHERE and default not in (None, PydanticUndefined):
            text = str(default).lower() if isinstance(default, bool) else str(default)
            shown = example[name]
            assert (
                float(shown) == float(text) if re.fullmatch(r"-?[0-9.]+", text) and "." not in shown else shown == text
            )


def test_uncommented_as_it_stands_it_is_accepted(example: dict[str, str], root: Path) -> None:
    (root / ".env").write_text("\n".join(f"{name}={value}" for name, value in example.items()))
    assert glasshouse.settings.load(root, {}).gateway_port == 8000


def test_it_shows_composes_defaults_too(example: dict[str, str]) -> None:
    text = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    elsewhere = {
        *_ELSEWHERE,
        "HTTPS_PORT",
        "PUBLIC_ADDRESS",
        "TLS_DOMAIN",
        "VLLM_MODEL_FILE",
        "GPU_EXPORTER_HOSTNAME",
    }  # another default natively, or none
    for name, default in re.findall(r"\$\{([A-Z_]+):-([^$}]*)\}", text):
        assert name in elsewhere or example[name] == default, name


def test_every_knob_has_a_reason_above_it() -> None:
    lines = (REPOSITORY / ".env.example").read_text(encoding="utf-8").splitlines()
    for above, line in itertools.pairwise(lines):
        if re.match(r"#[A-Z_]+=", line):
            assert above.startswith("# "), line
