"""Logs: one JSON line an event, and nothing in it that is a client's own."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from loguru import logger
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import EMBEDDINGS, TEXT, Gateway, chat
from tests.support.in_process.wire import EVENT_STREAM, Wire, chunk, delta, dial, event, plain, post, raw_engine

from gateway.telemetry.logs import set_up_logs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Serve = Callable[..., Awaitable[Gateway]]

CANARY = "canary-7f3a-in-a-prompt"


@pytest.fixture
def output() -> Iterator[Output]:
    yield Output()
    logger.remove()


class Output:
    """A standard output, and the log that goes there."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()

    def log(self, level: str) -> None:
        """Not in the fixture: pytest has a standard output of its own for each phase."""
        with redirect_stdout(io.TextIOWrapper(self.stream, write_through=True)) as self.text:
            self.writer = set_up_logs(level)

    def getvalue(self) -> str:
        self.writer.close()
        return self.stream.getvalue().decode()


def lines(output: Output) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().split("\n") if line]


def test_a_line_is_json_with_time_level_and_event(output: Output) -> None:
    output.log("info")
    logger.bind(event="engine", engine="e", n=1).info("")
    logger.warning("hello {}", "there")
    first, second = lines(output)
    assert {name: first[name] for name in ("level", "event", "engine", "n")} == {
        "level": "info",
        "event": "engine",
        "engine": "e",
        "n": 1,
    }
    assert (second["level"], second["event"], second["message"]) == ("warning", "log", "hello there")
    assert first["ts"].startswith("20")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_log_level_is_respected(output: Output, level: str) -> None:
    output.log(level)
    levels = ["debug", "info", "warning", "error"]
    for name in levels:
        logger.log(name.upper(), name)
    assert [line["message"] for line in lines(output)] == levels[levels.index(level) :]


def test_the_standard_librarys_lines_are_json_too(output: Output) -> None:
    output.log("info")
    logging.getLogger("asyncio").warning("from %s {braces}", "asyncio")
    logging.getLogger("anything").info("not shown")
    [line] = lines(output)
    assert (line["message"], line["logger"], line["level"]) == ("from asyncio {braces}", "asyncio", "warning")


@pytest.mark.parametrize("text", ["{x}", "{extra[line]}", "<red>x</red>", 'a "quote"', "a\nb\x1b[31m", "\u2028", "\\"])
def test_no_text_breaks_its_line(output: Output, text: str) -> None:
    output.log("info")
    logger.bind(event="x", field=text).info("{}", text)
    [line] = lines(output)
    assert (line["message"], line["field"]) == (text, text)


def test_an_exception_is_one_line_too_and_shows_no_variables(output: Output) -> None:
    output.log("info")

    def fails(prompt: str) -> None:
        assert prompt
        raise ValueError("it broke")

    try:
        fails(CANARY)
    except ValueError:
        logger.exception("inside")
    try:
        fails(CANARY)
    except ValueError:
        logging.getLogger("x").exception("outside")
    reported = lines(output)
    assert len(reported) == 2
    assert all(line["exception"].startswith("ValueError: it broke") for line in reported)
    assert "fails" in output.getvalue(), "where it broke is told"
    assert CANARY not in output.getvalue()


def everything(gateway: Gateway) -> str:
    """All that the gateway says of itself: its log, and every label and value of its metrics."""
    reported = gateway.output.getvalue().decode()
    for metric in vars(gateway.metrics).values():
        for family in metric.collect():
            reported += "".join(f"{sample.name}{sample.labels}{sample.value}\n" for sample in family.samples)
    return reported


