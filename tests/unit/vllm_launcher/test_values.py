from typing import Any

import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.options import Kind, Value
from vllm_launcher.values import from_text, from_yaml, to_arguments


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        (8192, "value", ("8192",)),
        (0.85, "value", ("0.85",)),
        ("bfloat16", "value", ("bfloat16",)),
        ({"pooling_type": "MEAN"}, "value", ('{"pooling_type": "MEAN"}',)),
        ([1, 2], "value", ("[1, 2]",)),
        ([1, 2], "list", ("1", "2")),
        ("one", "list", ("one",)),
        ([{"name": "a", "path": "b"}, '{"name":"c"}'], "list", ('{"name": "a", "path": "b"}', '{"name":"c"}')),
        (True, "boolean", True),
        (False, "boolean", False),
        (False, "switch", False),
        ("true", "boolean", True),
        (0, "boolean", False),
    ],
)
def test_a_value_of_a_model_file(raw: Any, kind: Kind, value: Value) -> None:
    assert from_yaml(raw, kind, "x") == value


@pytest.mark.parametrize(("raw", "kind"), [(True, "value"), (True, "list"), ("perhaps", "boolean"), ([], "list")])
def test_a_value_that_does_not_suit(raw: Any, kind: Kind) -> None:
    with pytest.raises(ConfigurationError, match=r"^demo.yaml: x="):
        from_yaml(raw, kind, "demo.yaml: x")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("8192", "value", ("8192",)),
        ("1", "boolean", True),
        ("No", "boolean", False),
        ("a b", "list", ("a", "b")),
        ('[{"name": "a"}, {"name": "b"}]', "list", ('{"name": "a"}', '{"name": "b"}')),
        # As vllm.env files in the field write it: one object after another.
        ('{"name":"a","path":"x y"}   {"name":"b"}', "list", ('{"name": "a", "path": "x y"}', '{"name": "b"}')),
    ],
)
def test_a_value_of_a_variable(text: str, kind: Kind, value: Value) -> None:
    assert from_text(text, kind, "VLLM_X") == value


def test_modules_that_are_not_json() -> None:
    with pytest.raises(ConfigurationError, match=r"^VLLM_LORA_MODULES is not JSON"):
        from_text('{"name":"a"', "list", "VLLM_LORA_MODULES")


def test_the_arguments_of_vllm() -> None:
    arguments = to_arguments(
        {
            "enable-lora": True,
            "enable-prefix-caching": False,
            "headless": False,
            "lora-modules": ('{"name": "a"}', '{"name": "b"}'),
            "max-model-len": ("8192",),
        }
    )

    assert arguments == [
        "--enable-lora",
        "--no-enable-prefix-caching",
        "--lora-modules",
        '{"name": "a"}',
        '{"name": "b"}',
        "--max-model-len",
        "8192",
    ]
