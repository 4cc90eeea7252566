"""Continuous load while something happens to the stack, and the requests that failed."""

import ssl
import threading
import time
from typing import Any, Self

import httpx
from tests.support.compose.stack import Stack, until

CHAT = "/v1/chat/completions"


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "glasshouse-demo", "messages": [{"role": "user", "content": "What is Glasshouse?"}], **fields}


class Load:
    """Short chats, one after another from a few clients. Use it with `with`."""

    def __init__(self, stack: Stack, clients: int = 3, pause: float = 0.02) -> None:
        self._stack, self._pause = stack, pause
        self._tls = ssl.create_default_context(cafile=str(stack.certificate))
        self._stop = threading.Event()
        self.answers: list[int | str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        with self._stack.client(verify=self._tls) as client:
            while not self._stop.is_set():
                time.sleep(self._pause)  # below nginx's rate limit for one address
                try:
                    self.answers.append(client.post(CHAT, json=chat(max_tokens=8)).status_code)
                except httpx.HTTPError as error:
                    self.answers.append(repr(error))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.answers) > 5, 20, "the load has started")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self, count: int) -> None:
        """Waits for so many more."""
        enough = len(self.answers) + count
        until(lambda: len(self.answers) >= enough, 60, f"{count} more answers")

    def trust_any(self) -> None:
        """From now on, accepts any certificate."""
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def failures(self) -> list[int | str]:
        return [answer for answer in self.answers if answer != httpx.codes.OK]
