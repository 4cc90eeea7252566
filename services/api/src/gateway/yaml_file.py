"""Reads the YAML files that people write for the gateway, or says in one sentence why it cannot."""

import os
import stat
from pathlib import Path

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.nodes import Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver

# Room for more than 100,000 keys.
MAX_BYTES = 16 * 1_048_576
# No document can name this tag: YAML has no NUL.
_BUILT = "\0built"
# What PyYAML raises for `!!int ""`, `!!timestamp x` and the like, beside its own errors.
_OF_WRONG_TAGS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


class _Loader(Composer, CParser, SafeConstructor, Resolver):
    """PyYAML's safe loader, with libyaml's parser: eight times as fast as the one in Python.

    `CSafeLoader` composes in C too, and a file of nothing but brackets overflows its stack and kills the process.
    Items of lists are constructed as they are read: the tree of nodes of a whole file of 10,000 keys is a million
    objects, and each full garbage collection over it holds up the event loop for 0.3 s.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """See PyYAML."""
        node = super().compose_node(parent, index)
        if node is None or not isinstance(parent, SequenceNode):
            return node
        return ScalarNode(_BUILT, self.construct_document(node))


_Loader.add_constructor(_BUILT, lambda _, node: node.value)


def read_yaml(path: Path, what: str, otherwise: str, error: type[Exception]) -> object:
    """The content of a file; its shape is for the caller to check.

    Args:
        path: The file.
        what: What it is to people, such as "keys file".
        otherwise: What to do where there is none.
        error: What to raise.

    Raises:
        Exception: An `error`: the file is missing, cannot be read, or is no YAML.
    """
    return parse_yaml(read_file(path, what, otherwise, error), path, what, error)


def read_file(path: Path, what: str, otherwise: str, error: type[Exception]) -> bytes:
    """The bytes of a regular file. Opening or reading anything else, such as a FIFO, could block forever.

    Raises:
        Exception: An `error`: the file is missing, cannot be read, is not a regular file, or is too large.
    """
    try:
        # open() itself waits for a FIFO's writer, so it is asked not to; and it refuses a directory by itself.
        with open(path, "rb", opener=_open_without_waiting) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_BYTES + 1) if regular else b""
    except FileNotFoundError as missing:
        raise error(f"The {what} {str(path)!r} does not exist: {otherwise}.") from missing
    except OSError as unreadable:
        raise error(f"The {what} {str(path)!r} cannot be read: {unreadable.strerror}.") from unreadable
    if not regular:
        raise error(f"The {what} {str(path)!r} cannot be read: it is not a regular file.")
    if len(content) > MAX_BYTES:
        raise error(f"The {what} {str(path)!r} cannot be read: it is larger than {MAX_BYTES:,} bytes.")
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse_yaml(content: bytes, path: Path, what: str, error: type[Exception]) -> object:
    """What the bytes of a file say in YAML.

    Raises:
        Exception: An `error`: they are no YAML.
    """
    try:
        return _Loader(content.decode()).get_single_data()
    except UnicodeDecodeError as undecodable:
        raise error(f"The {what} {str(path)!r} cannot be read: it is not UTF-8.") from undecodable
    except (yaml.YAMLError, RecursionError, *_OF_WRONG_TAGS) as wrong:
        # A traceback would quote the file, which may hold what nobody else should read.
        raise error(f"The {what} {str(path)!r} is not YAML that can be read{_where(wrong)}.") from None


def _where(error: Exception) -> str:
    """Line and column of a YAML error; not its text, which quotes the file."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f" ({error})" if isinstance(error, ValueError) and not isinstance(error, yaml.YAMLError) else ""
    return f": see line {mark.line + 1}, column {mark.column + 1}"
