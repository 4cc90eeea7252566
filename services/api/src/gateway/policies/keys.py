"""API keys: who may call. Hashes in a file that may change at any time; the keys themselves are nowhere."""

import asyncio
import hashlib
import hmac
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import Forbidden, Unauthorized
from gateway.yaml_file import parse_yaml, read_file

# Half of the five seconds within which a revoked key must stop working.
WATCH_INTERVAL_S = 1.0
_HARMLESS = frozenset({"role", "expires", "models", "revoked"})
_SHOWN = 24
_WHAT = "keys file"


class KeysFileError(Exception):
    """The keys file cannot be used; the text is one sentence naming file, field, value and what is allowed."""


class _Entry(BaseModel):
    """One entry of keys.yaml; no other fields exist."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Literal["user", "admin"] = "user"
    expires: date | None = None
    models: tuple[str, ...] | None = None
    revoked: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # Each is an `_Entry`, but checked by itself: all in one call would hold every thread up for 0.1 s.
    keys: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A key that has been found good. `name` is the id that metrics and logs show."""

    name: str
    role: Literal["user", "admin"]
    digest: bytes
    expires: date | None
    models: frozenset[str] | None
    revoked: bool

    def may_use(self, model: str) -> bool:
        """Whether this key is allowed to use `model`."""
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
    """The keys of one file, by its newest good version: a bad one is refused and logged, and changes nothing.

    Args:
        path: keys.yaml; see `_Entry` for its fields.
        last_good: Where a copy of the newest good version is kept (hashes only), for a worker that is started while the
            file is bad. The gateway must not go down with a worker because somebody is editing its keys.

    Raises:
        KeysFileError: On construction, when the file is bad and there is no good copy.
    """

    def __init__(self, path: Path, last_good: Path | None = None) -> None:
        self._path = path
        self._last_good = last_good
        self._stamp = _stamp(path)
        self._refused = ""
        try:
            self._keys = self._read()
        except KeysFileError as error:
            if last_good is None or not last_good.exists():
                raise
            logger.error("keys file refused, the last good keys stay in force: {}", error)
            self._keys = read_keys(last_good)

    def __len__(self) -> int:
        return len(self._keys)

    def authenticate(self, text: bytes) -> Key:
        """The key with this text.

        Raises:
            Unauthorized: It is unknown, revoked or past its date; `code` is `invalid_api_key`, `revoked_api_key` or
                `expired_api_key`.
        """
        digest = hashlib.sha256(text).digest()
        key = self._keys.get(digest)
        # The look-up is by hash, so its timing tells nothing about a key; the comparison is for those who audit.
        if key is None or not hmac.compare_digest(key.digest, digest):
            raise Unauthorized("This API key is not known here. Check it, or ask for a new one (make key NAME=…).")
        if key.revoked:
            raise Unauthorized("This API key has been revoked.", code="revoked_api_key")
        if key.expires is not None and datetime.now(UTC).date() > key.expires:
            raise Unauthorized(f"This API key expired on {key.expires}.", code="expired_api_key")
        return key

    def refresh(self) -> bool:
        """Reads the file again if it has changed; True when new keys are in force.

        A bad version is logged once and changes nothing.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp  # of before it is read: what changes meanwhile is another change
        try:
            self._keys = self._read()
        except KeysFileError as error:
            if str(error) != self._refused:
                logger.error("keys file refused, the old keys stay in force: {}", error)
            self._refused = str(error)
            return False
        self._refused = ""
        logger.info("keys file read again: {} keys", len(self._keys))
        return True

    def _read(self) -> dict[bytes, Key]:
        try:
            content = _content(self._path)
        except KeysFileError:
            self._stamp = None  # as it is, it may be readable in a second: when there are descriptors again, say
            raise
        keys = _parse(content, self._path)
        if self._last_good is not None:
            _keep_copy(content, self._last_good)
        return keys

    async def watch(self) -> None:
        """Refreshes for ever, so that a revoked key stops working within five seconds."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            try:
                # In a thread: thousands of keys take time to parse, and a file system may take its time as well.
                await asyncio.to_thread(self.refresh)
            except Exception:  # noqa: BLE001 - a watch that dies would leave revoked keys in force
                logger.exception("the keys file could not be looked at")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def read_keys(path: Path) -> dict[bytes, Key]:
    """Reads keys.yaml into a table by SHA-256 digest (32 bytes).

    Raises:
        KeysFileError: The file is missing, is no YAML, or an entry is wrong.
    """
    return _parse(_content(path), path)


def _content(path: Path) -> bytes:
    return read_file(path, _WHAT, "make one with 'make key NAME=…', or set KEYS_FILE", KeysFileError)


def _parse(content: bytes, path: Path) -> dict[bytes, Key]:
    place: tuple[int | str, ...] = ()
    keys: dict[bytes, Key] = {}
    try:
        for number, item in enumerate(_File.model_validate(parse_yaml(content, path, _WHAT, KeysFileError)).keys):
            place = ("keys", number)
            key = _key(_Entry.model_validate(item))
            keys[key.digest] = key
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise KeysFileError(
            f"The keys file {str(path)!r}: {_place(place, first)} is not allowed: {first['msg']}."
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
    """Keeps the bytes that were read; the file itself may have changed since.

    Where they cannot be kept, no older copy is left either: keys that have been revoked since would be good in it.
    """
    new = last_good.with_suffix(f".{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(last_good)
    except OSError as error:
        logger.warning("no copy of the keys file could be kept: {}", error.strerror)
        for path in (new, last_good):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _place(entry: tuple[int | str, ...], error: ErrorDetails) -> str:
    """The field at fault, with its value where nobody pastes a key; what is long may be one, and is not shown."""
    path = [str(part) if len(str(part)) <= _SHOWN else "…" for part in (*entry, *error["loc"])]
    value = error["input"] if isinstance(error["input"], str | int | float | date) else ""
    shown = f" = {value!r}" if path and path[-1] in _HARMLESS and 0 < len(str(value)) <= _SHOWN else ""
    return f"{'.'.join(path) or 'the whole file'}{shown}"
