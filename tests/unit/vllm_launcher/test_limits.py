from vllm_launcher import limits
from vllm_launcher.options import Options


def test_the_limits_are_those_that_the_options_set() -> None:
    options: Options = {"max-num-seqs": ("32",), "max-model-len": ("2048",), "dtype": ("float16",), "enable-lora": True}

    assert limits.of(options) == {"max_num_seqs": 32, "max_model_len": 2048}


def test_a_value_that_vllm_resolves_is_no_number() -> None:
    assert limits.of({"max-model-len": ("auto",), "max-num-batched-tokens": ("8k",), "max-num-seqs": ()}) == {}
