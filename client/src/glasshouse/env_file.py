r"""`.env`, read exactly as Docker Compose reads it; what Compose reads differently than a person expects is refused.

    NAME=value          up to the end of the line, or to a `#` after a space
    NAME='value'        verbatim, over several lines too; \' is a quote
    NAME="value"        likewise, with \n, \t, \", \\ and \$
    $NAME, ${NAME}      unquoted or between double quotes: the value in the environment, or in an earlier line
    ${NAME:-value}      likewise, with a default if it is unset or empty; ${NAME-value} if it is unset
    $$                  a dollar sign

python-dotenv, which pydantic-settings would use, differs: it expands ${NAME} between single quotes, leaves $NAME as it
is, and skips what it cannot read.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from glasshouse.errors import SettingsError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SPACE = r"[ \t\v\f\r\x85\xa0]"
_BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(rf"(?:export{_SPACE}+)?({_NAME}){_SPACE}*={_SPACE}*")
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_AFTER_QUOTES = re.compile(rf"{_SPACE}*(?:#[^\n]*)?(?:\n|\Z)")
_BRACED = rf"\{{(?P<name>{_NAME})(?:(?P<how>:?-)(?P<default>[^{{}}$]*))?\}}"
_DOLLAR = rf"\$(?:(?P<dollar>\$)|(?P<bare>{_NAME})|{_BRACED}|(?P<bad>\{{))"
_EXPANDED = re.compile(_DOLLAR)
_EXPANDED_OR_ESCAPED = re.compile(rf"\\(?P<escaped>.)|{_DOLLAR}", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
# These mean something to Compose; any other character keeps its backslash.
_RARE_ESCAPES = "abcfv0"


class VariablesSource(PydanticBaseSettingsSource):
    """Settings from the environment over `.env`; a field is the variable of its name, or its alias, in capitals.

    What it read goes into the field `variables`, with those that are no settings of ours.
    """

    def __init__(self, settings_cls: type[BaseSettings], path: Path, environ: Mapping[str, str]) -> None:
        """Reads the file.

        Raises:
            SettingsError: It cannot be read.
        """
        super().__init__(settings_cls)
        self._variables = {**read(path, environ), **environ}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """See pydantic-settings: the value, the name by which the model takes it, and that it is no JSON."""
        key = field.validation_alias if isinstance(field.validation_alias, str) else field_name
        return self._variables.get(key.upper()), key, False

    def __call__(self) -> dict[str, Any]:
        """See pydantic-settings: what is set.

        Raises:
            SettingsError: A value holds bytes that are not UTF-8, which pydantic could not name.
        """
        found: dict[str, Any] = {"variables": self._variables}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                if any("\ud800" <= character <= "\udfff" for character in value):
                    raise SettingsError(f"{key.upper()}={value!r} is not allowed: use printable characters.")
                found.setdefault(key, value)
        return found


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an env file; empty ones count as not set, and a missing file as an empty one.

    Args:
        path: The file.
        environ: Where `$NAME` is looked up first.

    Raises:
        SettingsError: The file, or a line of it, cannot be read; no value is shown, as it may be a secret.
    """
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}.") from error
    return {name: value for name, value in _Reader(path.name, text, environ).variables().items() if value}


class _Reader:
    """Parses the text in one pass."""

    def __init__(self, file: str, text: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._text = text
        self._environ = environ
        self._at = 0
        self._known: dict[str, str] = {}

    def variables(self) -> dict[str, str]:
        """All variables of the text.

        Raises:
            SettingsError: A line cannot be read.
        """
        while True:
            between = _BETWEEN.match(self._text, self._at)
            self._at = between.end() if between else self._at
            if self._at == len(self._text):
                return self._known
            key = _KEY.match(self._text, self._at)
            if key is None:
                raise self._error(" is not NAME=value")
            value, end = self._value(key[1], key.end())
            if "\0" in value:
                raise self._error(f": {key[1]} holds a NUL, which no variable can hold")
            self._known[key[1]], self._at = value, end

    def _value(self, name: str, at: int) -> tuple[str, int]:
        """The value that begins at `at`, and where the next line begins."""
        quote = self._text[at : at + 1]
        if quote == "'":
            text, end = self._quoted(name, _SINGLE_QUOTED, at)
            return text.replace("\\'", "'"), end
        if quote == '"':
            text, end = self._quoted(name, _DOUBLE_QUOTED, at)
            return self._expand(name, _EXPANDED_OR_ESCAPED, text), end
        line = self._text[at:].partition("\n")[0]
        return self._expand(name, _EXPANDED, line.partition(" #")[0].rstrip()), at + len(line)

    def _quoted(self, name: str, pattern: re.Pattern[str], at: int) -> tuple[str, int]:
        quoted = pattern.match(self._text, at)
        if quoted is None:
            raise self._error(f": the quote of {name} is not closed")
        rest = _AFTER_QUOTES.match(self._text, quoted.end())
        if rest is None:
            raise self._error(f": there is text after the value of {name}")
        return quoted[1], rest.end()

    def _expand(self, name: str, pattern: re.Pattern[str], value: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            found = match.groupdict()
            if escaped := found.get("escaped"):
                if escaped in _RARE_ESCAPES:
                    raise self._error(f": \\{escaped} in {name} is not supported here")
                return _ESCAPES.get(escaped, match[0])
            if found["dollar"]:
                return "$"
            if found["bad"]:
                raise self._error(
                    f": {name} has a ${{ that is not supported here; between single quotes it stays as it is"
                )
            default = found["default"] or ""
            known = self._environ.get(variable := found["bare"] or found["name"], self._known.get(variable))
            return default if known is None or (not known and found["how"] == ":-") else known

        return pattern.sub(replaced, value)

    def _error(self, problem: str) -> SettingsError:
        line = self._text.count("\n", 0, self._at) + 1
        return SettingsError(f"{self._file}, line {line}{problem}.")