async def test_content_of_requests_is_never_logged(serve: Serve, alpha: Mock, llama: Mock) -> None:
    gateway = await serve(alpha, llama, ttft_timeout=0.2, idle_timeout=0.2, total_timeout=1)
    message = [{"role": "user", "content": CANARY}]
    for fault in (None, "status:500", "html", "reset", "hang", "break:2", "stall:2", "context_length", "garbage"):
        for stream in (True, False):
            await gateway.chat(
                messages=message, stream=stream, user=CANARY, metadata={CANARY: CANARY}, mock={"fault": fault}
            )
    await gateway.post(TEXT, model="mock", prompt=CANARY)
    await gateway.post(EMBEDDINGS, model="mock", input=[CANARY])
    await gateway.post(TEXT, model=CANARY, prompt=CANARY)
    await gateway.chat(messages=CANARY)
    await gateway.chat(**{CANARY: 1}, n=CANARY, stop=CANARY)
    await gateway.http.post(TEXT, content=f'{{"prompt": "{CANARY}", NaN'.encode())
    await gateway.http.post(f"/{CANARY}/v1?{CANARY}={CANARY}")
    await gateway.http.get(f"/v1/models/{CANARY}")
    await gateway.chat(messages=message, stream=True, stream_options={"include_usage": CANARY})
    headers = {"x-request-id": f"{CANARY} \t{{", "user-agent": CANARY, "authorization": f"Bearer {CANARY}"}
    await gateway.http.post(TEXT, json={"model": "mock", "prompt": CANARY}, headers=headers)
    await gateway.settled(28)
    # On a slow machine the short timeouts would end this one before its client does.
    patient = await serve(alpha)
    async with dial(patient.port) as client:
        await client.send(post(chat(messages=message, stream=True, mock={"interval_s": 0.01, "tokens": 500})))
        await client.until(b"w003")
        client.reset()
    await patient.settled(1)
    assert CANARY not in everything(gateway) + everything(patient)


async def test_content_of_engine_errors_is_never_logged(serve: Serve) -> None:
    error = {"message": CANARY, "type": "BadRequestError", "param": CANARY, "input": CANARY}
    answers: list[bytes] = [
        *(plain(json.dumps({"error": error}).encode(), status=f"{status} X") for status in (400, 422, 500, 503)),
        plain(json.dumps({"detail": CANARY}).encode(), status="404 X"),
        plain(CANARY.encode(), status="500 X"),
        plain(CANARY.encode()),
        plain(json.dumps({"id": CANARY, "choices": [{"text": CANARY}], "usage": {"prompt_tokens": CANARY}}).encode()),
        EVENT_STREAM + chunk(event({"error": error})) + chunk(b""),
        EVENT_STREAM + chunk(delta(CANARY)) + chunk(event({"error": error})) + chunk(b""),
        EVENT_STREAM + chunk(delta(CANARY)) + chunk(f"data: {CANARY}\n\n".encode()) + chunk(b""),
        EVENT_STREAM + chunk(event({"choices": [{"index": 0, "delta": {"tool_calls": CANARY}}]})) + chunk(b""),
        EVENT_STREAM + chunk(event({"choices": CANARY})) + chunk(b""),
        f"HTTP/1.1 {CANARY}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode(),
    ]

    async def say(wire: Wire, _: bytes) -> None:
        await wire.send(answers[turn])
        wire.close()

    for kind in ("vllm", "llamacpp"):
        async with raw_engine(say, kind=kind) as engine:
            gateway = await serve(engine, discovery_interval=60)
            for turn in range(len(answers)):  # noqa: B007 - `say` reads it
                for stream in (True, False):
                    await gateway.chat(stream=stream)
            await gateway.settled(2 * len(answers))
            assert CANARY not in everything(gateway)


async def test_no_key_is_in_any_line(gateway: Gateway) -> None:
    wrong = "Sk-wrong-key-0123456789"
    await gateway.chat()
    await gateway.http.post(TEXT, json={}, headers={"authorization": f"Bearer {wrong}"})
    await gateway.http.get("/v1/models", headers={"authorization": f"Bearer {wrong}"})
    await gateway.settled(3)
    reported = everything(gateway)
    assert wrong not in reported
    assert gateway.http.headers["authorization"].removeprefix("Bearer ") not in reported
