"""Where a prompt could have gone: each place gives its text, or says that it cannot be read.

A place that cannot be read is never one where nothing was found. So each has a sign that it is what it should be: a
gateway's log has the canary's own requests, a metrics page has metrics.
"""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from glasshouse.privacy_canary.settings import Settings

GATEWAY_LOG = "gateway"
_CHUNK_BYTES = 1_048_576
_TIMEOUT_S = 15.0
_UNAUTHORIZED = 401
_MAX_ANNOTATIONS = 5000
# Containers and this machine only: a proxy has no place here.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unreadable(Exception):
    """A place cannot be read, or is not what it should be; the text says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a place may need to know of a run: the id of its requests, and when it began in seconds since the epoch."""

    request_id: str
    began: float


@dataclass(frozen=True, slots=True)
class Place:
    """A place by its name, as in the label `place`; `read` raises `Unreadable`."""

    name: str
    read: Callable[[Run], Iterator[bytes]]


def places(settings: Settings) -> tuple[Place, ...]:
    """All places of this stack. A new store of logs or traces gets its line here."""
    prometheus, grafana = settings.prometheus, settings.grafana
    return (
        *(Place(f"log:{name}", _log(name, Path(path))) for name, path in settings.logs.items()),
        *(Place(f"metrics:{name}", _page(url, settings.engine_key_file)) for name, url in settings.pages.items()),
        *((Place("prometheus:labels", _prometheus_labels(prometheus)),) if prometheus else ()),
        *((Place("grafana:annotations", _annotations(grafana, settings.grafana_password_file)),) if grafana else ()),
    )


def occurrences(chunks: Iterator[bytes], token: bytes) -> int:
    """How often the token is in the text, also across the edges of chunks, in upper or lower case."""
    count, rest = 0, b""
    for chunk in chunks:
        text = rest + chunk.lower()
        count += text.count(token)
        rest = text[-(len(token) - 1) :]
    return count


def truncate(settings: Settings) -> None:
    """Empties the copies of logs that were read. Their writers append, so that they go on at the beginning.

    Raises:
        OSError: A copy cannot be written.
    """
    for path in map(Path, settings.logs.values()) if settings.truncate_logs else ():
        if path.exists():
            with path.open("r+b") as file:
                file.truncate(0)


def _log(name: str, path: Path) -> Callable[[Run], Iterator[bytes]]:
    def read(run: Run) -> Iterator[bytes]:
        sign = run.request_id.encode() if name == GATEWAY_LOG else b""
        seen, rest = not sign, b""
        for file in _written_since(path, run.began):
            for chunk in _chunks(file):
                rest += chunk
                seen = seen or sign in rest
                rest = rest[-len(sign) :]
                yield chunk
        if not seen:
            raise Unreadable(f"{path} has no line of the canary's requests")

    return read


def _written_since(path: Path, began: float) -> Iterator[Path]:
    """The log, and those that it was renamed to while the run lasted."""
    try:
        path.stat()
        older = [each for each in path.parent.glob(f"{path.name}.*") if each.stat().st_mtime >= began - 1]
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    yield from (*older, path)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error


def _page(url: str, key_file: Path | None) -> Callable[[Run], Iterator[bytes]]:
    def read(_: Run) -> Iterator[bytes]:
        try:
            page = _fetch(url)
        except _Unauthorized:  # llama.cpp shows its metrics to who has the engine key
            page = _fetch(url, f"Bearer {_secret(key_file)}")
        if b"# TYPE " not in page:
            raise Unreadable(f"{url} is not a page of metrics")
        yield page

    return read


def _prometheus_labels(url: str) -> Callable[[Run], Iterator[bytes]]:
    def read(_: Run) -> Iterator[bytes]:
        names = _json(_fetch(f"{url}/api/v1/labels"), url).get("data")
        if not isinstance(names, list) or "job" not in names:
            raise Unreadable(f"{url} lists no label `job`")
        yield json.dumps(names).encode()
        for name in names:
            yield _fetch(f"{url}/api/v1/label/{quote(str(name))}/values")

    return read


def _annotations(url: str, password_file: Path | None) -> Callable[[Run], Iterator[bytes]]:
    def read(_: Run) -> Iterator[bytes]:
        login = base64.b64encode(f"admin:{_secret(password_file)}".encode()).decode("ascii")
        page = _fetch(f"{url}/api/annotations?limit={_MAX_ANNOTATIONS}", f"Basic {login}")
        if not page.lstrip().startswith(b"["):
            raise Unreadable(f"{url} does not list annotations")
        yield page

    return read


class _Unauthorized(Unreadable):
    """The place wants to know who asks."""


def _fetch(url: str, authorization: str = "") -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})  # noqa: S310 - an address of the stack's own
    try:
        with _opener.open(request, timeout=_TIMEOUT_S) as response:
            content: bytes = response.read()
            return content
    except urllib.error.HTTPError as error:
        kind = _Unauthorized if error.code == _UNAUTHORIZED else Unreadable
        raise kind(f"{url} answered {error.code}") from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"{url} does not answer") from error


def _json(content: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreadable(f"{url} does not answer with a JSON object")
    return found


def _secret(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() if path is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read") from error
