"""Driver errors, translated once: what may be run again, and what means that the database is out of reach."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from server.domain.errors import StorageUnavailable
from server.domain.ports import Conflict

# https://www.postgresql.org/docs/15/errcodes-appendix.html
RERUN = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available
# Connection, authorization, no such database, resources, operator intervention, system error.
UNREACHABLE_CLASSES = ("08", "28", "3D", "53", "57", "58")


@contextmanager
def translated() -> Iterator[None]:
    """Raises Conflict or StorageUnavailable for the driver errors that mean so; others pass."""
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict from error
    except exc.TimeoutError as error:  # no free connection in the pool
        raise StorageUnavailable from error
    except exc.DBAPIError as error:
        if _sqlstate(error) in RERUN:
            raise Conflict from error
        if _is_unreachable(error):
            raise StorageUnavailable from error
        raise
    except OSError as error:
        raise StorageUnavailable from error


def _is_unreachable(error: exc.DBAPIError) -> bool:
    state = _sqlstate(error)
    if state:
        return state.startswith(UNREACHABLE_CLASSES)
    # SQLite's OperationalError: busy, disk full, disk I/O error, cannot open, read-only. Its DatabaseError itself,
    # none of the kinds of it: not a database, malformed. asyncpg's InternalError: a connection lost between two steps.
    kinds = (exc.OperationalError, exc.InterfaceError, exc.InternalError)
    return error.connection_invalidated or isinstance(error, kinds) or type(error) is exc.DatabaseError


def _sqlstate(error: exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
