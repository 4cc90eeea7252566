"""The clients of the drill's gateway, which repeat one request while a file says so."""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

FILE = "load.json"
_CLIENTS = 4
_PAUSE_S = 0.5
_TIMEOUT_S = 30.0
_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class LoadFile:
    """The content of the file.

    Attributes:
        url: of the gateway, without a path.
        key: of the gateway.
        body: JSON of the request.
        cancel_after_s: seconds after which a client closes the connection; None reads the whole response.
    """

    url: str
    key: str
    body: Mapping[str, Any]
    cancel_after_s: float | None = None

    def text(self) -> str:
        """The content as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The content; None while there is no such file."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


class Clients:
    """Some clients in threads. Use as a context manager.

    Args:
        directory: where the file appears.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            if (wanted := LoadFile.read(self._file)) is not None:
                with suppress(OSError, http.client.HTTPException):  # a failure is what is wanted
                    _ask(wanted)


def _ask(wanted: LoadFile) -> None:
    parts = urlsplit(wanted.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        headers = {"Authorization": f"Bearer {wanted.key}", "Content-Type": "application/json"}
        connection.request("POST", _PATH, json.dumps(wanted.body), headers)
        if wanted.cancel_after_s is not None:
            time.sleep(wanted.cancel_after_s)
            return
        connection.getresponse().read()
    finally:
        connection.close()
