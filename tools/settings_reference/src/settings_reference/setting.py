"""What is known of a setting; every output is written from these values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable that users may set.

    Attributes:
        name: the variable.
        default: as a user would write it; empty if it is unset by default.
        description: sentences.
        allowed: which values, in words.
        readers: the programs that read it, by the names of their services in Compose.
    """

    name: str
    default: str
    description: str
    allowed: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that belong together, under a heading."""

    title: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """All settings."""

    sections: tuple[Section, ...]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Those of all sections, in order."""
        return tuple(setting for section in self.sections for setting in section.settings)

    def read_by(self, service: str) -> tuple[str, ...]:
        """The names of the settings that a service reads, in order."""
        return tuple(setting.name for setting in self.settings if service in setting.readers)
