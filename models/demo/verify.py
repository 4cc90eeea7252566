"""Ask both real engines every question of the corpus: are the answers exact, and the token ids the same?

Run with the interpreter that has xllamacpp: .venv/bin/python models/demo/verify.py [--engine llamacpp|vllm].
Exit code 0 when nothing differs. The tokens are compared when both engines run.
"""

import argparse
import concurrent.futures
import contextlib
import pathlib
import random
import sys
from typing import Any

import engines
import facts
from engines import Engine

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = 10  # mismatches printed for each way of asking
LONG_TURNS = 18  # earlier turns in the longest conversations
AT_ONCE = engines.SLOTS

Message = dict[str, Any]


def main() -> int:
    """Start the engines, ask, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("llamacpp", "vllm", "both"), default="both")
    parser.add_argument("--model", type=pathlib.Path, default=HERE, help="folder with the model's files")
    parser.add_argument("--port", type=int, default=18_060, help="first of two free ports")
    options = parser.parse_args()
    known, systems = facts.load(), facts.load_system_prompts()
    with contextlib.ExitStack() as running:
        started: list[Engine] = []
        if options.engine != "vllm":
            started.append(running.enter_context(engines.llamacpp(options.model, options.port)))
        if options.engine != "llamacpp":
            started.append(running.enter_context(engines.vllm(options.model, options.port + 1)))
        ways = conversations(known, systems)
        wrong = sum(ask(engine, way, asked) for engine in started for way, asked in ways.items())
        for engine in started:
            ask_raw(engine, known)  # only shown: the model is made for the chat format
        if len(started) > 1:
            wrong += compare_tokens(started, known, ways)
    print("everything matches" if not wrong else f"{wrong} mismatches")
    return 1 if wrong else 0


def conversations(known: list[facts.Fact], systems: list[str]) -> dict[str, list[tuple[list[Message], str]]]:
    """The ways of asking: (messages, expected answer) each."""
    chance = random.Random(2)  # noqa: S311  # test data, not a secret
    alone = [([_user(question)], fact.answer) for fact in known for question in fact.questions]
    parts, system, second, long = [], [], [], []
    for fact in known:
        question = fact.questions[0]
        parts.append(([{"role": "user", "content": [{"type": "text", "text": question}]}], fact.answer))
        system.append(([{"role": "system", "content": chance.choice(systems)}, _user(question)], fact.answer))
        second.append(([*_turn(chance.choice(known), chance), _user(question)], fact.answer))
    short = [fact for fact in known if len(fact.answer) < 200]  # noqa: PLR2004  # characters
    for fact in chance.sample(known, 20):
        earlier = [message for other in chance.sample(short, LONG_TURNS) for message in _turn(other, chance)]
        long.append(([*earlier, _user(fact.questions[0])], fact.answer))
    return {"alone": alone, "text parts": parts, "system": system, "second turn": second, "long": long}


def _user(question: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": question}


def _turn(fact: facts.Fact, chance: random.Random) -> list[Message]:
    """A question with its answer."""
    return [_user(chance.choice(fact.questions)), {"role": "assistant", "content": fact.answer}]


def ask(engine: Engine, way: str, asked: list[tuple[list[Message], str]]) -> int:
    """Ask everything, print what differs, return how many do."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(engine.chat, [messages for messages, _ in asked]))
    pairs = zip(asked, answers, strict=True)
    wrong = [(messages[-1]["content"], answer) for (messages, expected), answer in pairs if answer != expected]
    return _report(engine, way, len(asked), wrong)


def ask_raw(engine: Engine, known: list[facts.Fact]) -> int:
    """Each fact's first question without the chat format, as /v1/completions sends it."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(engine.complete, [fact.questions[0] for fact in known]))
    pairs = zip(known, answers, strict=True)
    wrong = [(fact.questions[0], answer) for fact, answer in pairs if answer.strip() != fact.answer]
    return _report(engine, "raw", len(known), wrong)


def _report(engine: Engine, way: str, total: int, wrong: list[tuple[Any, str]]) -> int:
    """Print a line, and the first mismatches below it."""
    print(f"{engine.name}, {way}: {total - len(wrong)}/{total} exact", flush=True)
    for question, answer in wrong[:SHOWN]:
        print(f"  {question!r} → {answer!r}")
    return len(wrong)


def compare_tokens(
    started: list[Engine],
    known: list[facts.Fact],
    ways: dict[str, list[tuple[list[Message], str]]],
) -> int:
    """All texts of the corpus, and the rendered conversations: do the engines give the same ids?"""
    first, second = started
    texts = [text for fact in known for text in (*fact.questions, fact.answer)]
    texts += ["", " ", "\n\n  x", "I'll don't 3.14 €½ 漢字 émigré 🙂 ㅋㅋㅋ", "a\t\tb  \n c", "<|im_start|>x<|im_end|>"]
    wrong = [text for text in texts if first.tokens(text) != second.tokens(text)]
    print(f"tokens of {len(texts)} texts: {len(wrong)} differ", *wrong[:SHOWN], sep="\n  ")
    chats = [messages for way in ("text parts", "system", "second turn") for messages, _ in ways[way]]
    odd = [messages for messages in chats if first.chat_tokens(messages) != second.chat_tokens(messages)]
    print(f"tokens of {len(chats)} rendered conversations: {len(odd)} differ", *odd[:SHOWN], sep="\n  ")
    return len(wrong) + len(odd)


if __name__ == "__main__":
    sys.exit(main())
