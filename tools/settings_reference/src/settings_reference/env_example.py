"""`.env.example`: every setting as a comment, with its default, below what it does."""

import textwrap
from collections.abc import Iterator

from settings_reference.setting import Reference, Setting

_WIDTH = 120
_HEAD = """\
# All settings with their defaults. Copy this file to .env and uncomment what you change; `make up` reads it.
# It is read as Docker Compose reads it: $NAME and ${NAME:-default} are expanded, but not between single quotes.
# Command line (make up GATEWAY_PORT=8010) over environment over .env. An empty value counts as not set.
# docs/settings.md is the same as a table, with the values that are allowed. Written by `make settings`.
"""


def render(reference: Reference) -> str:
    """The file's text."""
    sections = (
        f"\n# ---- {section.title}\n\n{''.join(map(_setting, section.settings))}" for section in reference.sections
    )
    return _HEAD + "".join(sections)


def _setting(setting: Setting) -> str:
    return "".join(f"{line}\n" for line in (*_comment(setting.description), f"#{setting.name}={setting.default}"))


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text.replace("`", ""), _WIDTH - 2, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"
