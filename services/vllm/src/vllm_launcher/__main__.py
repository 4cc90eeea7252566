"""`python -m vllm_launcher`: read model file, environment and command line, and keep vLLM running."""

import os
import sys

from launcher import program
from launcher.supervisor import supervise
from vllm_launcher import arguments as command_line
from vllm_launcher.launch import Vllm
from vllm_launcher.settings import Settings

_HELP = """python -m vllm_launcher [--model-file FILE] [--OPTION VALUE ...]

  --model-file FILE     YAML of vLLM's options (VLLM_MODEL_FILE)
  --status-host HOST    address of /status, /livez and /metrics of the launcher (VLLM_STATUS_HOST; 127.0.0.1)
  --status-port PORT    their port (VLLM_STATUS_PORT; 8101)
  --stop-grace SECONDS  what running requests get at a stop (VLLM_STOP_GRACE; 30)
  --drain-delay SECONDS of saying "draining" before the engine is stopped (VLLM_DRAIN_DELAY; 2.5)
  --python PROGRAM      the interpreter that has vLLM (VLLM_PYTHON; this one, then `vllm` on the PATH)
  --OPTION VALUE        any option of `vllm serve`; also as VLLM_OPTION, or in the model file
  ENGINE_KEY_FILE       (environment only) file with the key that clients must show

Command line over environment over model file."""


def main(arguments: list[str]) -> int:
    """Run until a signal and give the exit code, see `launcher.program.run`."""
    if {"-h", "--help"} & set(arguments):
        print(_HELP)  # noqa: T201 -- requested
        return program.EXIT_OK
    return program.run(lambda: _serve(arguments))


def _serve(arguments: list[str]) -> None:
    own, options = command_line.parse(arguments)
    settings = Settings.from_options(own)
    supervise(Vllm(settings, os.environ, options), settings.status_host, settings.status_port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
