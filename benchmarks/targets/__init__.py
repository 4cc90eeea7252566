"""What is measured: how each target is started, when it is ready, and why one cannot be."""

from benchmarks.targets.catalogue import CATALOGUE, Missing, Starts, start, stop
from benchmarks.targets.engine import Engine
from benchmarks.targets.target import Target, UnavailableError, Workspace

__all__ = ["CATALOGUE", "Engine", "Missing", "Starts", "Target", "UnavailableError", "Workspace", "start", "stop"]
