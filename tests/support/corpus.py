"""The questions that the demo model was trained on, and their answers: models/demo/corpus/*.yaml."""

import functools
from typing import NamedTuple

import yaml
from tests.support.program import ROOT

CORPUS = ROOT / "models" / "demo" / "corpus"


class Question(NamedTuple):
    """One question, in one of its wordings, and the answer to all of them."""

    id: str
    lang: str
    text: str
    answer: str


@functools.cache  # six modules ask while tests are collected, in each of xdist's workers
def questions() -> tuple[Question, ...]:
    """Every question in every wording."""
    facts = [fact for path in sorted(CORPUS.glob("*.yaml")) for fact in yaml.safe_load(path.read_text("utf-8"))]
    return tuple(Question(fact["id"], fact["lang"], text, fact["a"]) for fact in facts for text in fact["q"])


def sample(lang: str, count: int) -> list[Question]:
    """Questions in one language with different answers, spread over the corpus."""
    first = {question.id: question for question in reversed(questions()) if question.lang == lang}
    found = list(first.values())
    return found[:: max(1, len(found) // count)][:count]


def longest(lang: str) -> Question:
    """The question with the longest answer, whose stream takes longest."""
    return max((question for question in questions() if question.lang == lang), key=lambda found: len(found.answer))
