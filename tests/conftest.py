"""What every test may rely on: the folders of scripts (`benchmarks`, `tests`) can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
