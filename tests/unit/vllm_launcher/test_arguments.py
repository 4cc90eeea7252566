import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.arguments import parse


def test_both_notations_and_every_kind() -> None:
    own, options = parse(
        [
            "owner/name",
            "--model-file",
            "a.yaml",
            "--status-port=8101",
            "--max_model_len",
            "4096",
            "--dtype=half",
            "--enable-lora",
            "--no-enable-prefix-caching",
            "--lora-modules",
            '{"name": "a"}',
            '{"name": "b"}',
            "--headless",
        ]
    )

    assert own == {"model-file": "a.yaml", "status-port": "8101"}
    assert options == {
        "model": ("owner/name",),
        "max-model-len": ("4096",),
        "dtype": ("half",),
        "enable-lora": True,
        "enable-prefix-caching": False,
        "lora-modules": ('{"name": "a"}', '{"name": "b"}'),
        "headless": True,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-tp", "2"], "-tp is no option"),
        (["--dtype"], "--dtype needs exactly one value, not 0"),
        (["--dtype", "a", "b"], "--dtype needs exactly one value, not 2"),
        (["--model-file"], "--model-file needs exactly one value, not 0"),
        (["--enable-lora", "true"], "--enable-lora takes no value, but true follows it"),
        (["--lora-modules"], "--lora-modules needs at least one value"),
        (["--api-key", "sekret"], "api-key is not accepted"),
        (["--no-dtype"], "vLLM has no option no-dtype"),
    ],
)
def test_invalid_arguments(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(arguments)
    assert str(caught.value).startswith("The command line: ")
    assert message in str(caught.value)
    assert "sekret" not in str(caught.value)
