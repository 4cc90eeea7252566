"""The books of one worker: what its engines' time costs, who paid, and what nobody did."""

import asyncio
import time
from collections.abc import Callable, Sequence

from gateway.cost.account import Account
from gateway.cost.share import Share
from gateway.telemetry.spending import Spending

# Counters are written so often; what a killed worker had not written is counted as lost by its successor.
PERIOD_S = 0.5


class Books:
    """Keeps the accounts of all engines that have a price.

    Args:
        accounts: One an engine, in the same order in all workers.
        share: Which part of the engines' time is this worker's to book.
        spending: Where it is counted.
        clock: That of the accounts and the share.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        share: Share,
        spending: Spending,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._share = share
        self._spending = spending
        self._clock = clock
        self._open = False
        for account in accounts:
            spending.know_engine(account.engine, account.tariff.usd_per_hour)

    def post(self) -> None:
        """Books all that has come up to now, and writes it to the counters."""
        if not self._open:
            self._begin()
        for number, account in enumerate(self._accounts):
            paid, idle = account.meter.take()
            self._share.book(number, paid + idle)
            self._spending.book(account.engine, "idle", idle * account.tariff.usd_per_second)
        self._spending.write()

    async def keep(self) -> None:
        """Posts for ever, and once more at the end."""
        try:
            while True:
                self.post()
                await asyncio.sleep(PERIOD_S)
        finally:
            self.post()

    def _begin(self) -> None:
        """Begins to count as soon as this worker has a share, with what its predecessor left unbooked."""
        now = self._clock()
        if not self._share.take(now):
            return
        for number, account in enumerate(self._accounts):
            lost = self._share.missing(number, now)
            self._share.book(number, lost)
            self._spending.book(account.engine, "lost", lost * account.tariff.usd_per_second)
            account.meter.start(now)
        self._open = True
