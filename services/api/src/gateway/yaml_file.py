"""Reads the gateway's hand-written YAML files, or says in one sentence why it cannot."""

import os
import stat
from pathlib import Path

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.nodes import Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver

# Enough for more than 100,000 keys.
MAX_BYTES = 16 * 1_048_576
# No document can name this tag: YAML has no NUL.
_CONSTRUCTED_TAG = "\0constructed"
# What PyYAML raises for `!!int ""`, `!!timestamp x` and the like, in addition to its own errors.
_TAG_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


class _Loader(Composer, CParser, SafeConstructor, Resolver):
    """PyYAML's safe loader with libyaml's parser, which is eight times as fast as the one in Python.

    `CSafeLoader` composes in C too, and a file of nothing but brackets overflows its stack and kills the process.
    Items of lists are constructed as they are read: the node tree of a file of 10,000 keys has a million objects, and
    each full garbage collection over it blocks the event loop for 0.3 s.
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
        return ScalarNode(_CONSTRUCTED_TAG, self.construct_document(node))


_Loader.add_constructor(_CONSTRUCTED_TAG, lambda _, node: node.value)


def read_yaml(path: Path, description: str, hint: str, error: type[Exception]) -> object:
    """The content of a file, whose structure is for the caller to check.

    Args:
        path: The file.
        description: What to call it in messages, such as "keys file".
        hint: What to do if it does not exist.
        error: The exception to raise.

    Raises:
        Exception: An `error`: the file is missing, cannot be read, or is not YAML.
    """
    return parse_yaml(read_file(path, description, hint, error), path, description, error)


def read_file(path: Path, description: str, hint: str, error: type[Exception]) -> bytes:
    """The bytes of a regular file. Opening or reading anything else, such as a FIFO, could block forever.

    Raises:
        Exception: An `error`: the file is missing, cannot be read, is not a regular file, or is too large.
    """
    try:
        # Without O_NONBLOCK, open() waits for a FIFO's writer; a directory it refuses by itself.
        with open(path, "rb", opener=_open_nonblocking) as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_BYTES + 1) if is_regular else b""
    except FileNotFoundError as missing:
        raise error(f"The {description} {str(path)!r} does not exist: {hint}.") from missing
    except OSError as unreadable:
        raise error(f"The {description} {str(path)!r} cannot be read: {unreadable.strerror}.") from unreadable
    if not is_regular:
        raise error(f"The {description} {str(path)!r} cannot be read: it is not a regular file.")
    if len(content) > MAX_BYTES:
        raise error(f"The {description} {str(path)!r} cannot be read: it is larger than {MAX_BYTES:,} bytes.")
    return content


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse_yaml(content: bytes, path: Path, description: str, error: type[Exception]) -> object:
    """The content of a file as YAML.

    Raises:
        Exception: An `error`: it is not YAML.
    """
    try:
        return _Loader(content.decode()).get_single_data()
    except UnicodeDecodeError as undecodable:
        raise error(f"The {description} {str(path)!r} cannot be read: it is not UTF-8.") from undecodable
    except (yaml.YAMLError, RecursionError, *_TAG_ERRORS) as wrong:
        # A traceback would quote the file, which may hold secrets.
        raise error(f"The {description} {str(path)!r} is not valid YAML{_location(wrong)}.") from None


def _location(error: Exception) -> str:
    """The line and column of a YAML error; not its text, which quotes the file."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f" ({error})" if isinstance(error, ValueError) and not isinstance(error, yaml.YAMLError) else ""
    return f": see line {mark.line + 1}, column {mark.column + 1}"
