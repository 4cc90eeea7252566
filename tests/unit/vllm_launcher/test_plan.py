import os
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.options import Options
from vllm_launcher.plan import local_files, make_plan
from vllm_launcher.settings import Settings

MODELS = Path(__file__).parents[3] / "services" / "vllm" / "models"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _only_these_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("VLLM_", "ENGINE_KEY")):
            monkeypatch.delenv(name)


def settings(file: Path | None = None, stop_grace: str = "") -> Settings:
    return Settings.from_options({"model-file": str(file or ""), "stop-grace": stop_grace})


def test_command_line_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model: owner/file\ndtype: half\nmax-model-len: 1\nport: 1\n")
    arguments: Options = {"max-model-len": ("3",)}
    plan = make_plan(settings(file), {"VLLM_MAX_MODEL_LEN": "2", "VLLM_PORT": "2"}, arguments)

    assert (plan.model, plan.served_name, plan.host, plan.port) == ("owner/file", "owner/file", "127.0.0.1", 2)
    assert plan.options["dtype"] == ("half",)
    assert plan.options["max-model-len"] == ("3",)


def test_a_model_by_its_variable_alone() -> None:
    plan = make_plan(settings(), {"VLLM_MODEL": "owner/name", "VLLM_SERVED_MODEL_NAME": "a b"}, {})

    assert (plan.model, plan.served_name, plan.port) == ("owner/name", "a", 8001)


def test_the_grace_is_vllms_shutdown_timeout_in_whole_seconds() -> None:
    plan = make_plan(settings(stop_grace="1.5"), {"VLLM_MODEL": "owner/name"}, {})

    assert plan.options["shutdown-timeout"] == ("2",)
    assert plan.drain_seconds == 2


def test_no_model_at_all() -> None:
    with pytest.raises(ConfigurationError, match=r"^VLLM_MODEL_FILE is not set and no model is named"):
        make_plan(settings(), {}, {})


def test_a_missing_directory_is_not_looked_up_in_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match=r"^model=models/demo is not a directory seen from "):
        make_plan(settings(MODELS / "demo.yaml"), {}, {})


@pytest.mark.parametrize("revision", ["", "main", "0123456"])
def test_remote_code_must_be_pinned(revision: str) -> None:
    with pytest.raises(ConfigurationError, match="does not pin it"):
        make_plan(settings(MODELS / "exaone-3.5-2.4b-lora.yaml"), {"VLLM_REVISION": revision}, {})


def test_a_model_with_remote_code_starts_once_it_is_pinned() -> None:
    plan = make_plan(settings(MODELS / "exaone-3.5-2.4b-lora.yaml"), {"VLLM_REVISION": COMMIT}, {})

    assert plan.served_name == "LGAI-EXAONE/EXAONE-3.5-2.4B-Instruct"
    assert plan.options["lora-modules"] == (
        (
            '{"name": "easycontract", "path": "temdy/exaone-3.5-2.4b-easycontract-qlora-v1.1", '
            '"base_model_name": "LGAI-EXAONE/EXAONE-3.5-2.4B-Instruct"}'
        ),
        (
            '{"name": "checklist", "path": "imyj1013/exaone-qlora-checklist-adapter", '
            '"base_model_name": "LGAI-EXAONE/EXAONE-3.5-2.4B-Instruct"}'
        ),
    )


def test_code_beside_local_weights_needs_no_pin(tmp_path: Path) -> None:
    plan = make_plan(settings(), {"VLLM_MODEL": str(tmp_path), "VLLM_TRUST_REMOTE_CODE": "1"}, {})

    assert plan.options["trust-remote-code"] is True


def test_every_model_file_that_ships_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = sorted(MODELS.glob("*.yaml"))
    for directory in ("models/demo", "models/gemma-3-12b-it-gptq"):
        (tmp_path / directory).mkdir(parents=True)
    names = [make_plan(settings(file), {"VLLM_REVISION": COMMIT}, {}).served_name for file in files]

    assert names == [
        "glasshouse-demo-embed",
        "glasshouse-demo",
        "LGAI-EXAONE/EXAONE-3.5-2.4B-Instruct",
        "gemma-3-12b-it-gptq",
        "qwen3-4b-instruct",
    ]


def test_a_change_of_local_weights_can_be_seen(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json", "notes.txt"):
        (tmp_path / name).touch()
    plan = make_plan(settings(), {"VLLM_MODEL": str(tmp_path)}, {})

    assert local_files(plan) == (tmp_path / "config.json", tmp_path / "model.safetensors")


def test_a_wrong_port() -> None:
    with pytest.raises(ConfigurationError, match=r"^VLLM_PORT=http cannot be used"):
        make_plan(settings(), {"VLLM_MODEL": "owner/name", "VLLM_PORT": "http"}, {})


def test_a_shutdown_timeout_of_the_operators_own() -> None:
    chosen: Options = {"shutdown-timeout": ("90",)}
    assert make_plan(settings(), {"VLLM_MODEL": "owner/name"}, chosen).drain_seconds == 90
    with pytest.raises(ConfigurationError, match=r"^shutdown-timeout=soon cannot be used"):
        make_plan(settings(), {"VLLM_MODEL": "owner/name"}, {"shutdown-timeout": ("soon",)})
