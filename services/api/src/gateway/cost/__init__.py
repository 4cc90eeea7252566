"""What a request costs: the price of an engine's hours, shared out over the requests that it served."""

from gateway.cost.account import Account, read_accounts
from gateway.cost.books import Books
from gateway.cost.prices import PricesFileError
from gateway.cost.share import Share

__all__ = ["Account", "Books", "PricesFileError", "Share", "read_accounts"]
