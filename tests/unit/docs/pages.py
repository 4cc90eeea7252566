"""The Markdown pages of the repository: their headings, links, and the commands that readers type."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Their commands are typed as they are; the other pages explain.
GUIDES = ("README.md", "README.ko.md", "docs/first-start.md", "docs/operate.md", "docs/backup.md", "docs/runbook.md")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPERATORS = frozenset("|&;<>()")


@dataclass(frozen=True)
class Page:
    """One Markdown file, by its path from the repository's root."""

    name: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.name).read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCED.sub("", self.text)

    @property
    def anchors(self) -> frozenset[str]:
        """The anchors that GitHub gives to headings."""
        headings = re.findall(r"^#{1,6} (.+)$", self.prose, re.MULTILINE)
        return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)

    @property
    def links(self) -> tuple[str, ...]:
        """The targets of links within the repository."""
        targets = re.findall(r"\]\(([^()\s]+)\)", self.prose)
        return tuple(target for target in targets if not re.match(r"[a-z]+:", target))

    def blocks(self, language: str) -> tuple[str, ...]:
        """Its fenced code blocks in one language."""
        return tuple(body for found, body in _FENCED.findall(self.text) if found == language)

    @cached_property
    def spans(self) -> tuple[str, ...]:
        """Code spans in sentences and tables."""
        return tuple(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", self.prose))

    def commands(self, program: str) -> Iterator[list[str]]:
        """Each call of a program, in code blocks and spans, as words; a `$( … )` is a word of its own."""
        blocks = (block.replace("\\\n", " ") for block in self.blocks("sh"))
        lines = [line for block in blocks for line in block.splitlines()]
        for line in (*lines, *self.spans):
            yield from _calls(line, program)


def _calls(line: str, program: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="".join(_OPERATORS))
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a line of a here-document or of a quotation over several lines
        return
    call: list[str] = []
    for word in (*words, ";"):
        if set(word) <= _OPERATORS:
            if call and call[0] == program:
                yield call[1:]
            call = []
        elif call or not (word == "sudo" or re.match(r"[A-Z_]+=", word)):
            call.append(word)


def pages() -> tuple[Page, ...]:
    """All Markdown pages that people read."""
    found = (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "benchmarks/README.md",
        ROOT / "models/demo/README.md",
    )
    return tuple(Page(path.relative_to(ROOT).as_posix()) for path in sorted(found))


def guides() -> tuple[Page, ...]:
    """The pages whose commands readers type."""
    return tuple(map(Page, GUIDES))
