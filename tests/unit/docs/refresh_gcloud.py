"""Writes gcloud.json: the grammar of the gcloud commands in the guides, as an installed gcloud knows it, offline.
From the repository's root: `PYTHONPATH=. .venv/bin/python tests/unit/docs/refresh_gcloud.py`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.docs.pages import guides

RECORDED = Path(__file__).with_name("gcloud.json")


def _flags(node: dict[str, Any]) -> dict[str, list[str]]:
    """The flags below a node of gcloud's grammar, each with its allowed values (none: any)."""
    found: dict[str, list[str]] = {}
    for argument in node["arguments"]:
        if "group" in argument:
            found |= _flags(argument["group"])
        elif not argument.get("positional"):
            found[f"--{argument['name']}"] = argument.get("choices", [])
    return found


def main() -> None:
    """Runs gcloud's linter, and stops at the first command that it refuses."""
    grammar: dict[str, dict[str, list[str]]] = {}
    for words in (words for page in guides() for words in page.commands("gcloud")):
        command = " ".join(("gcloud", *(f"'{word}'" if " " in word else word for word in words)))
        done = subprocess.run(
            ["gcloud", "meta", "lint-gcloud-commands", f"--command-string={command}"],
            capture_output=True,
            text=True,
            check=True,
        )
        [answer] = json.loads(done.stdout)
        if not answer["success"]:
            sys.exit(f"{command}\n{answer['error_message']}")
        grammar[answer["command_string_no_args"].removeprefix("gcloud ")] = _flags(answer["args_structure"])
    lines = [f"{json.dumps(command)}: {json.dumps(flags)}" for command, flags in sorted(grammar.items())]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
