"""An engine that is stopped, or gets another key, while requests come: none of them notices."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.support.engine import DEMO
from tests.support.gateway import Gateway
from tests.support.program import HOST, until
from tests.support.stage import Stage

from glasshouse.secrets import engine_key
from glasshouse.settings import load

pytestmark = pytest.mark.timeout(180)
CLIENTS = 4


@contextmanager
def load_on(gateway: Gateway) -> Iterator[Counter[str]]:
    """Clients that ask again as soon as they have their answer, streamed and plain in turn; how each request ended."""
    over, ended = threading.Event(), Counter[str]()

    def ask(http: httpx.Client, *, stream: bool) -> str:
        body = {"model": DEMO, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12, "stream": stream}
        try:
            answer = http.post("/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            return type(error).__name__
        if answer.is_success and stream and "[DONE]" not in answer.text:
            return "broken"
        return "answered" if answer.is_success else f"{answer.status_code} {answer.text}"

    def client() -> None:
        with gateway.http as http:
            count = 0
            while not over.is_set():
                count += 1
                ended[ask(http, stream=count % 2 == 0)] += 1

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield ended
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_an_engine_that_is_stopped_under_load_fails_no_request(stage: Stage, measured: Callable[[str], None]) -> None:
    engines = [stage.llamacpp(name=name) for name in ("one", "two")]
    gateway = stage.gateway(*engines)
    states: list[str] = []

    def state() -> str:
        with gateway.http as http:
            told = http.get("/models/status").json()["engines"]
        states.append(told["one"]["state"])
        return states[-1]

    until(lambda: state() == "ready", 30, "the gateway knows it")
    with load_on(gateway) as ended:
        until(lambda: ended["answered"] > 20, 60, "load")
        engines[0].program.send(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: state() == "draining", 10, "the gateway has seen it")
        assert engines[0].program.exit_code is None
        assert engines[0].program.wait(40) == 0
        took, so_far = time.monotonic() - began, ended["answered"]
        until(lambda: ended["answered"] > so_far + 20, 60, "the other one serves")
    measured(f"an engine of two stopped under load: {dict(ended)}, stop in {took:.1f} s")
    assert set(ended) == {"answered"}
    assert took < 30  # LLAMACPP_STOP_GRACE


def test_the_engine_key_is_rotated_under_load_without_a_failure(
    stage: Stage, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    settings = replace(load(tmp_path, {}), secrets_dir=tmp_path, engine_key_file=stage.key_file)
    following = engine_key.next_file(settings)
    following.write_text("the-next-engine-key\n", encoding="ascii")
    engine = stage.llamacpp()
    gateway = stage.gateway(engine)
    with load_on(gateway) as ended:
        until(lambda: ended["answered"] > 10, 60, "load")
        engine_key.rotate(settings)
        assert stage.key_file.read_text("ascii") == "the-next-engine-key\n"
        headers = {"authorization": "Bearer the-next-engine-key"}  # which it accepts, though it was never restarted
        assert httpx.get(f"http://{HOST}:{engine.port}/v1/models", headers=headers, trust_env=False).is_success
        time.sleep(6)  # within five seconds the gateway shows the new one
    measured(f"engine key rotated under load: {dict(ended)}")
    assert set(ended) == {"answered"}
