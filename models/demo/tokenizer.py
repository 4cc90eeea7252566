"""The tokenizer: byte-level BPE over the corpus, split as GPT-2 does so that llama.cpp's "gpt-2" gives the same ids."""

import itertools
import json
import pathlib
import random
from collections.abc import Iterable

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

VOCABULARY = 4096
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, START, END)
END_OF_TEXT_ID, START_ID, END_ID = range(3)
CHAT_TEMPLATE = pathlib.Path(__file__).resolve().parent / "chat_template.jinja"
DROPOUT = 0.1  # share of merges skipped in a varied encoding


def train(texts: Iterable[str], vocabulary: int = VOCABULARY) -> tokenizers.Tokenizer:
    """Learn at most `vocabulary` tokens; the three special ones come first."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class Encoder:
    """Text to token ids, exactly (as the engines do) or varied (BPE dropout, for questions in training)."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._exact = tokenizer
        self._pieces = json.loads(tokenizer.to_str())
        self._vocabulary: dict[str, int] = self._pieces["model"]["vocab"]
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(self._pieces["model"]["merges"])}
        self._cache: dict[str, list[int]] = {}

    def exact(self, text: str) -> list[int]:
        """Encode text that holds no special token, as both engines encode it."""
        if text not in self._cache:
            self._cache[text] = self._exact.encode(text, add_special_tokens=False).ids
        return self._cache[text]

    def varied(self, text: str, chance: random.Random) -> list[int]:
        """Encode with some merges left out: the same text in shorter pieces, so that rare words are learnt too."""
        ids = []
        for word, _ in self._exact.pre_tokenizer.pre_tokenize_str(text):
            ids += [self._vocabulary[piece] for piece in self._merge(list(word), chance)]
        return ids

    def _merge(self, pieces: list[str], chance: random.Random) -> list[str]:
        """Apply the merges by rank, each skipped with the probability DROPOUT."""
        while True:
            options = [
                (self._ranks[pair], at)
                for at, pair in enumerate(itertools.pairwise(pieces))
                if pair in self._ranks and chance.random() >= DROPOUT
            ]
            if not options:
                return pieces
            _, at = min(options)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]


def save(tokenizer: tokenizers.Tokenizer, folder: pathlib.Path, context: int) -> None:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and, elsewhere, the chat template."""
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"bos_token": END_OF_TEXT, "eos_token": END, "pad_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": CHAT_TEMPLATE.read_text(encoding="utf-8"),
    }
    (folder / CHAT_TEMPLATE.name).write_text(str(config["chat_template"]), encoding="utf-8")
    for name, content in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
