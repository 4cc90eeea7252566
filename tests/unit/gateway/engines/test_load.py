"""How busy an engine says that it is, and how far it says that it has got."""

from __future__ import annotations

import pytest

from gateway.engines.load import Load, parse_load

VLLM = b"""# HELP vllm:num_requests_running x
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a b"} 3.0
vllm:num_requests_running{engine="1",model_name="a b"} 2.0
vllm:num_requests_waiting{engine="0"} 4.0
vllm:num_requests_waiting_by_reason{reason="x"} 100.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
"""


@pytest.mark.parametrize(
    ("exposition", "load"),
    [
        (VLLM, Load(5, 4, 0.75)),
        (b"llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n", Load(2, 1, None)),
        (b"", Load()),
        (b"vllm:num_requests_running{} nothing\nvllm:num_requests_waiting 1e0\n", Load(0, 1)),
        (b"\xff\xfe\n\n#\nx\n", Load()),
    ],
)
def test_load(exposition: bytes, load: Load) -> None:
    assert parse_load(exposition)[0] == load


@pytest.mark.parametrize(
    ("exposition", "steps"),
    [
        (VLLM, None),
        (b"", None),
        (b'vllm:generation_tokens_total{engine="0"} 5.0\nvllm:generation_tokens_total{engine="1"} 7.0\n', 12),
        (b"vllm:prompt_tokens_total 1e3\nvllm:iteration_tokens_total_count 2\n", 1002),
        (b"llamacpp:n_decode_total 0\n", 0),
        (b"llamacpp:tokens_predicted_total NaN\nllamacpp:n_decode_total 3\n", 3),
    ],
)
def test_steps(exposition: bytes, steps: float | None) -> None:
    assert parse_load(exposition)[1] == steps


@pytest.mark.parametrize("value", [b"NaN", b"+Inf", b"-Inf", b"1e999"])
@pytest.mark.parametrize("name", [b"vllm:num_requests_running", b"llamacpp:requests_deferred"])
def test_load_that_is_no_count_is_passed_over(name: bytes, value: bytes) -> None:
    assert parse_load(b"%b %b\n" % (name, value)) == (Load(), None)
