"""The engines: what they are, whether they work, how busy they are, and which one takes a request."""

from gateway.engines.discovery import Watcher, WatchTimes
from gateway.engines.engine import Engine
from gateway.engines.fleet import Fleet

__all__ = ["Engine", "Fleet", "WatchTimes", "Watcher"]
