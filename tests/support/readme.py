"""The README's example for the OpenAI SDK."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.program import PYTHON, ROOT

_BLOCKS = re.compile(r"^```sh\n(export OPENAI_BASE_URL=[^\n]*)\n```\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class SdkExample:
    """What a person pastes: a line into their shell, and a script."""

    export: str
    script: str

    @classmethod
    def of(cls, file: str) -> Self:
        ((export, script),) = _BLOCKS.findall((ROOT / file).read_text(encoding="utf-8"))
        return cls(export, script)

    def run(self, directory: Path, export: str | None = None) -> str:
        """Pastes both where `secrets` lies, and gives what is printed; `export` is the line that `make up` printed."""
        (directory / "example.py").write_text(self.script, encoding="utf-8")
        done = subprocess.run(
            ("bash", "-euc", f"{export or self.export}\nexec {PYTHON} example.py"),
            cwd=directory, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout
