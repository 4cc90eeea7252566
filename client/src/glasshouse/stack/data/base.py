"""What a backup saves of a stack: components, each packed and restored as a whole."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol


class Component(Protocol):
    """Something that is saved as a whole, and restored as a whole."""

    @property
    def name(self) -> str:
        """What it is, such as `secrets/engine`."""

    @property
    def is_append_only(self) -> bool:
        """Whether a copy is consistent though the original was appended to meanwhile."""

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:
        """Writes it as a tar.gz; false if it changed meanwhile and the copy is not consistent.

        Raises:
            BackupError: It cannot be read.
            OSError: The output cannot be written.
        """

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:
        """Replaces what is there by what a tar.gz holds, except for `left_out`.

        Raises:
            BackupError: It cannot be written.
        """


class StackData(Protocol):
    """The data of one stack."""

    @property
    def has_data(self) -> bool:
        """Whether the stack has run in this shape and left its data."""

    def components(self) -> Sequence[Component]:
        """What there is, beside the files of settings."""

    def component(self, name: str) -> Component | None:
        """The component of this name, whether it is there or not; None where this shape has none."""

    def may_exist(self, name: str) -> bool:
        """Whether a component is there, as far as this user can see."""

    def create(self, name: str) -> None:
        """Creates the directory or volume of a component where it is missing.

        Raises:
            GlasshouseError: Docker cannot create it.
        """

    def quiesce(self, name: str) -> AbstractContextManager[None]:
        """While inside, nobody writes to a component; where it `is_append_only`, it may be appended to.

        Raises:
            GlasshouseError: A program cannot be stopped.
        """
