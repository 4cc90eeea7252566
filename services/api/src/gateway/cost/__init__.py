"""Cost: the price of an engine's time, shared out over the requests that it served."""

from gateway.cost.ledger import CostLedger, CostObserver, TimeShare
from gateway.cost.meter import EngineMeter, read_meters
from gateway.cost.pricing import PricesFileError

__all__ = ["CostLedger", "CostObserver", "EngineMeter", "PricesFileError", "TimeShare", "read_meters"]
