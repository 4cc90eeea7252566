"""A Llama in plain torch, with Hugging Face's parameter names, so that its state is the published checkpoint."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of the network.

    The head size is 64: vLLM's CPU attention, FlashInfer and llama.cpp's CUDA kernels all have it.
    """

    vocabulary: int
    hidden: int = 192
    layers: int = 3
    heads: int = 3
    kv_heads: int = 3
    inner: int = 512
    context: int = 2048
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_size(self) -> int:
        """Numbers in one head."""
        return self.hidden // self.heads


class Norm(nn.Module):
    """Root mean square norm over the last axis."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self._epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., size] → [..., size]."""
        return functional.rms_norm(x, self.weight.shape, self.weight, self._epsilon)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A matrix without a bias: weight [outputs, inputs]."""
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape
        self.q_proj = _linear(shape.hidden, shape.heads * shape.head_size)
        self.k_proj = _linear(shape.hidden, shape.kv_heads * shape.head_size)
        self.v_proj = _linear(shape.hidden, shape.kv_heads * shape.head_size)
        self.o_proj = _linear(shape.heads * shape.head_size, shape.hidden)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """x: [batch, time, hidden]; cos, sin: [time, head_size]. Returns [batch, time, hidden]."""
        batch, time, _ = x.shape

        def heads(projected: torch.Tensor, count: int) -> torch.Tensor:
            return projected.view(batch, time, count, self._shape.head_size).transpose(1, 2)

        q = _rotate(heads(self.q_proj(x), self._shape.heads), cos, sin)
        k = _rotate(heads(self.k_proj(x), self._shape.kv_heads), cos, sin)
        v = heads(self.v_proj(x), self._shape.kv_heads)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, time, -1))


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions, halves convention of Hugging Face. x: [batch, heads, time, head_size]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class FeedForward(nn.Module):
    """The gated feed-forward network."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = _linear(shape.hidden, shape.inner)
        self.up_proj = _linear(shape.hidden, shape.inner)
        self.down_proj = _linear(shape.inner, shape.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, time, hidden] → the same."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One layer: attention, then feed-forward, each on the normalised stream and added to it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape.hidden, shape.norm_epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape.hidden, shape.norm_epsilon)
        self.mlp = FeedForward(shape)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """[batch, time, hidden] → the same."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Stack(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden, shape.norm_epsilon)


class Llama(nn.Module):
    """The language model; the output matrix is the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Stack(shape)
        frequencies = shape.rope_base ** (-torch.arange(0, shape.head_size, 2) / shape.head_size)
        angles = torch.outer(torch.arange(shape.context).float(), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** 0.5 if deep else 0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids: [batch, time]. Returns the normalised hidden states [batch, time, hidden]."""
        x = self.model.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.model.norm(x)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., hidden] → [..., vocabulary]."""
        return hidden @ self.model.embed_tokens.weight.T
