from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from glasshouse.setting_types import whole
from settings_reference.typed import settings_of


class Program(BaseSettings):
    """Settings of every form."""

    model_config = SettingsConfigDict(env_prefix="P_")

    count: Annotated[int, Field(ge=1, le=9_000, description="a number")] = 3
    seconds: Annotated[float, Field(gt=0, le=60, description="Seconds.")] = 30.0
    share: Annotated[float | None, Field(ge=0, description="A share.")] = None
    level: Annotated[str, Field(pattern="^(debug|info)$", description="A level.")] = "info"
    shape: Annotated[Literal["a", "b", "c"], Field(description="A shape.")] = "a"
    file: Annotated[Path | None, Field(description="A file.")] = None
    on: Annotated[bool, Field(description="A switch.")] = True
    words: Annotated[tuple[str, ...], Field(default_factory=tuple, description="Words.")]
    ours: Annotated[int, whole(1, 2), Field(description="Ours.", validation_alias="OURS")] = 1
    internal: str = "not for users"


@pytest.fixture(scope="module")
def settings() -> dict[str, tuple[str, str]]:
    found = settings_of(Program, "p", defaults={"P_FILE": "x"}, allowed={"P_WORDS": "words"})
    return {setting.name: (setting.default, setting.allowed) for setting in found}


def test_defaults_and_what_is_allowed_are_in_a_users_words(settings: dict[str, tuple[str, str]]) -> None:
    assert settings == {
        "P_COUNT": ("3", "a whole number from 1 to 9,000"),
        "P_SECONDS": ("30", "a number above 0, up to 60"),
        "P_SHARE": ("", "a number from 0"),
        "P_LEVEL": ("info", "debug or info"),
        "P_SHAPE": ("a", "a, b or c"),
        "P_FILE": ("x", "a path"),
        "P_ON": ("true", "true or false"),
        "P_WORDS": ("", "words"),
        "OURS": ("1", "a whole number from 1 to 2"),
    }


def test_a_description_is_a_sentence() -> None:
    first, second, *_ = settings_of(Program, "p", defaults={}, allowed={})
    assert (first.description, second.description, first.readers) == ("A number.", "Seconds.", ("p",))
