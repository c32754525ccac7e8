"""What an instance costs by the hour: what an operator set, else the list as it was read last. Never a guess.

`hourly` looks no further than the ledger. The list is read by `refresh`, which a timer calls, so that nothing else
waits for it or fails with it. A size that is asked for is read from then on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.costs.overrides import parse_prices
from shared.costs.records import Price, PriceRecord, is_instance_type, price_key
from shared.costs.retail import UnknownPriceError
from shared.errors import DroptuneError, RaceLostError
from shared.lifecycle.ledger import Versioned

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock
    from shared.config import Settings
    from shared.costs.retail import RetailPrices
    from shared.lifecycle.ledger import Ledger

log = logging.getLogger(__name__)

READ_EVERY = timedelta(days=1)
READ_AGAIN = timedelta(hours=1)
"""Of one whose price is unknown."""
GOOD_FOR = timedelta(days=7)
"""A price that could not be read again for so long is unknown."""
_REMEMBERED = timedelta(minutes=5)
MAX_READ = 20
"""Of one pass."""
MAX_SIZES = 200
"""More are not taken in: sizes come from endpoints that anybody may have made."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """A price and since when it is in effect; None: always."""

    price: Price
    since: datetime | None = None


@dataclass(frozen=True)
class Prices:
    settings: Settings
    ledger: Ledger
    retail: Callable[[], RetailPrices]
    clock: Clock
    _memory: dict[str, tuple[datetime, Known | None]] = field(default_factory=dict)

    def hourly(self, instance_type: str) -> Price | None:
        """Of one instance for an hour, now; None: unknown. Raises nothing."""
        known = self.known(instance_type)
        return known.price if known else None

    def known(self, instance_type: str) -> Known | None:
        size = instance_type.lower()
        own = parse_prices(self.settings.prices).get(size)
        if own is not None:
            return Known(Price(own, self.settings.price_currency))
        if not is_instance_type(size):
            return None
        now = self.clock()
        until, known = self._memory.get(size, (now, None))
        if now < until:
            return known
        try:
            known = self._from_ledger(instance_type, now)
        except DroptuneError as error:
            log.warning("price of %s: %s", instance_type, error)
            return None
        self._memory[size] = (now + _REMEMBERED, known)
        return known

    def refresh(self) -> int:
        """Read the list for sizes whose price is out of date; how many were read.

        The first that can not be read ends it: the rest would most likely wait for the same time-out. Raises
        DroptuneError only if the ledger can not be reached.
        """
        if not self.settings.prices_endpoint:
            return 0
        now = self.clock()
        late = [row for row in self.ledger.prices() if self._is_late(row.value, now)]
        count = 0
        for row in sorted(late, key=lambda row: row.value.read_at or _NEVER)[:MAX_READ]:
            if not self._read(row, now):
                break
            count += 1
        return count

    def _from_ledger(self, instance_type: str, now: datetime) -> Known | None:
        region, currency = self.settings.azure_location, self.settings.price_currency
        row = self.ledger.price(price_key(instance_type, region, currency))
        if row is None:
            self._want(PriceRecord(instance_type=instance_type, region=region, currency=currency))
            return None
        value = row.value
        if value.hourly is None or value.read_at is None or now - value.read_at > GOOD_FOR:
            return None
        return Known(Price(value.hourly, value.currency), value.since)

    def _want(self, record: PriceRecord) -> None:
        if sum(1 for _ in self.ledger.prices()) >= MAX_SIZES:
            log.warning("price of %s: %d sizes are followed already", record.instance_type, MAX_SIZES)
            return
        try:
            self.ledger.put(Versioned(record, ""))
        except RaceLostError:
            log.info("price of %s: somebody else asked for it, too", record.instance_type)

    def _is_late(self, record: PriceRecord, now: datetime) -> bool:
        ours = (record.region, record.currency) == (self.settings.azure_location, self.settings.price_currency)
        if not ours:
            return False
        every = READ_EVERY if record.hourly is not None and not record.problem else READ_AGAIN
        return record.read_at is None or not timedelta(0) <= now - record.read_at < every

    def _read(self, row: Versioned[PriceRecord], now: datetime) -> bool:
        record = row.value
        try:
            found = self.retail().hourly(record.instance_type, record.region, record.currency, now)
        except UnknownPriceError as error:
            log.warning("price of %s is unknown: %s", record.instance_type, error)
            after = replace(record, hourly=None, since=None, read_at=now, problem=str(error))
        except DroptuneError as error:
            # What was read before stays good for a while; `read_at` stays, so that it is read again soon.
            log.warning("price of %s: %s", record.instance_type, error)
            return False
        else:
            log.info("price of %s: %g %s an hour", record.instance_type, found.hourly, record.currency)
            after = replace(record, hourly=found.hourly, since=found.since, read_at=now, problem="")
        try:
            self.ledger.put(replace(row, value=after))
        except RaceLostError:
            log.info("price of %s: somebody else read it, too", record.instance_type)
        self._memory.pop(record.instance_type.lower(), None)
        return True
