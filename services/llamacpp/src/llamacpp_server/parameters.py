"""The parameters that the launcher passes to the engine's process."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that the engine needs to start, keys included: they are sent over a pipe and stored nowhere.

    `ctx` is llama.cpp's n_ctx: the tokens of all slots together.
    """

    model: str
    alias: str
    host: str
    port: int
    ctx: int
    parallel: int
    threads: int
    embeddings: bool
    embedding_tokens: int
    gpu_layers: int
    lora: tuple[str, ...]
    keys: tuple[str, ...] = field(repr=False)

    def dump(self) -> bytes:
        """Serialise to one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def load(cls, line: bytes) -> "Parameters":
        """Parse what `dump` wrote."""
        values = json.loads(line)
        return cls(**{**values, "lora": tuple(values["lora"]), "keys": tuple(values["keys"])})
