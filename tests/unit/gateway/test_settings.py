"""The settings: read once, refused with one sentence that names variable, value and what is allowed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import EngineAddress, Settings, SettingsError, parse_engines

ENGINES = "vllm=http://127.0.0.1:8001"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ENGINES", ENGINES)


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_only_the_engines_are_needed() -> None:
    settings = Settings.load()
    assert settings.engines == (EngineAddress("vllm", "http://127.0.0.1:8001", None),)
    assert (settings.gateway_host, settings.gateway_port, settings.metrics_port) == ("127.0.0.1", 8000, 9091)
    assert settings.workers == 1


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_settings_are_frozen() -> None:
    settings = Settings.load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.gateway_port = 1


def test_other_variables_and_empty_ones_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING_ELSE", "x")
    monkeypatch.setenv("WORKERS", "")
    assert Settings.load().workers == 1


def test_overrides_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "3")
    assert (Settings.load().workers, Settings.load(workers=2).workers) == (3, 2)


@pytest.mark.parametrize("value", [None, ""])
def test_missing_engines(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("ENGINES")
    if value is not None:
        monkeypatch.setenv("ENGINES", value)
    text = refusal()
    assert text.startswith("ENGINES is not set")
    assert "name=url" in text


SECONDS = (
    *("connect_timeout", "ttft_timeout", "idle_timeout", "send_timeout", "total_timeout"),
    *("discovery_interval", "probe_interval", "probe_timeout"),
)
WRONG: list[tuple[str, str, str]] = [
    *[(name, value, "") for name in SECONDS for value in ("0", "-1", "soon", "86401", "nan", "inf")],
    *[(name, value, "") for name in ("gateway_port", "metrics_port") for value in ("0", "65536", "http", "80.5")],
    ("workers", "0", "1"),
    ("workers", "65", "64"),
    ("workers", "many", "integer"),
    ("log_level", "INFO", "debug|info|warning|error"),
    ("log_level", "loud", "debug|info|warning|error"),
    ("max_body_bytes", "1023", "1024"),
    ("max_body_bytes", "10MB", "integer"),
    ("shutdown_grace", "0", "1"),
    ("shutdown_grace", "3601", "3600"),
    ("shutdown_grace", "1.5", "integer"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str) -> None:
    monkeypatch.setenv(name.upper(), value)
    text = refusal()
    assert text.startswith(f"{name.upper()}={value!r} in the environment is not allowed: ")
    assert allowed in text


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        (" , ", "at least one engine is needed"),
        ("vllm", "'vllm' is not name=url"),
        ("=http://a:1", "is not name=url"),
        ("v llm=http://a:1", "is not name=url"),
        ("a;b=http://a:1", "is not name=url"),
        ("a=", "the engine 'a' has no url"),
        ("a=+http://b:1", "the engine 'a' has no url"),
        ("a=b:1", "'b:1' is not http://host:port"),
        ("a=ftp://b:1", "is not http://host:port"),
        ("a=http://", "is not http://host:port"),
        ("a=http://b:1/v1", "is not http://host:port"),
        ("a=http://b:1?x=1", "is not http://host:port"),
        ("a=http://b:1#x", "is not http://host:port"),
        ("a=http://user:pass@b:1", "is not http://host:port"),
        ("a=http://b:port", "ort"),
        ("a=http://b:99999", "ort"),
        ("a=http://b:1+c:2", "'c:2' is not http://host:port"),
        ("a=http://b:1,a=http://c:2", "the engine name 'a' comes twice"),
    ],
)
def test_wrong_engines_are_named(monkeypatch: pytest.MonkeyPatch, value: str, reported: str) -> None:
    monkeypatch.setenv("ENGINES", value)
    text = refusal()
    assert text.startswith("ENGINES=")
    assert reported in text


@pytest.mark.parametrize(
    ("text", "engines"),
    [
        ("a=http://h:1", [("a", "http://h:1", None)]),
        ("a=http://h:1/", [("a", "http://h:1", None)]),
        (" a=http://h:1 , b-2_x=https://i , ", [("a", "http://h:1", None), ("b-2_x", "https://i", None)]),
        ("a=http://h:1+http://h:2/", [("a", "http://h:1", "http://h:2")]),
        ("a=http://[::1]:1+", [("a", "http://[::1]:1", None)]),
    ],
)
def test_engines(text: str, engines: list[tuple[Any, ...]]) -> None:
    assert list(parse_engines(text)) == engines


def test_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().engine_prices == ()
    monkeypatch.setenv("ENGINES", "vllm=http://a:1,llamacpp=http://b:1")
    monkeypatch.setenv("ENGINE_PRICES", " llamacpp = 0.25 , vllm=l4,")
    assert Settings.load().engine_prices == (("llamacpp", "0.25"), ("vllm", "l4"))


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ("l4", "'l4' is not engine=price, such as vllm=l4"),
        ("vllm=", "'vllm=' is not engine=price"),
        ("=l4", "ENGINES has no '', but vllm"),
        ("llamacpp=l4", "ENGINES has no 'llamacpp', but vllm"),
        ("vllm=l4,vllm=t4", "the engine 'vllm' comes twice"),
    ],
)
def test_wrong_prices_are_named(monkeypatch: pytest.MonkeyPatch, value: str, reported: str) -> None:
    monkeypatch.setenv("ENGINE_PRICES", value)
    text = refusal()
    assert text.startswith(f"ENGINE_PRICES={value!r} in the environment is not allowed: ")
    assert reported in text


def test_several_errors_are_reported_as_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "0")
    monkeypatch.setenv("LOG_LEVEL", "x")
    assert refusal().count(" is not allowed") == 1


GOOD_KEY = "f3b1c9d07a5e4f6285b0c7d9e1a2f4b6"


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "engine-key"
    monkeypatch.setenv("ENGINE_KEY_FILE", str(path))
    return path


def test_no_engine_key_is_fine() -> None:
    assert Settings.load().engine_key() is None


def test_an_engine_key_is_read_and_never_shown(key_file: Path) -> None:
    key_file.write_text(f"  {GOOD_KEY}\n")
    settings = Settings.load()
    key = settings.engine_key()
    assert key is not None
    assert key.authorization == f"authorization: Bearer {GOOD_KEY}\r\n".encode()
    assert GOOD_KEY not in repr(key) + str(key) + repr(settings)


@pytest.mark.parametrize(
    "key",
    [
        *("", " \n", "tiny-one", GOOD_KEY[:23], "changeme" * 4, "change-me-" + GOOD_KEY, "your-key-" + GOOD_KEY),
        *("example" + GOOD_KEY, "SECRET" + GOOD_KEY, "My-Password-" + GOOD_KEY, "token-abc123" + GOOD_KEY),
        *(f"{GOOD_KEY}\nx-evil: 1", f"{GOOD_KEY}\r\n{GOOD_KEY}", f"{GOOD_KEY} {GOOD_KEY}", GOOD_KEY + "비밀"),
    ],
)
def test_placeholders_and_malformed_keys_are_refused_and_not_echoed(key_file: Path, key: str) -> None:
    key_file.write_text(key, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        Settings.load().engine_key()
    text = str(caught.value)
    assert str(key_file) in text
    assert "\n" not in text
    assert GOOD_KEY not in text
    if key.strip():
        assert key not in text


@pytest.mark.parametrize("content", [None, b"\xff\xfe" * 20])
def test_an_engine_key_that_cannot_be_read(key_file: Path, content: bytes | None) -> None:
    if content is not None:
        key_file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"ENGINE_KEY_FILE=.*cannot be read") as caught:
        Settings.load().engine_key()
    assert str(key_file) in str(caught.value)


def test_an_engine_key_that_is_not_a_file_does_not_block(key_file: Path) -> None:
    os.mkfifo(key_file)
    with pytest.raises(SettingsError, match="is not a regular file"):
        Settings.load().engine_key()


@pytest.mark.parametrize(
    "engines",
    [
        "vllm=http://user:hunter2@vllm:8001",
        "vllm=http://hunter2@vllm:8001",
        "vllm=https://a:hunter2@b:1,llamacpp=http://c:2",
        "vllm=http://vllm:8001+http://user:hunter2@vllm:8101",
        "vllm=http://user:hunter2,x@vllm:8001",
        "vllm=http://user:hunter2/x@vllm:8001",
        "vllm=http://user:hun ter2@vllm:8001",
        "vllm=ftp://user:hunter2@vllm",
        "a=http://b:1,a=http://user:hunter2@c:2",
        "not a name=http://user:hunter2@c:2",
    ],
)
def test_a_password_in_an_engines_url_is_never_echoed(monkeypatch: pytest.MonkeyPatch, engines: str) -> None:
    monkeypatch.setenv("ENGINES", engines)
    with pytest.raises(SettingsError, match=r"^ENGINES=") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_a_bad_start_ends_with_one_sentence_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key_file: Path
) -> None:
    for workers in ("0", "1"):  # then it is the key's file that is missing
        monkeypatch.setenv("WORKERS", workers)
        with pytest.raises(SystemExit) as caught:
            Settings.load_or_exit()
        assert caught.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("gateway: ")
        assert captured.err.count("\n") == 1
    key_file.write_text(GOOD_KEY)
    assert Settings.load_or_exit().workers == 1
