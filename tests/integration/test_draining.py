"""An engine that is stopped, or gets another key, under load: no request fails."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.engine import DEMO
from tests.support.gateway import Gateway
from tests.support.program import HOST, until
from tests.support.services import Services

from glasshouse.secrets import engine_key
from glasshouse.settings import load

pytestmark = pytest.mark.timeout(180)
CLIENTS = 4


@contextmanager
def load_on(gateway: Gateway) -> Iterator[Counter[str]]:
    """Clients that send one request after another, streamed and plain in turn; yields the results."""
    stopped, results = threading.Event(), Counter[str]()

    def send(http: httpx.Client, *, stream: bool) -> str:
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
            while not stopped.is_set():
                count += 1
                results[send(http, stream=count % 2 == 0)] += 1

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        stopped.set()
        for thread in threads:
            thread.join(60)


def test_an_engine_that_is_stopped_under_load_fails_no_request(
    services: Services, measured: Callable[[str], None]
) -> None:
    engines = [services.llamacpp(name=name) for name in ("one", "two")]
    gateway = services.gateway(*engines)
    states: list[str] = []

    def state() -> str:
        with gateway.http as http:
            engines = http.get("/models/status").json()["engines"]
        states.append(engines["one"]["state"])
        return states[-1]

    until(lambda: state() == "ready", 30, "the gateway has found it")
    with load_on(gateway) as results:
        until(lambda: results["answered"] > 20, 60, "load")
        engines[0].program.send(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: state() == "draining", 10, "the gateway has noticed")
        assert engines[0].program.exit_code is None
        assert engines[0].program.wait(40) == 0
        took, so_far = time.monotonic() - began, results["answered"]
        until(lambda: results["answered"] > so_far + 20, 60, "the other engine serves")
    measured(f"an engine of two stopped under load: {dict(results)}, stop in {took:.1f} s")
    assert set(results) == {"answered"}
    assert took < 30  # LLAMACPP_STOP_GRACE


def test_the_engine_key_is_rotated_under_load_without_a_failure(
    services: Services, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    settings = load(tmp_path, {"SECRETS_DIR": str(tmp_path), "ENGINE_KEY_FILE": str(services.key_file)})
    following = engine_key.next_file(settings)
    following.write_text("the-next-engine-key\n", encoding="ascii")
    engine = services.llamacpp()
    gateway = services.gateway(engine)
    with load_on(gateway) as results:
        until(lambda: results["answered"] > 10, 60, "load")
        engine_key.rotate(settings)
        assert services.key_file.read_text("ascii") == "the-next-engine-key\n"
        headers = {"authorization": "Bearer the-next-engine-key"}  # which it accepts without a restart
        assert httpx.get(f"http://{HOST}:{engine.port}/v1/models", headers=headers, trust_env=False).is_success
        time.sleep(6)  # the gateway uses the new one within five seconds
    measured(f"engine key rotated under load: {dict(results)}")
    assert set(results) == {"answered"}
