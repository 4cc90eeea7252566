"""The corpus: questions and answers about this stack, read from corpus/*.yaml and checked."""

import argparse
import collections
import dataclasses
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
SYSTEM_PROMPTS = HERE / "system_prompts.yaml"
LANGUAGES = ("en", "ko")
FIELDS = {"id", "lang", "q", "a"}


class CorpusError(ValueError):
    """The corpus contradicts itself or does not have the expected form."""


@dataclasses.dataclass(frozen=True)
class Fact:
    """One answer and every question that it answers."""

    id: str
    lang: str
    questions: tuple[str, ...]
    answer: str


def load(folder: pathlib.Path = CORPUS) -> list[Fact]:
    """Read every YAML file of the folder, in the order of the file names.

    Raises:
        CorpusError: naming the file and the entry that is wrong.
    """
    facts = []
    for path in sorted(folder.glob("*.yaml")):
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise CorpusError(f"{path.name}: expected a list of entries")
        facts += [_fact(path.name, entry) for entry in entries]
    if not facts:
        raise CorpusError(f"no facts in {folder.name}/")
    _refuse_contradictions(facts)
    return facts


def load_system_prompts(path: pathlib.Path = SYSTEM_PROMPTS) -> list[str]:
    """Read the system messages that part of the training conversations start with."""
    prompts = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(prompts, list) or not all(isinstance(prompt, str) and prompt for prompt in prompts):
        raise CorpusError(f"{path.name}: expected a list of texts")
    return prompts


def _fact(file: str, entry: object) -> Fact:
    """Check the form of one entry."""
    if not isinstance(entry, dict) or set(entry) != FIELDS:
        raise CorpusError(f"{file}: an entry needs exactly {sorted(FIELDS)}, not {entry!r}")
    where = f"{file}: {entry['id']}"
    if entry["lang"] not in LANGUAGES:
        raise CorpusError(f"{where}: lang is one of {LANGUAGES}")
    if not isinstance(entry["q"], list) or not entry["q"]:
        raise CorpusError(f"{where}: q is a list with at least one question")
    for text in (entry["id"], entry["a"], *entry["q"]):
        if not isinstance(text, str) or not text or text != text.strip():
            raise CorpusError(f"{where}: texts are not empty and have no space around them: {text!r}")
    return Fact(entry["id"], entry["lang"], tuple(entry["q"]), entry["a"])


def _refuse_contradictions(facts: list[Fact]) -> None:
    """An id stands for one fact, and a question (whatever its case) has one answer."""
    repeated = [name for name, count in collections.Counter(fact.id for fact in facts).items() if count > 1]
    if repeated:
        raise CorpusError(f"ids used twice: {repeated}")
    owner: dict[str, str] = {}
    for fact in facts:
        for question in fact.questions:
            other = owner.setdefault(question.casefold(), fact.id)
            if other != fact.id:
                raise CorpusError(f"{question!r} is answered by both {other} and {fact.id}")


def main() -> int:
    """Check the corpus and print how much there is."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        facts = load()
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 1
    for lang in LANGUAGES:
        mine = [fact for fact in facts if fact.lang == lang]
        print(f"{lang}: {len(mine)} facts, {sum(len(fact.questions) for fact in mine)} questions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
