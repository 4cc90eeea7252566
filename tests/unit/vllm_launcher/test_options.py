import pytest

from launcher.errors import ConfigurationError
from vllm_launcher import options

HELP = """usage: api_server.py [-h] [--headless] [--lora-modules LORA_MODULES [LORA_MODULES ...]]
                     [--enable-lora | --no-enable-lora] [--kv [{a,b}]]
                     [--max-model-len MAX_MODEL_LEN]
                     [model_tag]

vLLM OpenAI-Compatible server [--not-this NOT]
"""


def test_the_usage_names_every_option_and_its_kind() -> None:
    assert options.parse_help(HELP) == [
        ("enable-lora", "boolean"),
        ("headless", "switch"),
        ("kv", "value"),
        ("lora-modules", "list"),
        ("max-model-len", "value"),
    ]


def test_the_list_that_ships() -> None:
    known_options = options.known_options()

    assert known_options["max-model-len"] == "value"
    assert known_options["enable-lora"] == "boolean"
    assert known_options["lora-modules"] == "list"
    assert known_options["headless"] == "switch"
    assert known_options["shutdown-timeout"] == "value"


def test_underscores_are_dashes_but_not_inside_a_json_option() -> None:
    assert options.canonical("max_model_len") == "max-model-len"
    assert options.canonical("compilation_config.pass_config") == "compilation-config.pass_config"


@pytest.mark.parametrize(
    "name",
    [
        "swap-space",
        "task",
        "disable-log-requests",
        "guided-decoding-backend",
        "rope-scaling",
        "num-scheduler-steps",
    ],
)
def test_a_removed_option_says_what_to_do_instead(name: str) -> None:
    assert options.is_known(name)
    with pytest.raises(ConfigurationError, match=rf"^x\.yaml: vLLM no longer accepts {name}: .+\.$"):
        options.option_kind(name, "x.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("api-key", "ENGINE_KEY_FILE"),
        ("hf-token", "HF_TOKEN_PATH"),
        ("enable-log-requests", "prompts must not reach a log"),
        ("max-model-length", "did you mean max-model-len"),
        ("zzz", "lists them"),
    ],
)
def test_options_that_are_not_accepted(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        options.option_kind(name, "x.yaml")


def test_a_key_of_a_json_option_has_the_options_kind() -> None:
    assert options.option_kind("compilation-config.mode", "x.yaml") == "value"
