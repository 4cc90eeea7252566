"""The docker command: Compose for this checkout's project, and what Docker says of its containers.

Docker itself remembers what runs, from which directory and files: a stack is found again after a reboot too, and one
that was started with `docker compose up` by hand as well. No state file of ours could say otherwise.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glasshouse.errors import StackError
from glasshouse.settings import Kind, Settings
from glasshouse.stack.shape import CPU_FILE

_LABEL = "com.docker.compose"
_ANSWER_S = 20.0
_OWN_END_S = 5.0
_END_S = 30.0
USER = "10001"  # the images' own, where root starts the stack


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the project, as Docker describes it; `published` maps its ports to the machine's."""

    number: str
    service: str
    state: str
    health: str
    exit_status: int
    error: str
    restarts: int
    started: str
    published: Mapping[int, int]
    directory: Path
    files: tuple[Path, ...]

    @property
    def is_running(self) -> bool:
        """Whether it runs, or will be started again."""
        return self.state in {"running", "restarting"}


class Docker:
    """The command line of Docker for the project of one checkout."""

    def __init__(self, settings: Settings) -> None:
        self.project = settings.environment.get("COMPOSE_PROJECT_NAME", "glasshouse")
        self._root = settings.root
        self._named_files = _named_files(settings)
        self._environment = environment(settings)
        self._program = shutil.which("docker", path=self._environment.get("PATH"))

    def containers(self) -> tuple[Container, ...]:
        """Every container of the project, ended ones too, by name; none where Docker cannot be asked."""
        listed = self._ask(
            *("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={_LABEL}.project={self.project}"),
            *("--filter", f"label={_LABEL}.oneoff=False"),
        )
        if not listed.split():
            return ()
        try:
            found = json.loads(self._ask("inspect", "--type", "container", *listed.split()))
        except ValueError:
            return ()
        return tuple(sorted((_container(one) for one in found), key=lambda one: one.service))

    def tail(self, container: Container, count: int, since: str = "") -> list[str]:
        """The last `count` lines of what a container has said; since the moment `since`, where one is given."""
        limit = ("--since", since) if since else ()
        return self._ask("logs", "--tail", str(count), *limit, container.number).splitlines()[-count:]

    def files(self, kind: Kind) -> tuple[Path, ...]:
        """Compose's files for a shape: those of COMPOSE_FILE, or ours and a `compose.override.yaml` beside them."""
        if self._named_files:
            return self._named_files
        names = ("compose.yaml", CPU_FILE) if kind == "cpu" else ("compose.yaml",)
        override = self._root / "compose.override.yaml"
        return (*(self._root / name for name in names), *((override,) if override.is_file() else ()))

    def compose(self, files: Sequence[Path], *arguments: str) -> int:
        """Runs Compose in front of the person; its exit status. Interrupted, it is ended too, and waited for.

        Raises:
            StackError: docker cannot be run.
            KeyboardInterrupt: Ctrl-C came meanwhile.
        """
        chosen = [part for file in files for part in ("--file", str(file))]
        place = ["--project-name", self.project, "--project-directory", str(self._root)]
        sys.stdout.flush()  # what was said before it stands before it
        try:
            child = subprocess.Popen(  # noqa: S603 - fixed words and the names of files
                [self._program or "docker", "compose", *place, *chosen, *arguments],
                cwd=self._root,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise StackError(f"docker cannot be run: {error.strerror}.") from error
        try:
            return child.wait()
        finally:
            _end(child)

    def _ask(self, *arguments: str) -> str:
        """What docker answers, both its outputs together for logs' sake; empty when it fails or hangs."""
        if self._program is None:
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and numbers that docker gave itself
                [self._program, *arguments],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if arguments[0] == "logs" else subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=_ANSWER_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        # `inspect` fails when one of many has just gone, and still describes the others.
        return done.stdout if done.returncode == 0 or arguments[0] == "inspect" else ""


def environment(settings: Settings) -> dict[str, str]:
    """What Compose gets: the person's own variables (it reads `.env` itself), and those that only we know."""
    # Compose takes an empty variable for set, and one in the environment for better than one in `.env`.
    ours = {"SECRETS_DIR": str(settings.secrets_dir)}  # `secrets` without ./ would be a volume's name
    if "GLASSHOUSE_UID" not in settings.environment:
        ours["GLASSHOUSE_UID"] = str(os.getuid() or USER)
        ours["GLASSHOUSE_GID"] = str(os.getgid() if os.getuid() else USER)
    model = Path(settings.llamacpp_model)
    if "LLAMACPP_MODEL" in settings.given and model.is_relative_to(settings.root):
        ours["LLAMACPP_MODEL"] = str(model.relative_to(settings.root))  # models/ has the same place in the container
    return {name: value for name, value in settings.given.items() if name != "COMPOSE_FILE"} | ours


def _named_files(settings: Settings) -> tuple[Path, ...]:
    named = settings.environment.get("COMPOSE_FILE", "")
    separator = settings.environment.get("COMPOSE_PATH_SEPARATOR", os.pathsep)
    return tuple(settings.root / part for part in named.split(separator) if part)


def _container(described: Mapping[str, Any]) -> Container:
    labels, state = described["Config"]["Labels"], described["State"]
    ports = described["NetworkSettings"].get("Ports") or {}
    return Container(
        number=described["Id"],
        service=labels.get(f"{_LABEL}.service", ""),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_status=state["ExitCode"],
        error=state.get("Error") or "",
        restarts=described["RestartCount"],
        started=state["StartedAt"],
        published={
            int(inside.split("/")[0]): int(outside[0]["HostPort"]) for inside, outside in ports.items() if outside
        },
        directory=Path(labels.get(f"{_LABEL}.project.working_dir", "")),
        files=tuple(Path(file) for file in labels.get(f"{_LABEL}.project.config_files", "").split(",") if file),
    )


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Sees a child out. From a terminal Ctrl-C has reached it already; a second signal would hurry it."""
    for patience, number in ((_OWN_END_S, signal.SIGTERM), (_END_S, signal.SIGKILL)):
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.send_signal(number)
        except KeyboardInterrupt:
            child.kill()
            raise
    child.wait()
