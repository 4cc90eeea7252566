"""The engines: what they are, whether they work, how busy they are, and which one takes a request."""

from gateway.engines.engine import Engine
from gateway.engines.fleet import Fleet
from gateway.engines.monitor import EngineMonitor, PollSchedule

__all__ = ["Engine", "EngineMonitor", "Fleet", "PollSchedule"]
