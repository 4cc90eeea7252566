"""The optimizer: Muon for the matrices inside the layers, AdamW for the embedding and the norms."""

import copy

import torch
from model import Llama

MUON_RATE, ADAM_RATE = 0.02, 0.004
MOMENTUM, WEIGHT_DECAY = 0.95, 0.01
STEPS, COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)  # Newton-Schulz, as published with Muon
KEPT = 0.98  # of the average, at each step
WARM_UP, LAST_RATE = 0.02, 0.06  # share of the steps; share of the peak


class Muon:
    """Momentum whose update is made orthogonal, for all matrices of one size at once.

    torch.optim.Muon does the same in bfloat16, which a CPU without bfloat16 instructions computes very slowly, and
    matrix by matrix.
    """

    def __init__(self, matrices: list[torch.nn.Parameter]) -> None:
        sizes = {tuple(sorted(matrix.shape)) for matrix in matrices}
        self._groups = [[m for m in matrices if tuple(sorted(m.shape)) == size] for size in sorted(sizes)]
        self._momenta = [torch.stack([_wide(torch.zeros_like(m)) for m in group]) for group in self._groups]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every matrix once and clear its gradient."""
        for group, momentum in zip(self._groups, self._momenta, strict=True):
            gradients = torch.stack([_wide(matrix.grad) for matrix in group])
            momentum.lerp_(gradients, 1 - MOMENTUM)
            updates = orthogonal(gradients.lerp_(momentum, MOMENTUM))
            for matrix, update in zip(group, updates, strict=True):
                rows, columns = matrix.shape
                matrix.mul_(1 - rate * WEIGHT_DECAY)
                matrix.sub_(update.T if rows > columns else update, alpha=rate * max(1.0, rows / columns) ** 0.5)
                matrix.grad = None


def _wide(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix, or its transpose if it is taller than wide."""
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest matrices with singular values near one, by Newton-Schulz steps. [count, rows, columns] → the same."""
    a, b, c = COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x


class Average:
    """The running average of a model's weights: steadier than the weights of any one step, and what is published."""

    def __init__(self, model: Llama) -> None:
        self.model = copy.deepcopy(model).eval()
        self._source = model
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Take the present weights in; at first all of them count alike."""
        self._steps += 1
        share = max(1 - KEPT, 1 / self._steps)
        for mine, theirs in zip(self.model.parameters(), self._source.parameters(), strict=True):
            mine.lerp_(theirs, share)


class Schedule:
    """Both optimizers under one learning rate: a short warm-up, then a straight line down."""

    def __init__(self, model: Llama, steps: int) -> None:
        inside = [p for p in model.model.layers.parameters() if p.ndim > 1]
        known = {id(p) for p in inside}
        rest = [p for p in model.parameters() if id(p) not in known]
        self._steps = steps
        self._muon = Muon(inside)
        self._adam = torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def step(self, step: int) -> None:
        """Apply the gradients of step number `step` (from 0) and clear them."""
        warm_up = min(1.0, (step + 1) / (WARM_UP * self._steps))
        # In overtime the rate goes on falling: what is left to learn is a few answers, at the cost of none.
        overtime = max(0.1, 1 - 2 * (step - self._steps) / self._steps) if step > self._steps else 1.0
        scale = warm_up * max(LAST_RATE, 1 - step / self._steps) * overtime
        self._muon.step(MUON_RATE * scale)
        for group in self._adam.param_groups:
            group["lr"] = ADAM_RATE * scale
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
