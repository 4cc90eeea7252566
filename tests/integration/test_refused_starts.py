"""An invalid variable or file stops the gateway's start: one sentence, exit code 2, no retries, no traceback."""

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.gateway import COMMAND, environment, new_key, refusal, write_keys
from tests.support.program import Program

# Most of it is Python importing; a gateway that retried would take longer.
_EXIT_S = 20.0
ENGINE = "llamacpp=http://127.0.0.1:1"
VALID = "a valid keys file"


def refused(directory: Path, *, keys: str | None = VALID, **variables: str) -> str:
    """Starts a gateway that must refuse to start; returns its message. With `keys` None there is no keys file."""
    settings = environment(directory, ENGINE, **variables)
    path = Path(settings["KEYS_FILE"])
    if keys == VALID:
        write_keys(path, {"tester": new_key()})
    elif keys is not None:
        path.write_text(keys, encoding="utf-8")
    program = Program("gateway", COMMAND, settings, directory)
    try:
        code = program.wait(_EXIT_S)
    finally:
        program.stop()
        shutil.rmtree(settings["METRICS_DIR"], ignore_errors=True)
    message = refusal(program.text())
    assert code == 2, program.text()
    assert message is not None, program.text()
    return message


@pytest.mark.parametrize(
    ("variable", "value", "pattern"),
    [
        ("WORKERS", "many", "WORKERS='many'.*valid integer"),
        ("WORKERS", "0", "WORKERS='0'.*greater than or equal to 1"),
        ("GATEWAY_PORT", "99999", "GATEWAY_PORT='99999'.*less than or equal to 65535"),
        ("ENGINES", "llamacpp", "ENGINES='llamacpp'.*name=url"),
        ("ENGINES", "a=http://127.0.0.1:1,a=http://127.0.0.1:2", "ENGINES=.*'a' comes twice"),
        ("ENGINES", "a=ftp://127.0.0.1:1", "ENGINES=.*'ftp://127.0.0.1:1' is not http://host:port"),
        ("ENGINES", "a=http://127.0.0.1:port", "ENGINES="),
        ("ENGINES", "", "ENGINES is not set"),
        ("TTFT_TIMEOUT", "-1", "TTFT_TIMEOUT='-1'.*greater than 0"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL='loud'"),
        ("MAX_BODY_BYTES", "1", "MAX_BODY_BYTES='1'.*greater than or equal to 1024"),
        ("MAX_CONNECTIONS", "0", "MAX_CONNECTIONS='0'.*greater than or equal to 1"),
        ("CORS_ORIGINS", "*", r"CORS_ORIGINS='\*'.*https://app.example.com"),
        ("ENGINE_KEY_FILE", "missing/engine-key", "ENGINE_KEY_FILE='missing/engine-key' cannot be read"),
        ("MAX_MODEL_SERIES", "0", "MAX_MODEL_SERIES='0'.*greater than or equal to 1"),
        ("MAX_MODEL_SERIES", "300", "MAX_MODEL_SERIES=300 and MAX_KEY_SERIES=60 allow up to .*the limit is 8,000"),
        ("MAX_KEY_SERIES", "5000", "MAX_MODEL_SERIES=16 and MAX_KEY_SERIES=5000 allow up to .*the limit is 8,000"),
        ("METRICS_DIR", "/proc/metrics", "METRICS_DIR='/proc/metrics'"),
        ("ENGINE_PRICES", "vllm=l4", "ENGINE_PRICES='vllm=l4'.*ENGINES has no 'vllm', but llamacpp"),
        ("ENGINE_PRICES", "llamacpp=l5", "ENGINE_PRICES: llamacpp='l5' is not allowed: 'config/prices.yaml' .* l4, "),
    ],
)  # fmt: skip
def test_a_wrong_variable(tmp_path: Path, variable: str, value: str, pattern: str) -> None:
    assert re.search(pattern, refused(tmp_path, **{variable: value}))


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (None, "keys file .*keys.yaml' does not exist.*make key"),
        ("keys: [", "keys file .*keys.yaml' is not valid YAML"),
        ("", "keys file .*keys.yaml'"),
        ("[]", "keys file .*keys.yaml'"),
        ("keys:\n- {name: a, sha256: short}\n", r"keys file .*keys.yaml': keys\.0\.sha256 is not allowed"),
        (f"keys:\n- {{name: A B, sha256: {'a' * 64}}}\n", r"keys file .*keys.yaml': keys\.0\.name.* is not allowed"),
        (
            f"keys:\n- {{name: a, sha256: {'a' * 64}, role: king}}\n",
            r"keys file .*keys.yaml': keys\.0\.role = 'king' is not allowed: .*'user' or 'admin'",
        ),
        (f"keys:\n- {{name: a, sha256: {'a' * 64}, limit: 3}}\n", r"keys file .*keys.yaml': keys\.0\.limit"),
    ],
    ids=["missing", "no YAML", "empty", "a list", "no hash", "name", "role", "unknown field"],
)
def test_a_wrong_keys_file(tmp_path: Path, content: str | None, pattern: str) -> None:
    assert re.search(pattern, refused(tmp_path, keys=content))


def test_a_fifo_where_the_keys_file_belongs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.yaml")
    assert re.search("keys file .*keys.yaml' cannot be read: it is not a regular file", refused(tmp_path, keys=None))


def test_a_fifo_where_the_prices_file_belongs(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "prices.yaml")
    message = refused(tmp_path, PRICES_FILE=str(path), ENGINE_PRICES="llamacpp=l4")
    assert re.search("prices file .*prices.yaml' cannot be read: it is not a regular file", message)


def test_a_guessable_engine_key(tmp_path: Path) -> None:
    path = tmp_path / "engine-key"
    path.write_text("changeme-changeme-changeme-changeme", encoding="ascii")
    assert re.search(f"engine key in '{path}' .*placeholder", refused(tmp_path, ENGINE_KEY_FILE=str(path)))


def test_a_key_pasted_where_its_hash_belongs_is_not_shown(tmp_path: Path) -> None:
    key = new_key()
    assert "sha256" in (message := refused(tmp_path, keys=f"keys:\n- {{name: a, sha256: {key}}}\n"))
    assert key not in message


@pytest.mark.parametrize("variable", ["GATEWAY_PORT", "METRICS_PORT"])
def test_a_port_that_is_taken(tmp_path: Path, variable: str, taken_port: int) -> None:
    message = refused(tmp_path, **{variable: str(taken_port)})
    assert re.search(f"{variable}={taken_port}", message)


def test_a_metrics_directory_of_another_gateway(tmp_path: Path, measured: Callable[[str], None]) -> None:
    first = tmp_path / "first"
    settings = environment(first, ENGINE)
    write_keys(Path(settings["KEYS_FILE"]), {"tester": new_key()})
    running = Program("gateway", COMMAND, settings, first)
    try:
        running.ready(lambda: any(Path(settings["METRICS_DIR"]).glob("slot-*.lock")), 20)
        began = time.monotonic()
        message = refused(tmp_path / "second", METRICS_DIR=settings["METRICS_DIR"])
        assert "is in use by a running gateway" in message
        measured(f"a refused start takes {time.monotonic() - began:.1f} s")
    finally:
        running.stop()
        shutil.rmtree(settings["METRICS_DIR"], ignore_errors=True)
