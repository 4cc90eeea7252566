"""How generated files are written, so that the same source always gives the same bytes."""

import json

import yaml

_SOURCE = "Written by `make dashboards` from observability/: change it there."


class _Dumper(yaml.SafeDumper):
    """Indents the items of a list below their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 -- the signature is pyyaml's
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Several lines as a block, so that they can be read."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def as_yaml(document: object, about: str) -> str:
    """A YAML file; `about` is one line on what reads it."""
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# {about}\n# {_SOURCE}\n\n{body}"


def as_json(document: object) -> str:
    """A JSON file, indented so that a change can be read in a diff."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
