"""A log of supervisord's whose file cannot be written, on a real small disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from supervisor import loggers  # type: ignore[import-untyped]  # supervisor ships no types

from glasshouse.stack.native.supervisord import LogFile


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place), capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    yield place
    subprocess.run(("umount", "-l", place), check=True)


def fill(directory: Path) -> Path:
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


@contextmanager
def logger(path: Path, fmt: str = "%(message)s", size: int = 100_000) -> Iterator[loggers.Logger]:
    """As supervisord makes one for a program, but for the size at which it begins a new file."""
    made = loggers.getLogger()
    handler = LogFile(str(path), maxBytes=size, backupCount=2)
    handler.setFormat(fmt)
    made.addHandler(handler)
    yield made
    made.close()


def test_lines_are_lost_while_the_disk_is_full_and_counted_once_it_is_not(disk: Path) -> None:
    with logger(disk / "log") as log:
        log.info(b"first\n")
        ballast = fill(disk)
        two_lines = 2 * (b"x" * 5000 + b"\n")
        for _ in range(20):
            log.info(two_lines)
        ballast.unlink()
        log.info(b"after\n")
        log.info(b"last\n")
    text = (disk / "log").read_text()
    assert text.startswith("first\n")
    assert text.endswith("\nafter\nlast\n")
    (notice,) = [line for line in text.splitlines() if "lost" in line]
    # A file may have had room for the beginning; of no line is there a piece.
    whole = text.count("x" * 5000)
    assert notice == f"(here {40 - whole} lines were lost: the file could not be written)"
    assert set(text.splitlines()) <= {"first", "x" * 5000, notice, "after", "last"}


def numbered(number: int) -> bytes:
    return f"{number}\n".encode()


def test_a_log_that_has_to_begin_a_new_file_meanwhile_goes_on(disk: Path) -> None:
    with logger(disk / "log", size=1000) as log:
        for number in range(200):
            log.info(numbered(number))
        ballast = fill(disk)
        for number in range(200, 5000):
            log.info(numbered(number))
        ballast.unlink()
        for number in range(5000, 6000):
            log.info(numbered(number))
    assert {path.name for path in disk.iterdir()} == {"log", "log.1", "log.2"}
    assert (disk / "log").read_text().splitlines()[-1] == "5999"
    assert all(path.stat().st_size < 1200 for path in disk.iterdir())


def test_a_directory_that_was_removed_loses_lines_and_no_more(tmp_path: Path) -> None:
    place = tmp_path / "logs"
    place.mkdir()
    with logger(place / "log", size=20) as log:
        (place / "log").unlink()
        place.rmdir()
        for _ in range(20):
            log.info(b"into nothing\n")
        place.mkdir()
        log.info(b"again\n")
        log.info(b"and again\n")
    assert "again" in "".join(path.read_text() for path in place.iterdir())


def test_supervisords_own_lines_have_their_form(tmp_path: Path) -> None:
    with logger(tmp_path / "log", "%(levelname)s %(message)s\n") as log:
        log.critical("100 %(what)s", what="percent")
        log.info("déjà vu")
    assert (tmp_path / "log").read_text() == "CRIT 100 percent\nINFO déjà vu\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
