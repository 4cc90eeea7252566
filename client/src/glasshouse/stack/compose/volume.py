"""Components that only Docker reaches: volumes, and secrets that belong to the services' user.

A one-shot container of the init image reads and writes each of them as root, with nothing else mounted: an ordinary
user who may use Docker needs no sudo for another user's files.
"""

import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, Self

from glasshouse.errors import BackupError, StackError
from glasshouse.stack.data import contents

_CHUNK = 1024 * 1024
_CHANGED = 1  # tar's exit status where a file changed while it was read
_MOUNT = "/component"
# What is there is removed first; the new owner is the services' user, whoever that was where the backup was made.
_UNPACK = """
directory=$1 owner=$2 excluded=$3; shift 3
cd "$directory"
keep=; for name in $excluded; do keep="$keep ! -name $name"; done
find . -mindepth 1 -maxdepth 1 $keep -exec rm -rf -- {} +
tar --extract --gzip --file - --no-same-owner --same-permissions "$@"
chown -hR "$owner" .
"""


@dataclass(frozen=True, slots=True)
class OneShotRunner:
    """Runs programs of an image in containers of their own, as root and without a network."""

    environment: Mapping[str, str]
    image: str

    def run(self, mounts: Sequence[str], program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Starts a container, with pipes for its input and outputs.

        Raises:
            StackError: docker cannot be run.
        """
        volumes = [word for mount in mounts for word in ("--volume", mount)]
        found = shutil.which("docker", path=self.environment.get("PATH")) or "docker"
        rights = [f"--cap-add={name}" for name in ("CHOWN", "DAC_OVERRIDE", "FOWNER")]
        try:
            return subprocess.Popen(  # noqa: S603 - no shell: fixed words, and mounts that the settings name
                [
                    *(found, "run", "--rm", "--interactive", "--pull", "never", "--network", "none", "--read-only"),
                    # Docker would log what passes through the pipes otherwise: all of the secrets.
                    *("--log-driver", "none", "--user", "0:0", "--cap-drop", "ALL", *rights),
                    *("--security-opt", "no-new-privileges", *volumes, "--entrypoint", program, self.image, *arguments),
                ],
                env=dict(self.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us to handle
            )
        except OSError as error:
            raise StackError(f"docker cannot be run: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class VolumeComponent:
    """A volume or a directory of this machine; `source` is what Docker mounts."""

    name: str
    source: str
    runner: OneShotRunner
    owner: str
    excluded: tuple[str, ...] = ()
    is_append_only: bool = False

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:
        """See Component."""
        excluded = [f"--exclude=./{name}" for name in self.excluded]
        locks = [f"--exclude={pattern}" for pattern in contents.LOCK_FILES]
        arguments = ("--create", "--use-compress-program", "gzip -1", "--hard-dereference", "--sort=name")
        child = self.runner.run([f"{self.source}:{_MOUNT}:ro"], "tar", "-C", _MOUNT, *arguments, *excluded, *locks, ".")
        with _Exit(child) as ended:
            _copy(_pipe(child.stdout), output)
            status = ended.wait()
        if status == _CHANGED:
            return accept_changed
        if status:
            raise BackupError(f"{self.name} cannot be read: {ended.error}.")
        return True

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:
        """See Component."""
        options = ["--anchored", "--no-wildcards", *(f"--exclude=./{name}" for name in left_out)] if left_out else []
        child = self.runner.run(
            [f"{self.source}:{_MOUNT}"],
            *("sh", "-euc", _UNPACK, "unpack", _MOUNT, self.owner, " ".join(self.excluded), *options),
        )
        with _Exit(child) as ended:
            try:
                with _pipe(child.stdin) as pipe:
                    _copy(stream, pipe)
            except BrokenPipeError:
                pass  # it ended early, and said why
            status = ended.wait()
        if status:
            raise BackupError(f"{self.name} cannot be restored: {ended.error}.")


class _Exit:
    """Waits for a container, whatever happens: without its pipes it ends by itself."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        self._child.wait()
        self._reader.join()
        _pipe(self._child.stderr).close()

    @property
    def error(self) -> str:
        """The last line of its standard error."""
        return self._lines[-1].rstrip(".") if self._lines else "docker does not say why"

    def wait(self) -> int:
        """Its exit status."""
        if self._child.stdin is not None and not self._child.stdin.closed:
            self._child.stdin.close()
        status = self._child.wait()
        self._reader.join()
        return status

    def _read(self) -> None:
        for line in _pipe(self._child.stderr):
            if text := line.decode(errors="replace").strip():
                self._lines.append(text)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise BackupError("docker was started without a pipe.")
    return pipe


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(_CHUNK):
        target.write(chunk)
