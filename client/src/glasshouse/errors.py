"""What can go wrong on the command line. Each text is what the person in front of it reads, so it says what to do.

GlasshouseError
├── SettingsError    a variable or a line of .env is wrong
├── SecretsError     a secret file cannot be made or read
├── KeysError        keys.yaml is wrong, or a key cannot be added or revoked
├── PortError        a port is taken or not allowed
├── StackError       the stack cannot start, or cannot be ended
│   └── ImagesMissing    Docker can neither fetch nor build an image
├── BackupError      a backup cannot be made, read or restored
├── UpgradeError     an upgrade cannot begin, or has failed
└── ApiError         the running stack did not answer, or not as it should
"""


class GlasshouseError(Exception):
    """Ends the command with status 1 and its text on standard error, without a stack trace."""


class SettingsError(GlasshouseError):
    """A variable or a line of .env is wrong; ends the command with status 2."""


class SecretsError(GlasshouseError):
    """A secret file cannot be made or read."""


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


class ApiError(GlasshouseError):
    """The running stack did not answer, or not as it should."""
