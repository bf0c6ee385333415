"""The invariants of what is unique across contractors: request ids and emails."""

from server.domain.invariants.books import EmailRow, Ids, RequestRow


def request_awaits_a_pending_policy(request: RequestRow) -> Ids:
    """A request awaits a policy only while a carrier is being asked for it."""
    if request.awaits and not request.awaits_pending:
        yield request.request_id, request.awaits


def request_has_its_response(request: RequestRow) -> Ids:
    """A request has a response exactly when it awaits none."""
    if request.is_answered == bool(request.awaits):
        yield (request.request_id,)


def email_is_held_by_a_live_contractor(email: EmailRow) -> Ids:
    """An email is kept for a live contractor of the platform that has it."""
    if not email.holds:
        yield (email.contractor,)


OF_REQUESTS = (request_awaits_a_pending_policy, request_has_its_response)
OF_EMAILS = (email_is_held_by_a_live_contractor,)
