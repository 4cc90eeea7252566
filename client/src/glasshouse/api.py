"""A small client of the API: HTTP/1.1 over one connection, every failure reported in one sentence."""

import base64
import http.client
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from glasshouse.errors import ApiError

_CONNECT_S = 5.0
_HERE = {"localhost", "127.0.0.1", "::1"}
_OK = 200


@dataclass(frozen=True, slots=True)
class Response:
    """A status and a body: decoded if it is JSON, otherwise text."""

    status: int
    body: Any

    @property
    def reason(self) -> str | None:
        """The message of an error in OpenAI's shape, or why it is not ready; None if the body has another shape."""
        reason = self.body.get("reason") if isinstance(self.body, dict) else None
        return error_message(self.body) or (reason if isinstance(reason, str) else None)

    def checked(self) -> dict[str, Any]:
        """The JSON object of a successful response.

        Raises:
            ApiError: The status is not 200, with the reason that the API gave; or the body is not a JSON object.
        """
        if self.status != _OK:
            raise ApiError(f"The API answered {self.status}: {self.reason or str(self.body)[:200]}")
        if not isinstance(self.body, dict):
            raise ApiError(f"The API answered with something other than a JSON object: {str(self.body)[:200]}")
        return self.body


class Api:
    """One connection to the API at `url` (without /v1), opened when it is first needed.

    Args:
        url: http://host:port or https://host:port.
        certificate: The one certificate to trust; None trusts what the system trusts.
        key: Sent as `Authorization: Bearer …`.
        user: Name and password, sent as `Authorization: Basic …` instead.
        timeout: Seconds of silence after which a request has failed.
        headers: Further headers of every request.
        check_hostname: Whether the certificate has to be for the host of `url`; False is for containers, which know
            nginx by another name than clients do, and only together with `certificate`.
    """

    def __init__(
        self,
        url: str,
        *,
        certificate: Path | None = None,
        key: str | None = None,
        user: tuple[str, str] | None = None,
        timeout: float = 30.0,
        headers: Mapping[str, str] = MappingProxyType({}),
        check_hostname: bool = True,
    ) -> None:
        self.url = without_credentials(url)
        self._timeout = timeout
        authorization = f"Bearer {key}" if key else f"Basic {_basic(*user)}" if user else None
        self._headers = {
            "Content-Type": "application/json",
            **({"Authorization": authorization} if authorization else {}),
            **headers,
        }
        self._connection = _connection(url, certificate, check_hostname=check_hostname)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, path: str) -> Response:
        """Raises `ApiError` when nobody answers."""
        with self._request("GET", path, None) as response:
            return _response(response)

    def post(self, path: str, body: dict[str, Any]) -> Response:
        """Raises `ApiError` when nobody answers."""
        with self._request("POST", path, body) as response:
            return _response(response)

    def delete(self, path: str) -> Response:
        """Raises `ApiError` when nobody answers."""
        with self._request("DELETE", path, None) as response:
            return _response(response)

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[str]:
        """The lines of the response as they come, without line ends.

        Raises:
            ApiError: Nobody answers, the status is not 200, or the connection breaks.
        """
        with self._request("POST", path, body) as response:
            if response.status != _OK:
                _response(response).checked()
            while line := response.readline():
                yield line.decode(errors="replace").rstrip("\r\n")
            response.read()  # nothing is left, but http.client frees the connection only after this

    def first_model(self) -> str:
        """The first model that the API lists.

        Raises:
            ApiError: There is none, or nobody answers as `/v1/models` does.
        """
        models = self.get("/v1/models").checked().get("data")
        if not isinstance(models, list) or not models or not isinstance(models[0], dict):
            raise ApiError("The API lists no model. See the engine's log: make logs SERVICE=llamacpp")
        return str(models[0].get("id"))

    @contextmanager
    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Iterator[http.client.HTTPResponse]:
        """Translates the network's errors into ours."""
        content = None if body is None else json.dumps(body)
        try:
            if self._connection.sock is None:
                self._connection.connect()
            connected = self._connection.sock
            if connected is not None:
                connected.settimeout(self._timeout)
        except ssl.SSLCertVerificationError as error:
            raise ApiError(f"The certificate of {self.url} is not trusted: name its file with --ca-file.") from error
        except OSError as error:
            raise ApiError(f"Nothing answers at {self.url}. Is it running? make up") from error
        try:
            self._connection.request(method, path, content, self._headers)
            yield self._connection.getresponse()
        except TimeoutError as error:
            raise ApiError(f"{self.url} was silent for {self._timeout:.0f} s. See its log: make logs") from error
        except (OSError, http.client.HTTPException) as error:
            broken = f"{error}" or type(error).__name__
            raise ApiError(f"The connection to {self.url} broke ({broken}). See its log: make logs") from error


def without_credentials(url: str) -> str:
    """`url` as it may be shown: without a user and password before the host."""
    return re.sub(r"^(\w+://)?.*@", r"\1", url)


def error_message(body: Any) -> str | None:
    """The message of an error in OpenAI's shape; None if `body` has another."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return str(body["error"].get("message") or "") or None
    return None


def _basic(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()


def _connection(url: str, certificate: Path | None, *, check_hostname: bool) -> http.client.HTTPConnection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in {"http", "https"}:
        raise ApiError(
            f"{without_credentials(url)!r} is not the address of an API: write it http://host:port or https://host:port."
        )
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_CONNECT_S)
    try:
        context = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    except (OSError, ssl.SSLError) as error:
        raise ApiError(f"The certificate {certificate} cannot be read: {error}.") from error
    if certificate:
        # The one file is trusted, also where it is not self-signed; on this machine whatever name it is for.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = check_hostname and host not in _HERE
    return http.client.HTTPSConnection(host, port, timeout=_CONNECT_S, context=context)


def _response(response: http.client.HTTPResponse) -> Response:
    text = response.read().decode(errors="replace")
    try:
        return Response(response.status, json.loads(text))
    except ValueError:
        return Response(response.status, text)
