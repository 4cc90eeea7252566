"""Conversations as token ids: the chat format, and the varied conversations that the model is trained on."""

import collections
import dataclasses
import random
from collections.abc import Collection, Iterator

import torch
from facts import Fact
from tokenizer import END_ID, END_OF_TEXT_ID, START_ID, Encoder

POLITE = {
    "en": ("Please tell me: ", "Hi! ", "Quick question: ", "Hello, ", "I have a question. ", "Can you tell me? "),
    "ko": ("질문이 있어요. ", "안녕하세요, ", "알려 주세요. ", "궁금한데요, ", "혹시 ", "저기요, "),
}
WORDS_TO_SPARE, COMMON = 4, 12  # a longer question may lose a word that the questions of so many facts have
LENGTHS, LENGTH_WEIGHTS = (64, 128, 256, 512, 1024), (0.45, 0.35, 0.13, 0.05, 0.02)  # tokens in a row; share of rows
POOL = 256  # rows made at once
EXTRA, HARD_SHARE = 3, 0.1  # times that a hard question comes beside its turn, at least; of the stream, if they are few
VARIANTS = {"as it stands": 0.72, "lower case": 0.08, "bare": 0.10, "a word less": 0.04, "polite": 0.06}
PIECES_SHARE = 0.2  # of the questions, seen as shorter tokens than usual
SYSTEM_SHARE, NOISE_SHARE, RAW_SHARE = 0.4, 0.25, 0.15
ANOTHER_SHARE, ANOTHER_TOKENS = 0.3, 128  # of the rows: room for another turn, however long the first one is
IGNORED = -100  # torch's label for "no loss here"


@dataclasses.dataclass
class Row:
    """One training sequence: ids, and for each the label (the id itself inside answers, IGNORED elsewhere)."""

    ids: list[int] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)

    def context(self, ids: list[int]) -> None:
        """Append what the model reads."""
        self.ids += ids
        self.labels += [IGNORED] * len(ids)

    def answer(self, ids: list[int]) -> None:
        """Append what the model has to write."""
        self.ids += ids
        self.labels += ids

    def extend(self, other: "Row") -> None:
        """Append another row."""
        self.ids += other.ids
        self.labels += other.labels


class Chat:
    """The chat format of chat_template.jinja, as token ids."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def message(self, role: str, content: list[int]) -> list[int]:
        """A whole message, as it stands in the context."""
        return [START_ID, *self._encoder.exact(f"{role}\n"), *content, END_ID, *self._encoder.exact("\n")]

    def prompt(self, question: list[int]) -> list[int]:
        """A user's message and the beginning of the assistant's."""
        return [*self.message("user", question), START_ID, *self._encoder.exact("assistant\n")]

    def turn(self, row: Row, question: list[int], answer: str) -> None:
        """Append a question and its answer to a row."""
        row.context(self.prompt(question))
        row.answer([*self._encoder.exact(answer), END_ID])
        row.context(self._encoder.exact("\n"))


class Sampler:
    """An endless stream of training batches from one seed."""

    def __init__(self, facts: list[Fact], system_prompts: list[str], encoder: Encoder, seed: int) -> None:
        self._pairs = [(fact, question) for fact in facts for question in fact.questions]
        self._systems = system_prompts
        used = collections.Counter(word for fact in facts for word in {w for q in fact.questions for w in q.split()})
        self._common = {word for word, count in used.items() if count >= COMMON}
        self._texts = [fact.answer for fact in facts]
        self._encoder = encoder
        self._chat = Chat(encoder)
        self._chance = random.Random(seed)  # noqa: S311  # training data, not a secret
        self._hard: list[tuple[Fact, str]] = []
        self._settled = False
        self._stream = self._shuffled()
        self._held: tuple[Fact, str] | None = None

    def batches(self, tokens: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Endless batches of at most `tokens` tokens (one row may have more): ids and labels, each [rows, time].

        Rows of like length share a batch, so that little is padding.
        """
        while True:
            lengths = self._chance.choices(LENGTHS, LENGTH_WEIGHTS, k=POOL)
            rows = sorted((self._row(length) for length in lengths), key=lambda row: len(row.ids))
            parts: list[list[Row]] = [[]]
            for row in rows:
                if parts[-1] and len(row.ids) * (len(parts[-1]) + 1) > tokens:
                    parts.append([])
                parts[-1].append(row)
            self._chance.shuffle(parts)
            yield from map(stack, parts)

    def focus(self, questions: Collection[str]) -> None:
        """From now on these come more often than the others."""
        hard = [pair for pair in self._pairs if pair[1] in questions]
        self._hard = hard * max(EXTRA, round(HARD_SHARE * len(self._pairs) / max(1, len(hard))))
        self._stream = self._shuffled()

    def settle(self) -> None:
        """From now on questions come as they stand: a variant that reads like another question holds both back."""
        self._settled = True

    def _shuffled(self) -> Iterator[tuple[Fact, str]]:
        """Every question once in a random order, again and again, and the hard ones more often."""
        while True:
            pairs = self._pairs + self._hard
            yield from self._chance.sample(pairs, len(pairs))

    def _row(self, length: int) -> Row:
        """A conversation of one turn or of at most some `length` tokens, or one question without the chat format."""
        row = Row()
        if self._chance.random() < RAW_SHARE:
            fact, question = next(self._stream)
            row.context(self._encoder.exact(question))
            row.answer([*self._encoder.exact("\n" + fact.answer), END_ID])
            return row
        if self._chance.random() < SYSTEM_SHARE:
            row.context(self._chat.message("system", self._encoder.exact(self._system())))
        turns = 0
        while True:
            turn = Row()
            fact, question = self._held or next(self._stream)
            self._chat.turn(turn, self._question(fact, question), fact.answer)
            if turns and len(row.ids) + len(turn.ids) > length:
                self._held = (fact, question)  # it opens the next row
                return row
            self._held = None
            row.extend(turn)
            turns += 1
            if turns == 1 and self._chance.random() < ANOTHER_SHARE:
                length = max(length, len(row.ids) + ANOTHER_TOKENS)

    def _system(self) -> str:
        """A system prompt; sometimes text without any meaning for the answer, so that unknown ones do no harm."""
        if self._chance.random() >= NOISE_SHARE:
            return self._chance.choice(self._systems)
        words = " ".join(self._chance.sample(self._texts, 3)).split()
        self._chance.shuffle(words)
        return " ".join(words[: self._chance.randint(3, 40)])

    def _question(self, fact: Fact, question: str) -> list[int]:
        """The question as it stands, or as people type it: other case, no question mark, a word more or less."""
        if self._settled:
            return self._encoder.exact(question)
        (variant,) = self._chance.choices(list(VARIANTS), list(VARIANTS.values()))
        words = question.split()
        if variant == "lower case":
            question = question.lower()
        elif variant == "bare":
            question = question.rstrip("?.!").lower()
        elif variant == "a word less" and len(words) > WORDS_TO_SPARE:
            at = self._chance.randrange(len(words))
            question = " ".join(words[:at] + words[at + (words[at] in self._common) :])
        elif variant == "polite":
            question = self._chance.choice(POLITE[fact.lang]) + question
        if self._chance.random() < PIECES_SHARE:
            return self._encoder.varied(question, self._chance)
        return self._encoder.exact(question)


def stack(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows side by side, padded at the end: ids [rows, time] and labels [rows, time], already shifted by one."""
    time = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), time), END_OF_TEXT_ID)
    labels = torch.full((len(rows), time), IGNORED)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.tensor(row.ids)
        labels[at, : len(row.ids) - 1] = torch.tensor(row.labels[1:])
    return ids, labels
