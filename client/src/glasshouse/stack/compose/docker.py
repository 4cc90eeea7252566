"""The docker command: Compose for this checkout's project, and what Docker knows of its containers.

Docker itself remembers what runs, from which directory and files: a stack is found again after a reboot, and so is one
that was started with `docker compose up` by hand. No state file of ours could contradict it.
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
from glasshouse.system import Completed, run

LABEL = "com.docker.compose"
_QUERY_TIMEOUT_S = 20.0
_TIMEOUT_S = 900.0  # containers may take their whole grace period to stop, and wait for one another to start
_MAX_ERROR = 400  # characters of docker's error output, from its end, where the cause is
_OWN_END_S = 5.0
_TERMINATE_S = 30.0
DEFAULT_UID = "10001"  # the images' own, where root starts the stack


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the project, as Docker describes it; `published` maps its ports to the machine's."""

    id: str
    service: str
    state: str
    health: str
    exit_status: int
    error: str
    restarts: int
    started_at: str
    published: Mapping[int, int]
    working_dir: Path
    config_files: tuple[Path, ...]

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
        self.environment = environment(settings)
        self._program = shutil.which("docker", path=self.environment.get("PATH"))

    def containers(self) -> tuple[Container, ...]:
        """Every container of the project, ended ones too, by name; none where Docker cannot be asked."""
        listed = self.query(
            *("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}.project={self.project}"),
            *("--filter", f"label={LABEL}.oneoff=False"),
        )
        if not listed.split():
            return ()
        try:
            found = json.loads(self.query("inspect", "--type", "container", *listed.split()))
        except ValueError:
            return ()
        return tuple(sorted(map(_container, found), key=lambda container: container.service))

    def tail(self, container: Container, count: int, since: str = "") -> list[str]:
        """The last `count` lines of a container's log; of what it wrote since `since`, where that is given."""
        limit = ("--since", since) if since else ()
        return self.query("logs", "--tail", str(count), *limit, container.id).splitlines()[-count:]

    def files(self, kind: Kind) -> tuple[Path, ...]:
        """Compose's files for a shape: those of COMPOSE_FILE, or ours and a `compose.override.yaml` beside them."""
        if self._named_files:
            return self._named_files
        names = ("compose.yaml", CPU_FILE) if kind == "cpu" else ("compose.yaml",)
        override = self._root / "compose.override.yaml"
        return (*(self._root / name for name in names), *((override,) if override.is_file() else ()))

    def compose(self, files: Sequence[Path], *arguments: str) -> int:
        """Runs Compose with its output on the terminal; returns its exit status.

        Interrupted, Compose is ended too, and waited for.

        Raises:
            StackError: docker cannot be run.
            KeyboardInterrupt: Ctrl-C came meanwhile.
        """
        sys.stdout.flush()  # our own lines come first
        try:
            child = subprocess.Popen(  # noqa: S603 - no shell: fixed words and the names of files
                [self._program or "docker", *self._compose_words(files), *arguments],
                cwd=self._root,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise StackError(f"docker cannot be run: {error.strerror}.") from error
        try:
            return child.wait()
        finally:
            _end(child)

    def run_compose(self, files: Sequence[Path], *arguments: str) -> str:
        """Runs Compose in the background; returns its output.

        Raises:
            StackError: It fails; the text holds its error.
        """
        return self.run(*self._compose_words(files), *arguments)

    def run(self, *arguments: str) -> str:
        """Runs docker in the background; returns its output.

        Raises:
            StackError: It fails, or takes too long; the text holds its error.
        """
        try:
            # In a session of its own: Ctrl-C is for us to handle.
            done = self._docker(*arguments, timeout_s=_TIMEOUT_S, own_session=True)
        except OSError as error:
            raise StackError(f"docker {arguments[0]}: {error}.") from error
        if done.status:
            reason = done.error[-_MAX_ERROR:] or "it does not say why"
            raise StackError(f"docker {arguments[0]}: {reason.rstrip('.')}.")
        return done.stdout

    def query(self, *arguments: str) -> str:
        """What docker prints, a log's two outputs in their order; empty where it fails or hangs."""
        is_log = arguments[0] == "logs"
        try:
            done = self._docker(*arguments, timeout_s=_QUERY_TIMEOUT_S, merge_output=is_log)
        except OSError:
            return ""
        # `inspect` fails when one of many has just gone, and still describes the others.
        return done.stdout if done.status == 0 or arguments[0] == "inspect" else ""

    def _docker(
        self, *arguments: str, timeout_s: float, own_session: bool = False, merge_output: bool = False
    ) -> Completed:
        return run(
            "docker",
            *arguments,
            environment=self.environment,
            directory=self._root,
            timeout_s=timeout_s,
            own_session=own_session,
            merge_output=merge_output,
        )

    def _compose_words(self, files: Sequence[Path]) -> tuple[str, ...]:
        chosen = (word for file in files for word in ("--file", str(file)))
        return ("compose", "--project-name", self.project, "--project-directory", str(self._root), *chosen)


def environment(settings: Settings) -> dict[str, str]:
    """What Compose gets: the caller's own variables (it reads `.env` itself), and those that only we know."""
    # To Compose an empty variable is set, and the environment beats `.env`.
    ours = {"SECRETS_DIR": str(settings.secrets_dir)}  # `secrets` without ./ would be a volume's name
    if "GLASSHOUSE_UID" not in settings.environment:
        ours["GLASSHOUSE_UID"] = str(os.getuid() or DEFAULT_UID)
        ours["GLASSHOUSE_GID"] = str(os.getgid() if os.getuid() else DEFAULT_UID)
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
        id=described["Id"],
        service=labels.get(f"{LABEL}.service", ""),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_status=state["ExitCode"],
        error=state.get("Error") or "",
        restarts=described["RestartCount"],
        started_at=state["StartedAt"],
        published={
            int(inside.split("/")[0]): int(outside[0]["HostPort"]) for inside, outside in ports.items() if outside
        },
        working_dir=Path(labels.get(f"{LABEL}.project.working_dir", "")),
        config_files=tuple(Path(file) for file in labels.get(f"{LABEL}.project.config_files", "").split(",") if file),
    )


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Waits for a child, and ends it when it does not. Ctrl-C on a terminal has reached it: no signal at first."""
    for grace_s, number in ((_OWN_END_S, signal.SIGTERM), (_TERMINATE_S, signal.SIGKILL)):
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.send_signal(number)
        except KeyboardInterrupt:
            child.kill()
            raise
    child.wait()
