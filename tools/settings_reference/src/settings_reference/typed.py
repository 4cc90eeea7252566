"""Settings of programs that declare them in a pydantic model: name, default, description and what is allowed."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from settings_reference.setting import Setting

_WORDS: dict[Any, str] = {bool: "true or false", Path: "a path", str: "text"}


def settings_of(
    model: type[BaseSettings], reader: str, *, defaults: Mapping[str, str], allowed: Mapping[str, str]
) -> Iterator[Setting]:
    """The settings of a program, in the order in which it declares them.

    Args:
        model: its settings; a field without a description is not for users.
        reader: the program.
        defaults: by variable, where the stack's default is another one, or the model computes it.
        allowed: by variable, what a validator of the program's own allows.
    """
    for field_name, field in model.model_fields.items():
        if field.description:
            name = _variable(model, field_name, field)
            yield Setting(
                name=name,
                default=defaults.get(name, default_text(field)),
                description=_sentence(field.description),
                allowed=allowed.get(name) or allowed_text(field),
                readers=(reader,),
            )


def default_text(field: FieldInfo) -> str:
    """A default as a user writes it; empty where there is none, or where it is computed."""
    default = field.default
    if default is None or default is PydanticUndefined or default == ():
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def allowed_text(field: FieldInfo) -> str:
    """What a field allows, in words."""
    for item in field.metadata:
        if isinstance(text := getattr(item, "text", None), str):  # glasshouse.setting_types.Allowed
            return text
        if isinstance(pattern := getattr(item, "pattern", None), str) and (
            options := re.fullmatch(r"\^\(([\w|-]+)\)\$", pattern)
        ):
            return _one_of(options[1].split("|"))
    annotation = next((part for part in get_args(field.annotation) if part is not type(None)), field.annotation)
    if get_origin(field.annotation) is Literal:
        return _one_of(get_args(field.annotation))
    if annotation in {int, float}:
        return _number("whole number" if annotation is int else "number", field)
    return _WORDS.get(annotation, "text")


def _number(noun: str, field: FieldInfo) -> str:
    bounds = {
        name: getattr(item, name) for item in field.metadata for name in ("gt", "ge", "le") if hasattr(item, name)
    }
    if "gt" in bounds:
        lowest, highest = f" above {bounds['gt']:,}", ", up to"
    else:
        lowest, highest = (f" from {bounds['ge']:,}", " to") if "ge" in bounds else ("", " up to")
    return f"a {noun}{lowest}" + (f"{highest} {bounds['le']:,}" if "le" in bounds else "")


def _one_of(options: tuple[str, ...] | list[str]) -> str:
    return f"{', '.join(options[:-1])} or {options[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _variable(model: type[BaseSettings], field_name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, str):
        return field.validation_alias.upper()
    return f"{model.model_config.get('env_prefix', '')}{field_name}".upper()
