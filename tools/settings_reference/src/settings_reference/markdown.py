"""docs/settings.md: the table of settings."""

from settings_reference.setting import Reference, Setting

_HEAD = """\
# Settings

Set them on the command line (`make up GATEWAY_PORT=8010`), in the environment, or in `.env`; the first of these wins.
`.env` is read as Docker Compose reads it, and an empty value counts as not set. [`.env.example`](../.env.example) is a
template.

This page is written by `make settings` from the typed settings of the programs. A wrong value is refused at the start,
in one sentence that names it. *Read by* names the programs: `glasshouse` is the command line, `compose` is Docker
Compose, the others are services.
"""


def render(reference: Reference) -> str:
    """The page's text."""
    parts = [_HEAD]
    for section in reference.sections:
        parts.append(
            f"\n## {section.title}\n\n| name | default | what it does | allowed | read by |\n|---|---|---|---|---|\n"
        )
        parts.extend(map(_row, section.settings))
    return "".join(parts)


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    cells = (f"`{setting.name}`", default, setting.description, setting.allowed, ", ".join(setting.readers))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
