r"""`.env`, read as Docker Compose reads it: what it would read otherwise than a person expects is refused.

    NAME=value          up to the end of the line, or to a `#` behind a space
    NAME='value'        as it stands, over several lines too; \' is a quote
    NAME="value"        likewise, with \n, \t, \", \\ and \$
    $NAME, ${NAME}      in an unquoted value or between double quotes: the environment's, or an earlier line's
    ${NAME:-value}      likewise, with a default where it is not set or empty; ${NAME-value} where it is not set
    $$                  a dollar

python-dotenv reads it otherwise: it expands ${NAME} between single quotes, leaves $NAME, and skips what it cannot read.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from glasshouse.errors import SettingsError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SPACE = r"[ \t\v\f\r\x85\xa0]"
_BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(rf"(?:export{_SPACE}+)?({_NAME}){_SPACE}*={_SPACE}*")
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BEHIND_QUOTES = re.compile(rf"{_SPACE}*(?:#[^\n]*)?(?:\n|\Z)")
_BRACED = rf"\{{(?P<name>{_NAME})(?:(?P<how>:?-)(?P<default>[^{{}}$]*))?\}}"
_DOLLAR = rf"\$(?:(?P<dollar>\$)|(?P<bare>{_NAME})|{_BRACED}|(?P<bad>\{{))"
_EXPANDED = re.compile(_DOLLAR)
_EXPANDED_OR_ESCAPED = re.compile(rf"\\(?P<escaped>.)|{_DOLLAR}", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
# These mean something to Compose; any other character keeps its backslash.
_RARE_ESCAPES = "abcfv0"


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an env file; empty ones count as not set, and a missing file is an empty one.

    Args:
        path: The file.
        environ: What `$NAME` is looked up in first.

    Raises:
        SettingsError: A line cannot be read, or the file; no value is shown, as it may be a secret.
    """
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}.") from error
    return {name: value for name, value in _Reader(path.name, text, environ).variables().items() if value}


class _Reader:
    """Goes through the text once."""

    def __init__(self, file: str, text: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._text = text
        self._environ = environ
        self._at = 0
        self._known: dict[str, str] = {}

    def variables(self) -> dict[str, str]:
        """All of them.

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
                raise self._wrong(" is not NAME=value")
            value, end = self._value(key[1], key.end())
            if "\0" in value:
                raise self._wrong(f": {key[1]} holds a NUL, which no variable can")
            self._known[key[1]], self._at = value, end

    def _value(self, name: str, at: int) -> tuple[str, int]:
        """A value that begins there, and where the next line does."""
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
            raise self._wrong(f": the quote of {name} is not closed")
        rest = _BEHIND_QUOTES.match(self._text, quoted.end())
        if rest is None:
            raise self._wrong(f": something stands behind the value of {name}")
        return quoted[1], rest.end()

    def _expand(self, name: str, pattern: re.Pattern[str], value: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            found = match.groupdict()
            if escaped := found.get("escaped"):
                if escaped in _RARE_ESCAPES:
                    raise self._wrong(f": \\{escaped} in {name} is not taken here")
                return _ESCAPES.get(escaped, match[0])
            if found["dollar"]:
                return "$"
            if found["bad"]:
                raise self._wrong(f": {name} has a ${{ that is not taken here; between ' and ' it stays as it is")
            default = found["default"] or ""
            known = self._environ.get(variable := found["bare"] or found["name"], self._known.get(variable))
            return default if known is None or (not known and found["how"] == ":-") else known

        return pattern.sub(replaced, value)

    def _wrong(self, what: str) -> SettingsError:
        line = self._text.count("\n", 0, self._at) + 1
        return SettingsError(f"{self._file}, line {line}{what}.")
