"""API keys: who may call. Only hashes are stored, in a file that may change at any time."""

import asyncio
import hashlib
import hmac
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import Forbidden, Unauthorized
from gateway.file_signature import file_signature
from gateway.yaml_file import parse_yaml, read_file

# Well within the five seconds after which a revoked key must stop working.
WATCH_INTERVAL_S = 1.0
_SAFE_TO_ECHO = frozenset({"role", "expires", "models", "revoked"})
_MAX_ECHO = 24
_DESCRIPTION = "keys file"


class KeysFileError(Exception):
    """The keys file cannot be used; the message is one sentence naming file, field, value and what is allowed."""


class _Entry(BaseModel):
    """One entry of keys.yaml; no other fields are allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Literal["user", "admin"] = "user"
    expires: date | None = None
    models: tuple[str, ...] | None = None
    revoked: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # Each is an `_Entry`, but validated by itself: validating all in one call would block every thread for 0.1 s.
    keys: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A valid key. `name` is what metrics and logs show."""

    name: str
    role: Literal["user", "admin"]
    digest: bytes
    expires: date | None
    models: frozenset[str] | None
    revoked: bool

    @property
    def has_expired(self) -> bool:
        """Whether its last day is over, in UTC."""
        return self.expires is not None and datetime.now(UTC).date() > self.expires

    def may_use(self, model: str) -> bool:
        """Whether this key may use `model`."""
        return self.models is None or model in self.models

    def check_model(self, model: str) -> None:
        """Raises `Forbidden` unless this key may use `model`."""
        if not self.may_use(model):
            raise Forbidden(
                f"The key {self.name!r} may not use this model. It may use: {', '.join(sorted(self.models or ()))}.",
                param="model",
                code="model_not_allowed",
            )


class KeyRing:
    """The keys of one file, in its newest valid version. An invalid version is logged and changes nothing.

    Args:
        path: keys.yaml; see `_Entry` for its fields.
        last_good: Where a copy of the newest valid version is kept (hashes only), for a worker that starts while the
            file is invalid. The gateway must not go down with a worker because someone is editing its keys.
        on_names: Called with the names of the keys that may call, whenever the file has been read.

    Raises:
        KeysFileError: On construction, if the file is invalid and there is no valid copy.
    """

    def __init__(
        self,
        path: Path,
        last_good: Path | None = None,
        on_names: Callable[[Collection[str]], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._last_good = last_good
        self._on_names = on_names
        self._signature = file_signature(path)
        self._last_error = ""
        try:
            self._keys = self._read()
        except KeysFileError as error:
            if last_good is None or not last_good.exists():
                raise
            logger.error("keys file is invalid, the last valid keys stay in force: {}", error)
            self._keys = read_keys(last_good)
        self._report_names()

    def __len__(self) -> int:
        return len(self._keys)

    def authenticate(self, text: bytes) -> Key:
        """The key with this text.

        Raises:
            Unauthorized: It is unknown, revoked or expired; `code` is `invalid_api_key`, `revoked_api_key` or
                `expired_api_key`.
        """
        digest = hashlib.sha256(text).digest()
        key = self._keys.get(digest)
        # The lookup is by hash, so its timing reveals nothing about a key; the comparison is for auditors.
        if key is None or not hmac.compare_digest(key.digest, digest):
            raise Unauthorized("This API key is not known here. Check it, or ask for a new one (make key NAME=…).")
        if key.revoked:
            raise Unauthorized("This API key has been revoked.", code="revoked_api_key")
        if key.has_expired:
            raise Unauthorized(f"This API key expired on {key.expires}.", code="expired_api_key")
        return key

    def refresh(self) -> bool:
        """Reloads the file if it has changed; True when new keys are in force.

        An invalid version is logged once and changes nothing.
        """
        signature = file_signature(self._path)
        if signature == self._signature:
            return False
        self._signature = signature  # from before it is read: a change meanwhile is another one
        try:
            self._keys = self._read()
        except KeysFileError as error:
            if str(error) != self._last_error:
                logger.error("keys file is invalid, the previous keys stay in force: {}", error)
            self._last_error = str(error)
            return False
        self._last_error = ""
        logger.info("keys file reloaded: {} keys", len(self._keys))
        return True

    def _read(self) -> dict[bytes, Key]:
        try:
            content = _content(self._path)
        except KeysFileError:
            self._signature = (
                None  # the same file may be readable in a second, for example once there are descriptors again
            )
            raise
        keys = _parse(content, self._path)
        if self._last_good is not None:
            _keep_copy(content, self._last_good)
        return keys

    def _report_names(self) -> None:
        """A revoked key, or one that has expired, never calls."""
        self._on_names([key.name for key in self._keys.values() if not (key.revoked or key.has_expired)])

    async def watch(self) -> None:
        """Refreshes forever, so that a revoked key stops working within five seconds."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            try:
                # In a thread: thousands of keys take time to parse, and a file system may be slow as well.
                if await asyncio.to_thread(self.refresh):
                    self._report_names()
            except Exception:  # noqa: BLE001 - a watcher that dies would leave revoked keys in force
                logger.exception("the keys file could not be checked")


def read_keys(path: Path) -> dict[bytes, Key]:
    """Reads keys.yaml into a table by SHA-256 digest (32 bytes).

    Raises:
        KeysFileError: The file is missing, is not YAML, or an entry is wrong.
    """
    return _parse(_content(path), path)


def _content(path: Path) -> bytes:
    return read_file(path, _DESCRIPTION, "create it with 'make key NAME=…', or set KEYS_FILE", KeysFileError)


def _parse(content: bytes, path: Path) -> dict[bytes, Key]:
    location: tuple[int | str, ...] = ()
    keys: dict[bytes, Key] = {}
    try:
        for number, item in enumerate(
            _File.model_validate(parse_yaml(content, path, _DESCRIPTION, KeysFileError)).keys
        ):
            location = ("keys", number)
            key = _key(_Entry.model_validate(item))
            keys[key.digest] = key
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise KeysFileError(
            f"The keys file {str(path)!r}: {_location(location, first)} is not allowed: {first['msg']}."
        ) from None
    return keys


def _key(entry: _Entry) -> Key:
    return Key(
        name=entry.name,
        role=entry.role,
        digest=bytes.fromhex(entry.sha256),
        expires=entry.expires,
        models=None if entry.models is None else frozenset(entry.models),
        revoked=entry.revoked,
    )


def _keep_copy(content: bytes, last_good: Path) -> None:
    """Keeps a copy of the bytes that were read; the file itself may have changed since.

    If that fails, no older copy is left either: it would accept keys that have been revoked since.
    """
    new = last_good.with_suffix(f".{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(last_good)
    except OSError as error:
        logger.warning("the keys file could not be copied: {}", error.strerror)
        for path in (new, last_good):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _location(entry: tuple[int | str, ...], error: ErrorDetails) -> str:
    """The wrong field, with its value if nobody would paste a key there. Long values may be keys and are not shown."""
    path = [str(part) if len(str(part)) <= _MAX_ECHO else "…" for part in (*entry, *error["loc"])]
    value = error["input"] if isinstance(error["input"], str | int | float | date) else ""
    echo = f" = {value!r}" if path and path[-1] in _SAFE_TO_ECHO and 0 < len(str(value)) <= _MAX_ECHO else ""
    return f"{'.'.join(path) or 'the whole file'}{echo}"
