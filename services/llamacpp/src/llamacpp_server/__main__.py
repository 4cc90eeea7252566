"""`python -m llamacpp_server`: read the settings and keep llama.cpp running behind a status port."""

import sys

from launcher import program
from launcher.supervisor import supervise
from llamacpp_server.launch import LlamaCpp
from llamacpp_server.settings import Settings


def main(arguments: list[str]) -> int:
    """Run until a signal and give the exit code, see `launcher.program.run`."""
    return program.run(lambda: _serve(arguments))


def _serve(arguments: list[str]) -> None:
    settings = Settings.read(arguments)
    engine = LlamaCpp(settings)
    engine.check()
    supervise(engine, settings.status_host, settings.status_port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
