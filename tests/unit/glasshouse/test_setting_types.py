from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from glasshouse.setting_types import LocalFile, LocalPath, Program, PublicHost, Retention, choice, whole


class Values(BaseModel):
    """One field of each type."""

    model_config = ConfigDict(validate_default=True)

    root: Path = Path("/checkout")
    number: Annotated[int, whole(2, 90)] = 2
    optional: Annotated[int | None, whole(1, 5)] = None
    directory: LocalPath = Path("relative")
    file: LocalFile = "/absolute"
    host: PublicHost = ""
    retention: Retention = "15d"
    program: Program = "auto"
    word: Annotated[str, choice("a.b", "c")] = "c"


def test_defaults_are_parsed_too() -> None:
    values = Values()
    assert (values.directory, values.file) == (Path("/checkout/relative"), "/absolute")
    assert (values.number, values.optional) == (2, None)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("number", "007", 7),
        ("number", "90", 90),
        ("optional", "5", 5),
        ("directory", "~", Path.home()),
        ("directory", "/srv", Path("/srv")),
        ("host", "[2001:db8::7]", "[2001:db8::7]"),
        ("retention", "12h", "12h"),
        ("program", "/usr/sbin/nginx", "/usr/sbin/nginx"),
        ("word", "a.b", "a.b"),
    ],
)
def test_a_text_becomes_its_value(field: str, text: str, value: Any) -> None:
    assert getattr(Values.model_validate({field: text}), field) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("number", ""), ("number", "1"), ("number", "91"), ("number", "8.0"), ("number", "8_0"), ("number", " 8"),
        ("number", "+8"), ("number", "٨"), ("number", "9" * 13), ("optional", "6"), ("directory", "a\nb"),
        ("directory", "~nobody-of-this-name"), ("host", "2001:db8::7"), ("retention", "0d"), ("retention", "15"),
        ("word", "axb"), ("word", "a.b|c"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused(field: str, text: str) -> None:
    with pytest.raises(ValidationError):
        Values.model_validate({field: text})
