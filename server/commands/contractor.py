"""`optin contractor erase`."""

from server.api.erasing import erased_event, erased_response
from server.app import utc_now
from server.commands.beside import opened
from server.commands.explained import fail
from server.config import Settings
from server.domain.errors import NotFound
from server.service.erasing import ContractorIsLive, Erasing
from server.web import erasing as of_web
from server.web import stored

REMAINS = {
    True: "The file is written anew: nothing is left in it.",
    False: "Copies may lie unused in the file and its log while a server has it: run this again when none has.",
    None: "Old versions of the rows are gone when PostgreSQL has vacuumed the tables.",
}


async def print_erasure(settings: Settings, contractor_id: str) -> None:
    """Raises typer.Exit with code 1 when there is nothing that may be erased, and as `beside.opened`; Conflict."""
    async with opened(settings.url) as database:
        erasing = Erasing(storage=database, response=_erased_response, event=erased_event, now=utc_now())
        try:
            counts = await erasing.erase(contractor_id)
        except NotFound:
            fail(f"There is no contractor {contractor_id}.")
        except ContractorIsLive:
            fail(f"Contractor {contractor_id} is live; end its cover with DeleteContractor first, then erase it.")
        remains = REMAINS[await database.rewrite_file()]
    changed = ", ".join(f"{counts[kind]} {kind}" for kind in ("records", "events", "responses"))
    print(f"Contractor {contractor_id} is erased: {changed} changed. {remains}")


def _erased_response(body: bytes, contractor: str) -> bytes:
    """Of the face that it was kept for."""
    erase = of_web.erased_response if stored.is_ours(body) else erased_response
    return erase(body, contractor)
