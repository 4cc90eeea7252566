"""Realistic load until it is stopped: most requests complete, a few are cancelled, a few are invalid."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import httpx
from tests.support.corpus import sample
from tests.support.gateway import Gateway, new_key, write_keys

_CLIENTS = ("tester", "batch", "editor")
_PAUSE_S = 0.5
# Of 40 requests one is cancelled, one names an unknown model; of 160 one has an invalid key, or an alert would fire.
_CANCELLED, _UNKNOWN_MODEL, _ROUND = 7, 19, 40
_INVALID_KEY, _INVALID_KEY_ROUND = 31, 160


class Load:
    """Requests with several keys. Use as a context manager.

    Args:
        gateway: receives the requests; gets the clients' keys.
        models: requested in turn.
    """

    def __init__(self, gateway: Gateway, models: Sequence[str]) -> None:
        self._gateway, self._models = gateway, models
        self._keys = {name: new_key() for name in _CLIENTS} | {"tester": gateway.key}
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self.statuses: Counter[int] = Counter()
        self._threads = [
            threading.Thread(target=self._run_client, args=(key,), daemon=True) for key in self._keys.values()
        ]

    def __enter__(self) -> Self:
        write_keys(self._gateway.keys_file, self._keys)
        for thread in self._threads:
            thread.start()
        self._started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def seconds(self) -> float:
        """How long the load has been running."""
        return time.monotonic() - self._started

    def stop(self) -> None:
        """Stops the clients, each after its current request."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run_client(self, key: str) -> None:
        questions = [question.text for language in ("en", "ko") for question in sample(language, 12)]
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=self._gateway.url, headers=headers, timeout=120, trust_env=False) as http:
            for number, text in enumerate(itertools.cycle(questions)):
                if self._stopped.wait(_PAUSE_S):
                    return
                model = self._models[number % len(self._models)]
                status = self._send(http, number, model, text)
                with self._lock:
                    self.statuses[status] += 1

    def _send(self, http: httpx.Client, number: int, model: str, text: str) -> int:
        """Sends one request; returns its status, or 0 without a response."""
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 48}
        headers = {"authorization": "Bearer gh-nobody"} if number % _INVALID_KEY_ROUND == _INVALID_KEY else {}
        number %= _ROUND
        if number == _UNKNOWN_MODEL:
            body["model"] = "not-served"
        try:
            if number % 4 == 0:
                return http.post("/v1/chat/completions", json=body, headers=headers).status_code
            if number == _CANCELLED:
                body |= {"max_tokens": 400, "ignore_eos": True}
            with http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}, headers=headers) as answer:
                for count, _ in enumerate(answer.iter_lines()):
                    if number == _CANCELLED and count > 5:
                        break
                return answer.status_code
        except httpx.TransportError:
            return 0
