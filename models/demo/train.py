"""Train the demo model on corpus/ and write it as safetensors and GGUF. Minutes on one CPU core; no download.

Exit code 0 when the weights, rounded to 16 bits, answer every question of the corpus exactly; 1 when they do not:
then nothing is written, unless --anyway is given.
"""

import argparse
import dataclasses
import itertools
import json
import pathlib
import sys
import time

import exactness
import export
import facts
import tokenizer
import torch
from dialogue import IGNORED, Row, Sampler
from model import Llama, Shape
from optimizer import Average, Schedule
from torch.nn import functional

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20
ENOUGH_MARGIN = 1.0  # logits; far above what 16-bit arithmetic moves them
PRINT_EVERY, SCORE_EVERY, FIRST_SCORE = 25, 60, 0.45  # steps, steps, share of the steps
CLIP = 1.0
OVERTIME = 1.6  # when the planned steps are not enough: at most so many times as many, at the last rate
REQUIRED = ("alone", "system", "second turn")  # ways of asking that have to be exact; "raw" is only reported


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=HERE, help="folder for the model's files")
    parser.add_argument("--steps", type=int, default=800, help="steps planned (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens in a step (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads: one, since matrices this small gain little"
    )
    parser.add_argument("--anyway", action="store_true", help="write the files even if an answer is wrong")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def main() -> int:
    """Train, score, write."""
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    known, systems = facts.load(), facts.load_system_prompts()
    texts = [text for fact in known for text in (*fact.questions, fact.answer)] + systems
    bpe = tokenizer.train(["system\nuser\nassistant\n", *texts])
    encoder = tokenizer.Encoder(bpe)
    model = Llama(Shape(bpe.get_vocab_size()))
    parameters = sum(p.numel() for p in model.parameters())
    asked = exactness.settings(known, systems, encoder)
    print(f"{len(known)} facts, {len(asked['alone'])} questions, {model.shape.vocabulary} tokens, {parameters} weights")

    began = time.monotonic()
    sampler = Sampler(known, systems, encoder, options.seed)
    steps, loss = fit(model, sampler, options, asked)
    seconds = time.monotonic() - began

    scores = {way: exactness.score(exactness.rounded(model, export.KIND), rows) for way, rows in asked.items()}
    scores["alone, bfloat16"] = exactness.score(exactness.rounded(model, torch.bfloat16), asked["alone"])
    for way, score in scores.items():
        print(f"{way}: {score.exact}/{score.total} exact, margin {score.margin:.2f}", *score.wrong[:8], sep="\n  ")
    failed = any(scores[way].exact < scores[way].total for way in REQUIRED)
    if failed:
        print("Not every answer is exact. More --steps may help.", file=sys.stderr)
    if failed and not options.anyway:
        return 1
    tokenizer.save(bpe, options.out, Shape.context)
    export.write(model, bpe, options.out)
    report = {
        "parameters": parameters,
        "shape": dataclasses.asdict(model.shape),
        "facts": {lang: sum(fact.lang == lang for fact in known) for lang in facts.LANGUAGES},
        "steps": steps,
        "tokens_per_step": options.tokens,
        "seed": options.seed,
        "threads": options.threads,
        "seconds": round(seconds),
        "final_loss": round(loss, 5),
        "exact": {way: f"{s.exact}/{s.total}" for way, s in scores.items()},
        "smallest_logit_margin": {way: round(s.margin, 2) for way, s in scores.items()},
        "torch": torch.__version__,
    }
    (options.out / "training.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written to {options.out}")
    return int(failed)


def fit(
    model: Llama,
    sampler: Sampler,
    options: argparse.Namespace,
    asked: dict[str, list[tuple[str, Row]]],
) -> tuple[int, float]:
    """Train until the rounded weights are exact with enough margin, or the steps are used up: (steps, last loss).

    The model is left with the average of its last weights.
    """
    schedule, average = Schedule(model, options.steps), Average(model)
    began, seen, step, smooth = time.monotonic(), 0, 0, 0.0
    batches = itertools.islice(sampler.batches(options.tokens), int(OVERTIME * options.steps))
    for step, (ids, labels) in enumerate(batches, 1):
        picked = torch.nonzero(labels != IGNORED, as_tuple=True)
        loss = functional.cross_entropy(model.logits(model(ids)[picked]), labels[picked])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        schedule.step(step - 1)
        average.step()
        seen += ids.numel()
        smooth = loss.item() if step == 1 else 0.9 * smooth + 0.1 * loss.item()
        if step == options.steps:
            sampler.settle()
        if step % PRINT_EVERY == 0:
            gone = time.monotonic() - began
            left = gone / step * max(0, options.steps - step)
            print(
                f"step {step}/{options.steps}  loss {smooth:.4f}  {seen / gone:.0f} tokens/s  ETA {left:.0f} s",
                flush=True,
            )
        if step >= FIRST_SCORE * options.steps and step % SCORE_EVERY == 0:
            wrong = failures(average.model, asked, step)
            if not wrong:
                break
            sampler.focus(wrong)
    model.load_state_dict(average.model.state_dict())
    return step, smooth


def failures(model: Llama, asked: dict[str, list[tuple[str, Row]]], step: int) -> set[str]:
    """The questions whose answer is wrong or won too narrowly; the ways of asking are tried until one has some."""
    twin = exactness.rounded(model, export.KIND)
    for way in REQUIRED:
        now = exactness.score(twin, asked[way], ENOUGH_MARGIN if way == REQUIRED[0] else 0.0)
        told = f"step {step}  {way}: exact {now.exact}/{now.total}  margin {now.margin:.2f}"
        print(told, *now.wrong[:8], sep="\n  ", flush=True)
        if now.weak:
            return set(now.weak)
    return set()


if __name__ == "__main__":
    sys.exit(main())
