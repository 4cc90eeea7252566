"""Types of settings. Each carries what it allows, in words: for the error message and for docs/settings.md."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

Kind = Literal["gpu", "cpu", "native"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, as it follows "use" in a message; and how its text becomes its value.

    Attributes:
        text: what is allowed.
        parse: turns text, or a default, into a value, given the fields before it; raises ValueError where it cannot.
    """

    text: str
    parse: Callable[[Any, dict[str, Any]], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic parse with it, before its own checks of the type."""

        def parse(value: Any, info: ValidationInfo) -> Any:
            return self.parse(value, info.data)

        return core_schema.with_info_before_validator_function(parse, handler(source))


def whole(lowest: int, highest: int) -> Allowed:
    """A whole number. pydantic alone would take `8_000`, ` 8000` and `8000.0` too."""
    text = f"a whole number from {lowest} to {highest}"

    def parse(value: Any, _: dict[str, Any]) -> Any:
        if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,12}", value):
            raise ValueError(text)
        if value is not None and not lowest <= int(value) <= highest:
            raise ValueError(text)
        return value

    return Allowed(text, parse)


def matching(pattern: str, text: str) -> Allowed:
    """A text of a certain form."""

    def parse(value: Any, _: dict[str, Any]) -> Any:
        if not re.fullmatch(pattern, value):
            raise ValueError(text)
        return value

    return Allowed(text, parse)


def choice(*options: str) -> Allowed:
    """One of several words."""
    text = f"{', '.join(options[:-1])} or {options[-1]}"
    return matching("|".join(map(re.escape, options)), text)


def _from_root(value: Any, before: dict[str, Any]) -> Path:
    text = str(value)
    if not text.isprintable():  # such a path breaks lines apart, or cannot be written down at all
        raise ValueError(text)
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # ~ of a user who is not there
        raise ValueError(text) from error
    return Path(before["root"]) / path


def _text_from_root(value: Any, before: dict[str, Any]) -> str:
    return str(_from_root(value, before))


_PATH = "a path of printable characters"

RequestedShape = Annotated[Literal["auto", "gpu", "cpu", "native"], choice("auto", "gpu", "cpu", "native")]
Port = Annotated[int, whole(1, 65_535)]
# Relative to the checkout, and absolute once read, so that a program finds it wherever it runs.
LocalPath = Annotated[Path, Allowed(_PATH, _from_root)]
LocalFile = Annotated[str, Allowed(_PATH, _text_from_root)]
ListenHost = Annotated[str, matching(r"[A-Za-z0-9.:-]{0,253}", "a host name or an address, without https://")]
# As it stands in a URL.
PublicHost = Annotated[
    str,
    matching(
        r"[A-Za-z0-9.-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\]",
        "a host name or an address, without https://, and one of IPv6 in brackets",
    ),
]
Retention = Annotated[str, matching(r"[1-9][0-9]*[mhdwy]", "a number and m, h, d, w or y, such as 12h or 15d")]
Program = Annotated[str, Allowed("auto, off or the path of a program", lambda value, _: value)]
Switch = Annotated[bool, Allowed("true or false", lambda value, _: value)]
