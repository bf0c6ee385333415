"""The second wall between platforms: PostgreSQL's row-level security.

Every statement names its platform; the wall holds where one should forget to. Migrations make the policies; a
connection that has said nothing reaches every platform's rows, as the server's own work does.
"""

from sqlalchemy import Connection, text

from server.domain.callers import EVERY_PLATFORM
from server.storage.upserts import is_postgresql

SETTING = "optin.platform"
IN_TRANSACTION = text(f"SELECT set_config('{SETTING}', :platform, true)")
IN_SESSION = text(f"SELECT set_config('{SETTING}', :platform, false)")
BYPASSED = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")


def reach(connection: Connection, platform: str) -> None:
    """What the transaction sees and changes from now on."""
    if is_postgresql(connection):
        connection.execute(IN_TRANSACTION, {"platform": platform})


def reach_in_session(connection: Connection, platform: str) -> None:
    """As `reach`, for a connection of the pool that is without transactions; which remembers what was said last."""
    if connection.info.get(SETTING, EVERY_PLATFORM) != platform:
        connection.execute(IN_SESSION, {"platform": platform})
        connection.info[SETTING] = platform


def are_bypassed(connection: Connection) -> bool:
    """Whether the database's user is one whom no policy binds."""
    return bool(connection.scalar(BYPASSED))
