"""How often an address may ask: a count a minute, forgotten when the minute is over."""

import ipaddress
import time
from collections import Counter

from server.domain.errors import Overloaded

MOST_A_MINUTE = 300
MOST_WRONG_A_MINUTE = 30  # links that are none: who tries tokens
MOST_ADDRESSES = 50_000  # counted one by one; those beyond share one count
MINUTE = 60.0


class TooMany(Overloaded):
    """An address has asked too often; it may again within a minute."""

    retry_seconds = MINUTE

    def __init__(self) -> None:
        super().__init__(limit="requests of an address to the page")


class Rate:
    def __init__(self) -> None:
        self._counts = Counter[tuple[str, str]]()
        self._ends = 0.0

    def count(self, address: str) -> None:
        """Raises TooMany."""
        self._count("asked", address, MOST_A_MINUTE)
        if self._counts["wrong", _network(address)] >= MOST_WRONG_A_MINUTE:
            raise TooMany

    def count_wrong(self, address: str) -> None:
        """Raises TooMany."""
        self._count("wrong", address, MOST_WRONG_A_MINUTE)

    def _count(self, what: str, address: str, most: int) -> None:
        now = time.monotonic()
        if now >= self._ends:
            self._counts.clear()
            self._ends = now + MINUTE
        entry = what, _network(address)
        if entry not in self._counts and len(self._counts) >= MOST_ADDRESSES:
            entry = what, "others"
        self._counts[entry] += 1
        if self._counts[entry] > most:
            raise TooMany


def _network(address: str) -> str:
    """Of IPv6 the /64, which is one customer's."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(read) if read.version == 4 else str(ipaddress.ip_network((read, 64), strict=False))
