import importlib.metadata
import json
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError, EngineError
from llamacpp_server.launch import LlamaCpp
from llamacpp_server.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in os.environ:
        if name.startswith(("LLAMACPP_", "ENGINE_KEY")):
            monkeypatch.delenv(name)
    model, key = tmp_path / "tiny.gguf", tmp_path / "key"
    model.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 1, 0))
    key.write_text("sekret\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return Settings.read(
        ["--model", str(model), "--port", str(port), "--ctx", "100", "--parallel", "3", "--engine-key-file", str(key)]
    )


def test_the_context_is_for_each_slot_and_the_key_goes_over_the_pipe(settings: Settings) -> None:
    command = LlamaCpp(settings).prepare()
    sent = json.loads(command.stdin)

    assert (sent["ctx"], sent["parallel"], sent["alias"], sent["keys"]) == (300, 3, "tiny", ["sekret"])
    assert command.argv[1:] == ("-m", "llamacpp_server.engine")
    assert "sekret" not in " ".join((*command.argv, *command.env.values()))


def test_the_next_key_is_accepted_too(settings: Settings) -> None:
    Path(f"{settings.engine_key_file}.next").write_text("another\n")

    assert json.loads(LlamaCpp(settings).prepare().stdin)["keys"] == ["sekret", "another"]


def test_a_taken_port_is_a_failure(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.port)), pytest.raises(EngineError, match="LLAMACPP_PORT="):
        LlamaCpp(settings).prepare()


def test_a_missing_model(settings: Settings) -> None:
    settings.model.unlink()

    with pytest.raises(ConfigurationError, match="LLAMACPP_MODEL="):
        LlamaCpp(settings).check()


def test_a_missing_adapter(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"LLAMACPP_LORA=/no/lora\.gguf"):
        LlamaCpp(settings.model_copy(update={"lora": "/no/lora.gguf"})).check()


def test_a_changed_model_or_key_is_noticed(settings: Settings) -> None:
    engine = LlamaCpp(settings)
    first = engine.input_fingerprint()
    Path(settings.engine_key_file).write_text("another\n")
    second = engine.input_fingerprint()
    settings.model.unlink()

    assert len({first, second, engine.input_fingerprint()}) == 3


def test_the_reason_is_the_engines_own(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    engine = LlamaCpp(settings)
    line = "0.00.009.179 E llama_model_load: error loading model: it is broken"
    engine.handle_log_line(line)

    assert engine.explain_exit(1) == f"llama.cpp could not load {settings.model}: error loading model: it is broken."
    assert capfd.readouterr().out == line + "\n"


def test_without_a_line_the_signal_is_the_reason(settings: Settings) -> None:
    engine = LlamaCpp(settings)

    assert "memory runs out" in engine.explain_exit(-signal.SIGKILL)
    assert "SIGSEGV" in engine.explain_exit(-signal.SIGSEGV)
    assert "exited with code 3" in engine.explain_exit(3)


def test_an_engine_that_is_not_there_does_not_answer(settings: Settings) -> None:
    assert not LlamaCpp(settings).is_ready()


def test_capacity_and_version(settings: Settings) -> None:
    engine = LlamaCpp(settings)

    assert engine.capacity() == {"slots": 3, "slot_context_tokens": 100}
    assert engine.version() == importlib.metadata.version("xllamacpp")
