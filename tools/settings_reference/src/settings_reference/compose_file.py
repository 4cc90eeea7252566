"""compose.yaml's environment lists: the settings that a service takes as they are, between two marks.

    environment:
      GATEWAY_HOST: 0.0.0.0  # by hand: it differs in a container
      # >>> make settings
      LOG_LEVEL:
      # <<<

A name without a value is taken from `.env` or the environment. What a service gets by hand is left out of its list.
"""

import re
from typing import Any

import yaml

from settings_reference.setting import Reference

_BLOCK = re.compile(r"^(?P<indent> +)# >>> make settings\n(?P<names>.*?)^(?P=indent)# <<<\n", re.MULTILINE | re.DOTALL)
_SERVICE = re.compile(r"^  (?P<name>[a-z-]+):", re.MULTILINE)


def render(reference: Reference, text: str) -> str:
    """The file's text with the lists that belong between its marks."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    start = text.index("\nservices:")

    def names(match: re.Match[str]) -> str:
        service = [found["name"] for found in _SERVICE.finditer(text, start, match.start())][-1]
        by_hand = {name for name, value in (services[service].get("environment") or {}).items() if value is not None}
        indent = match["indent"]
        lines = (f"{indent}{name}:\n" for name in reference.read_by(service) if name not in by_hand)
        return f"{indent}# >>> make settings\n{''.join(lines)}{indent}# <<<\n"

    return _BLOCK.sub(names, text)
