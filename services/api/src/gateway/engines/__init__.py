"""The engines: their state, their health, their load, and the choice of one for a request."""

from gateway.engines.engine import Engine
from gateway.engines.fleet import Fleet
from gateway.engines.monitor import EngineMonitor, PollSchedule
from gateway.engines.observer import EngineObserver

__all__ = ["Engine", "EngineMonitor", "EngineObserver", "Fleet", "PollSchedule"]
