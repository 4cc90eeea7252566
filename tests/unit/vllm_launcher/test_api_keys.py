import json
import stat
from pathlib import Path

from vllm_launcher.api_keys import ApiKeys


def test_without_a_key_vllm_gets_none() -> None:
    keys = ApiKeys()

    assert keys.arguments() == ()
    assert "VLLM_API_KEY" not in keys.environment({"VLLM_API_KEY": "a client's"})


def test_one_key_goes_into_the_environment() -> None:
    keys = ApiKeys(("sekret",))

    assert keys.arguments() == ()
    assert keys.environment({"PATH": "/bin"})["VLLM_API_KEY"] == "sekret"


def test_several_keys_go_into_a_private_file_until_it_is_removed() -> None:
    keys = ApiKeys(("sekret", "another"))
    option, name = keys.arguments()
    file = Path(name)

    assert option == "--config"
    assert json.loads(file.read_text()) == {"api-key": ["sekret", "another"]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "VLLM_API_KEY" not in keys.environment({})
    keys.remove_file()
    keys.remove_file()
    assert not file.exists()


def test_keys_are_removed_from_log_lines() -> None:
    assert (
        ApiKeys(("sekret", "another")).redact("{'api_key': ['sekret', 'another']}")
        == "{'api_key': ['(a key)', '(a key)']}"
    )
