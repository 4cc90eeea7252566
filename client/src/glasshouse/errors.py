"""What can go wrong on the command line. The person in front of it reads each text, so it says what to do.

GlasshouseError
├── SettingsError    a variable or a line of .env is wrong
├── SecretsError     a secret file cannot be created or read
├── KeysError        keys.yaml is wrong, or a key cannot be added or revoked
├── PortError        a port is taken or not allowed
├── StackError       the stack cannot start, or cannot be ended
│   └── ImagesMissing    Docker can neither fetch nor build an image
├── BackupError      a backup cannot be made, read or restored
├── UpgradeError     an upgrade cannot begin, or has failed
├── DrillError       a drill cannot begin, or cannot be undone
└── ApiError         the running stack did not answer, or not as it should
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a command ends; docs/command-line.md tells users."""

    SUCCESS = 0
    FAILURE = 1
    MISUSE = 2  # click's own for wrong arguments
    INTERRUPTED = 130  # a shell's for Ctrl-C


class GlasshouseError(Exception):
    """Ends the command with its exit code and its text on standard error, without a stack trace."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE


class SettingsError(GlasshouseError):
    """A variable or a line of .env is wrong."""

    exit_code = ExitCode.MISUSE


class SecretsError(GlasshouseError):
    """A secret file cannot be created or read."""


class KeysError(GlasshouseError):
    """keys.yaml is wrong, or a key cannot be added or revoked."""


class PortError(GlasshouseError):
    """A port is taken or not allowed."""


class StackError(GlasshouseError):
    """The stack cannot start, or cannot be ended."""


class ImagesMissing(StackError):
    """Docker can neither fetch nor build an image."""


class BackupError(GlasshouseError):
    """A backup cannot be made, read or restored."""


class UpgradeError(GlasshouseError):
    """An upgrade cannot begin, or has failed."""


class DrillError(GlasshouseError):
    """A drill cannot begin, or cannot be undone."""


class ApiError(GlasshouseError):
    """The running stack did not answer, or not as it should."""
