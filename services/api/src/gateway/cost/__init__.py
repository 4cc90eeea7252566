"""What a request costs: the price of an engine's hours, shared out over the requests that it served."""

from gateway.cost.ledger import CostLedger, TimeShare
from gateway.cost.meter import EngineMeter, read_meters
from gateway.cost.pricing import PricesFileError

__all__ = ["CostLedger", "EngineMeter", "PricesFileError", "TimeShare", "read_meters"]
