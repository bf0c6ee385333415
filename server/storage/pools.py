"""How much of a pool of connections is in use."""

from sqlalchemy import Pool, QueuePool


def use_of(pool: Pool) -> tuple[int, int]:
    """Connections in use, and the most there may be: pools here do not overflow."""
    assert isinstance(pool, QueuePool)  # noqa: S101
    return pool.checkedout(), pool.size()
