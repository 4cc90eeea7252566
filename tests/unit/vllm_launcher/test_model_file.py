from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.model_file import read_model_file


def write(folder: Path, text: str) -> Path:
    file = folder / "a.yaml"
    file.write_text(text)
    return file


def test_vllms_own_names_with_lora_modules_as_mappings(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "model: owner/name\n"
        "max_model_len: 8192\n"
        "enable-prefix-caching: false\n"
        "revision:\n"
        "lora-modules:\n"
        "  - name: checklist\n"
        "    path: owner/adapter\n",
    )

    assert read_model_file(file) == {
        "model": ("owner/name",),
        "max-model-len": ("8192",),
        "enable-prefix-caching": False,
        "lora-modules": ('{"name": "checklist", "path": "owner/adapter"}',),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a YAML mapping"),
        ("- a\n", "must be a YAML mapping"),
        ("a: [\n", "is not YAML"),
        ("swap-space: 4\n", "vLLM no longer accepts swap-space"),
        ("max-model-length: 4\n", "did you mean max-model-len"),
        ("max-model-len: 4\nmax_model_len: 5\n", "max-model-len is written twice"),
        ("enable-lora: perhaps\n", "enable-lora=perhaps cannot be used; it must be true or false"),
        ("api-key: sekret\n", "ENGINE_KEY_FILE"),
    ],
)
def test_a_file_that_vllm_would_not_accept(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text)

    with pytest.raises(ConfigurationError) as caught:
        read_model_file(file)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sekret" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        read_model_file(tmp_path / "no.yaml")
