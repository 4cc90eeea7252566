"""What the launcher tells the engine's process."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that the engine needs to start, the key included: it travels over a pipe and is stored nowhere.

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
    key: str | None = field(repr=False)

    def dump(self) -> bytes:
        """Write them as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def load(cls, line: bytes) -> "Parameters":
        """Read what `dump` wrote."""
        values = json.loads(line)
        return cls(**{**values, "lora": tuple(values["lora"])})
