import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from glasshouse.errors import SettingsError
from glasshouse.settings import find_root, load


def test_defaults_are_those_of_the_design(root: Path) -> None:
    settings = load(root, {})
    assert (settings.gateway_port, settings.https_port, settings.prometheus_port) == (8000, 8443, 9090)
    assert settings.environment["ENGINES"] == "llamacpp=http://127.0.0.1:8002+http://127.0.0.1:8102"
    assert settings.keys_file == root / "secrets" / "gateway" / "keys.yaml"
    assert settings.stop_grace == settings.shutdown_grace + 5


def test_environment_beats_file_and_file_beats_default(root: Path) -> None:
    (root / ".env").write_text("GATEWAY_PORT=8010\nHTTPS_PORT=8444\n")
    settings = load(root, {"GATEWAY_PORT": "8020"})
    assert (settings.gateway_port, settings.https_port) == (8020, 8444)
    assert settings.environment["GATEWAY_PORT"] == "8020"


def test_variables_that_are_no_settings_are_passed_on_and_change_nothing(root: Path) -> None:
    given = {"ROOT": "/elsewhere", "GIVEN": "{}", "VARIABLES": "x", "PATH": "a\udcffb"}
    settings = load(root, given)
    assert (settings.root, settings.given, settings.variables) == (root, given, given)
    assert given.items() <= settings.environment.items()


def test_settings_cannot_be_changed(root: Path) -> None:
    settings = load(root, {})
    with pytest.raises(ValidationError, match="frozen"):
        settings.gateway_port = 1


def test_an_error_shows_no_other_variable(root: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(root, {"GATEWAY_PORT": "x", "HF_TOKEN": "hf-secret"})
    assert str(caught.value) == "GATEWAY_PORT='x' is not allowed: use a whole number from 1 to 65535."


def test_an_empty_variable_counts_as_not_set(root: Path) -> None:
    (root / ".env").write_text("GATEWAY_PORT=8010\n")
    assert load(root, {"GATEWAY_PORT": ""}).gateway_port == 8010


def test_engines_follow_the_ports_unless_they_are_named(root: Path) -> None:
    moved = load(root, {"LLAMACPP_PORT": "9002", "LLAMACPP_STATUS_PORT": "9102"})
    assert moved.environment["ENGINES"] == "llamacpp=http://127.0.0.1:9002+http://127.0.0.1:9102"
    assert (
        load(root, {"ENGINES": "vllm=http://h:1", "LLAMACPP_PORT": "9002"}).environment["ENGINES"] == "vllm=http://h:1"
    )


def test_paths_are_handed_on_absolute(root: Path) -> None:
    settings = load(root, {"SECRETS_DIR": "elsewhere", "LLAMACPP_MODEL": "m.gguf"})
    assert settings.environment["KEYS_FILE"] == str(root / "elsewhere" / "gateway" / "keys.yaml")
    assert settings.environment["LLAMACPP_MODEL"] == str(root / "m.gguf")
    assert settings.environment["PRICES_FILE"] == str(root / "config" / "prices.yaml")


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("GATEWAY_PORT", "0", "from 1 to 65535"),
        ("HTTPS_PORT", "65536", "from 1 to 65535"),
        ("HTTPS_PORT", "٣٠٠٠", "from 1 to 65535"),
        ("HTTP_PORT", "8_0", "from 1 to 65535"),
        ("METRICS_PORT", " 80", "from 1 to 65535"),
        ("STOP_GRACE", "soon", "whole number"),
        ("STOP_GRACE", "99999", "from 2 to 3605"),
        ("START_TIMEOUT", "0", "from 1 to 7200"),
        ("SHAPE", "docker", "auto, gpu, cpu or native"),
        ("RUN_DIR", "~nobody-of-this-name/run", "a path"),
        ("NGINX", "a\udcffb", "printable characters"),
        ("PROMETHEUS_RETENTION", "15 days", "15d"),
        ("RUN_DIR", "a\nb", "printable characters"),
        ("SECRETS_DIR", "a\x1bb", "printable characters"),
        ("KEYS_FILE", "a\udcffb", "printable characters"),
        ("GATEWAY_HOST", "127.0.0.1; return 200", "a host name or an address"),
        ("METRICS_HOST", "h: {}", "a host name or an address"),
        ("PUBLIC_ADDRESS", "https://h", "a host name or an address"),
        ("TLS_DOMAIN", "a b", "a host name or an address"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_is_allowed(
    root: Path, variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(root, {variable: value})
    assert variable in str(caught.value)
    assert repr(value) in str(caught.value)
    assert allowed in str(caught.value)


def test_the_graces_follow_one_another(root: Path) -> None:
    assert load(root, {"STOP_GRACE": "8"}).shutdown_grace == 3
    assert load(root, {"SHUTDOWN_GRACE": "60"}).stop_grace == 65
    assert load(root, {"SHUTDOWN_GRACE": "60"}).environment["LLAMACPP_STOP_GRACE"] == "60"
    with pytest.raises(SettingsError, match=r"STOP_GRACE=5 .* longer than SHUTDOWN_GRACE=9"):
        load(root, {"STOP_GRACE": "5", "SHUTDOWN_GRACE": "9"})


def test_the_root_is_found_from_below_and_from_anywhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert find_root(root / "services") == root
    assert (find_root(tmp_path_factory.mktemp("far")) / "supervisord.conf").is_file()


def test_a_long_run_directory_gets_a_short_socket(root: Path) -> None:
    assert load(root, {"RUN_DIR": "/srv/run"}).socket == Path("/srv/run/supervisor.sock")
    assert len(os.fsencode(load(root, {"RUN_DIR": "/srv/" + "x" * 120}).socket)) < 100


def test_paths_are_shown_as_they_are_typed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(root, {})
    monkeypatch.chdir(root)
    assert settings.shown(settings.api_key_file) == "secrets/api-key"
    monkeypatch.chdir("/")
    assert settings.shown(Path("/etc/x")) == "etc/x"


@pytest.mark.parametrize(
    ("variables", "names", "host"),
    [
        ({}, (), ""),
        ({"PUBLIC_ADDRESS": "203.0.113.7"}, ("203.0.113.7",), "203.0.113.7"),
        ({"PUBLIC_ADDRESS": "[2001:db8::7]"}, ("2001:db8::7",), "[2001:db8::7]"),
        ({"PUBLIC_ADDRESS": "vm.example.org"}, ("vm.example.org",), "vm.example.org"),
        (
            {"PUBLIC_ADDRESS": "203.0.113.7", "TLS_DOMAIN": "llm.example.org"},
            ("llm.example.org", "203.0.113.7"), "llm.example.org",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_how_others_reach_this_machine(
    root: Path, variables: dict[str, str], names: tuple[str, ...], host: str
) -> None:
    settings = load(root, variables)
    assert (settings.certificate_names, settings.public_host) == (names, host)


@pytest.mark.parametrize(
    "value", ["2001:db8::7", "203.0.113.7:443", "[203.0.113.7", "[]", "h/x", "h\n", "ü.example.org"]
)
def test_an_address_that_fits_no_url_is_refused(root: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=r"PUBLIC_ADDRESS=.* is not allowed: .* one of IPv6 in brackets\."):
        load(root, {"PUBLIC_ADDRESS": value})


def test_a_checkout_in_a_directory_that_breaks_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"The directory '.*\\n.*' is not allowed"):
        load(tmp_path / "a\nb", {})
