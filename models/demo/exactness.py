"""Does greedy decoding give every answer of the corpus? Asked of weights already rounded to 16 bits."""

import copy
import dataclasses
import random

import torch
from dialogue import IGNORED, Chat, Row, stack
from facts import Fact
from model import Llama
from tokenizer import END_ID, Encoder

ROWS = 64  # sequences scored at once


@dataclasses.dataclass(frozen=True)
class Score:
    """How many questions are answered exactly, and by how much the tightest token won.

    `margin` is the smallest difference, over all tokens of all answers, between the logit of the right token and the
    best of the others: what rounding inside an engine may eat before an answer changes.
    """

    exact: int
    total: int
    margin: float
    wrong: tuple[str, ...]
    weak: tuple[str, ...]  # wrong, or right by less than the margin asked for


def rounded(model: Llama, kind: torch.dtype) -> Llama:
    """A copy that computes in 32 bits with weights that a 16-bit file can hold."""
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.copy_(parameter.to(kind).float())
    return twin


def settings(facts: list[Fact], systems: list[str], encoder: Encoder) -> dict[str, list[tuple[str, Row]]]:
    """The ways of asking: alone, after a system prompt, after another turn, and without the chat format."""
    chat = Chat(encoder)
    chance = random.Random(1)  # noqa: S311  # test data, not a secret
    ways: dict[str, list[tuple[str, Row]]] = {"alone": [], "system": [], "second turn": [], "raw": []}
    for fact in facts:
        for question in fact.questions:
            for way, rows in ways.items():
                row = Row()
                if way == "system":
                    row.context(chat.message("system", encoder.exact(chance.choice(systems))))
                if way == "second turn":
                    other = chance.choice(facts)
                    chat.turn(row, encoder.exact(chance.choice(other.questions)), other.answer)
                    row.labels = [IGNORED] * len(row.ids)
                if way == "raw":
                    row.context(encoder.exact(question))
                    row.answer([*encoder.exact("\n" + fact.answer), END_ID])
                else:
                    chat.turn(row, encoder.exact(question), fact.answer)
                rows.append((question, row))
    return ways


@torch.no_grad()
def score(model: Llama, asked: list[tuple[str, Row]], enough: float = 0.0) -> Score:
    """Count the exact answers.

    Greedy decoding reproduces an answer if and only if, with the answer so far as context, every next token of it
    (the end token too) has the highest logit: so one pass over the known answers decides, without decoding.
    """
    margins: list[tuple[float, str]] = []
    ordered = sorted(asked, key=lambda pair: len(pair[1].ids))
    for start in range(0, len(ordered), ROWS):
        part = ordered[start : start + ROWS]
        ids, labels = stack([row for _, row in part])
        row_of, _ = picked = torch.nonzero(labels != IGNORED, as_tuple=True)
        logits = model.logits(model(ids)[picked])
        right = labels[picked][:, None]
        mine = logits.gather(1, right)[:, 0]
        lead = mine - logits.scatter(1, right, float("-inf")).max(dim=1).values
        margins += [(lead[row_of == at].min().item(), question) for at, (question, _) in enumerate(part)]
    wrong = tuple(question for margin, question in margins if margin <= 0)
    weak = tuple(question for margin, question in margins if margin <= enough)
    return Score(len(asked) - len(wrong), len(asked), min(margins)[0], wrong, weak)
