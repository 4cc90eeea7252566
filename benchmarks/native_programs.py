"""Compiles the mock engine and the load generator of `native/`, once for each version of their source."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("native")
BUILD = SOURCE.parents[1] / ".run" / "bench"  # which git ignores
INSTALL = "apt-get install -y --no-install-recommends gcc libc6-dev"
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wpedantic", "-Werror")
OPTIONS = ("-std=gnu11", "-D_GNU_SOURCE", "-O3", "-g", *WARNINGS)
SHARED = ("buffer", "http", "network")
MODULES = {
    "mock-engine": ("mock_engine", "generation", "endpoints", "json", "heap", *SHARED),
    "load-generator": ("load_generator", "answer", "outcome", "transport", *SHARED),
}
OPENSSL = Path("/usr/include/openssl/ssl.h")


class CompilerError(Exception):
    """The programs cannot be compiled here; the message says what to install, or what the compiler said."""


@dataclass(frozen=True, slots=True)
class NativePrograms:
    """The compiled programs.

    Args:
        mock_engine: a mock engine, whose answers are those of `tools/mock_engine`.
        load_generator: sends requests and checks the answers.
        tls: whether the load generator can speak TLS: OpenSSL's headers were there.
    """

    mock_engine: Path
    load_generator: Path
    tls: bool


def build(directory: Path = BUILD) -> NativePrograms:
    """Compile what is not compiled yet.

    Raises:
        CompilerError: there is no C compiler, or it has failed.
    """
    compiler = shutil.which(os.environ.get("CC") or "cc") or shutil.which("gcc")
    if compiler is None:
        raise CompilerError(f"the benchmarks need a C compiler for their mock engine and load generator: {INSTALL}")
    tls = OPENSSL.exists()
    directory.mkdir(parents=True, exist_ok=True)
    extra = {"mock-engine": (), "load-generator": ("-DTLS", "-lssl", "-lcrypto") if tls else ()}
    engine, generator = (_compile(compiler, directory, name, extra[name]) for name in MODULES)
    return NativePrograms(engine, generator, tls)


def _compile(compiler: str, directory: Path, name: str, extra: tuple[str, ...]) -> Path:
    """Compile one program unless it is there already: its name has a hash of the source and of the command."""
    sources = [SOURCE / f"{module}.c" for module in MODULES[name]]
    command = [compiler, *OPTIONS, *map(str, sources), *extra, "-lm"]
    content = b"".join(path.read_bytes() for path in sorted([*sources, *SOURCE.glob("*.h")]))
    digest = hashlib.sha256(content + repr(command).encode()).hexdigest()[:12]
    program = directory / f"{name}-{digest}"
    if not program.exists():
        made = directory / f"{program.name}.{os.getpid()}"  # another process may compile the same
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CompilerError(f"{name} does not compile ({INSTALL}):\n{done.stderr.strip()}")
        made.rename(program)
    return program
