"""What can go wrong in a service.

- LauncherError
  - ConfigurationError: a person must change a variable or a file; one sentence, exit code 2
  - EngineError: the engine did not start or died; the launcher stays alive and tries again
"""


class LauncherError(Exception):
    """Anything that a service reports about itself or its engine; the text is for the operator."""


class ConfigurationError(LauncherError):
    """A variable or file that cannot work; the text is one sentence naming it, its value and what is allowed."""


class EngineError(LauncherError):
    """The engine could not be started or has exited; the text says why."""
