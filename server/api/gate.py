"""The bound on calls in flight: what is over it is refused at once, before it is parsed."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.domain.errors import Overloaded


class Gate:
    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Raises Overloaded."""
        if self._inside >= self._most:
            raise Overloaded(limit="calls in flight")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
