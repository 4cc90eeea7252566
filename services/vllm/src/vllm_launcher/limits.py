"""The limits of a vLLM that its options set. Those that are not set vLLM chooses itself, by the GPU."""

from vllm_launcher.options import Options

_OPTIONS = ("max-num-seqs", "max-num-batched-tokens", "max-model-len")


def of(options: Options) -> dict[str, int]:
    """Return the configured limits by name, as vLLM spells it in Python; without values such as `auto` or `16k`."""
    values = ((name, options.get(name)) for name in _OPTIONS)
    return {
        name.replace("-", "_"): int(value[0])
        for name, value in values
        if isinstance(value, tuple) and value and value[0].isdecimal()
    }
