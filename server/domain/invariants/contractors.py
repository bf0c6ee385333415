"""The invariants of a contractor, asked when its assignments have passed by."""

from collections import defaultdict

from server.domain.application import LIVE, OPEN
from server.domain.decision import OPT_IN_COVERS
from server.domain.enums import CarrierOrderKind, PolicyOrigin, PolicyStatus
from server.domain.invariants.books import Books, Ids, Terms
from server.domain.invariants.cover import BY_OPT_IN, need, was_complete, would_have_done
from server.domain.records import Policy
from server.domain.terms import policy_term


def contractor_exists(books: Books, _: Terms) -> Ids:
    """Whatever belongs to a contractor belongs to one that is there."""
    if books.contractor is None:
        yield (books.id,)


def contractor_has_one_platform(books: Books, _: Terms) -> Ids:
    """A contractor's sessions, quotes, policies, bindings and carrier orders are of its platform."""
    if books.contractor is None:
        return
    rows = [(session.id, session.platform) for session in books.sessions.values()]
    rows += [(quote.id, quote.platform) for quote in books.quotes.values()]
    rows += [(policy.id, policy.platform) for policy in books.policies.values()]
    rows += [(policy, pending.binding.platform) for policy, pending in books.pending.items()]
    rows += [(order.policy, order.platform) for order in books.orders]
    yield from ((id_, platform) for id_, platform in rows if platform != books.contractor.platform)


def contractor_holds_its_email(books: Books, _: Terms) -> Ids:
    """A live contractor's email is kept for it, without case."""
    contractor = books.contractor
    if contractor is None:
        return
    if contractor.email_folded != contractor.email.casefold():
        yield (contractor.id,)
    elif contractor.delete_time is None and contractor.email_holder != contractor.id:
        yield (contractor.id, contractor.email_holder or "nobody")


def deleted_contractor_has_nothing_live(books: Books, _: Terms) -> Ids:
    """A deletion cancels policies and sessions; only a policy that is being bound is settled later."""
    if books.contractor is None or books.contractor.delete_time is None:
        return
    for policy in books.policies.values():
        ended = policy.cancel_time is not None and policy.cancel_time <= books.contractor.delete_time
        if policy.status is PolicyStatus.ACTIVE and not ended:
            yield books.id, policy.id
    for session in books.sessions.values():
        expired = session.status in OPEN and session.expire_time <= books.contractor.delete_time
        if session.status in LIVE and not expired:
            yield books.id, session.id


def policy_numbers_have_no_gaps(books: Books, _: Terms) -> Ids:
    """A contractor's policies are numbered 1, 2, 3 and so on."""
    for number, policy in enumerate(books.in_order(), 1):
        if policy.number != number:
            yield books.id, policy.id
            return


def policy_shows_how_it_ended(books: Books, _: Terms) -> Ids:
    """A cancelled policy has its time, as an active one may; a failed one its reason; EXPIRED is never stored."""
    for policy in books.policies.values():
        timed = policy.cancel_time is not None
        ended = policy.status is PolicyStatus.CANCELLED
        agrees = timed == ended or (timed and policy.status is PolicyStatus.ACTIVE and policy.revision > 0)
        failed = policy.status is PolicyStatus.FAILED
        if not agrees or failed != (policy.fail_reason is not None) or policy.status is PolicyStatus.EXPIRED:
            yield (policy.id,)


def pending_policy_is_being_bound(books: Books, _: Terms) -> Ids:
    """A policy is pending exactly as long as a remote carrier is being asked for it."""
    for policy in books.policies.values():
        if policy.status is PolicyStatus.PENDING and not (policy.remote and policy.id in books.pending):
            yield (policy.id,)
    for id_ in books.pending:
        if id_ not in books.policies or books.policies[id_].status is not PolicyStatus.PENDING:
            yield (id_,)


def pending_policy_is_in_time(books: Books, terms: Terms) -> Ids:
    """A lease that is over is taken over: none is older than the time that a carrier may take."""
    for id_, pending in books.pending.items():
        if pending.binding.lease_expire_time + terms.limit < terms.now:
            yield (id_,)


def pending_policy_has_its_assignment(books: Books, _: Terms) -> Ids:
    """An assignment is pending with each policy that is being bound, but with those for quotes."""
    for id_, pending in books.pending.items():
        policy = books.policies.get(id_)
        for_a_quote = policy is not None and policy.origin is PolicyOrigin.QUOTE
        if books.waiting.get(id_, "") != pending.binding.assignment or for_a_quote == bool(pending.binding.assignment):
            yield id_, pending.binding.assignment or "none"


def pending_policy_is_awaited_by_its_request(books: Books, _: Terms) -> Ids:
    """The request that is to get the response awaits the policy."""
    for id_, pending in books.pending.items():
        if pending.binding.request_id and pending.awaits != id_:
            yield id_, pending.binding.request_id


def carrier_orders_say_what_became_of_policies(books: Books, _: Terms) -> Ids:
    """A remote carrier is owed what became of a policy last, a void for one that failed, and no more."""
    for order in books.orders:
        policy = books.policies.get(order.policy)
        owed = policy is not None and policy.remote and policy.revision == order.revision
        if policy is None or not owed or _ended_by(policy) is not order.kind:
            yield order.policy, order.kind.name


def opt_in_policy_has_a_complete_opt_in(books: Books, terms: Terms) -> Ids:
    """Its session is a general opt-in of the contractor and the state that was complete when the policy was bound."""
    for policy in _opt_in_policies(books):
        session = books.sessions.get(policy.application_session)
        if not was_complete(session, policy.work_state, policy.create_time, books, terms):
            yield policy.id, policy.application_session or "none"


def opt_in_policy_has_one_cause(books: Books, _: Terms) -> Ids:
    """It was bound for exactly one assignment; only one that failed may have left none."""
    for policy in _opt_in_policies(books):
        causes = books.causes.get(policy.id, [])
        if len(causes) > 1 or (not causes and policy.status is not PolicyStatus.FAILED):
            yield policy.id, *(cause.assignment.id for cause in causes)


def opt_in_policy_is_as_its_cause(books: Books, _: Terms) -> Ids:
    """It has the state, category, rate and term that its assignment asked for, and workers' compensation alone."""
    for policy in _opt_in_policies(books):
        for cause in books.causes.get(policy.id, ())[:1]:
            assignment, term = cause.assignment, policy_term(cause.period)
            others = (books.policies[id_] for id_ in cause.decision.policies if id_ in books.policies)
            rate = cause.decision.net_rate - sum(other.net_rate for other in others if other.id != policy.id)
            wanted = (OPT_IN_COVERS, assignment.work_state, assignment.category_code, rate)
            bound = (policy.coverage_types, policy.work_state, policy.category_code, policy.net_rate)
            if wanted != bound or (term.start, term.end) != (policy.effective_time, policy.expire_time):
                yield policy.id, assignment.id


def opt_in_policy_was_needed(books: Books, terms: Terms) -> Ids:
    """Never two policies where one would do: no earlier one that was usable then matches its assignment."""
    earlier: defaultdict[tuple[str, str], list[Policy]] = defaultdict(list)
    for policy in books.in_order():
        alike = earlier[policy.category_code, policy.work_state]
        for cause in books.causes.get(policy.id, ())[:1]:
            wanted = need(cause, BY_OPT_IN, policy.residence_state)
            seen = frozenset(cause.decision.evidence.get("policies", ()))
            for other in alike:
                if would_have_done(other, policy, wanted, books, terms, seen):
                    yield policy.id, other.id, cause.assignment.id
        alike.append(policy)


def _ended_by(policy: Policy) -> CarrierOrderKind:
    if policy.status is PolicyStatus.FAILED:
        return CarrierOrderKind.VOID
    return CarrierOrderKind.REINSTATE if policy.cancel_time is None else CarrierOrderKind.CANCEL


def _opt_in_policies(books: Books) -> list[Policy]:
    return [policy for policy in books.policies.values() if policy.origin is PolicyOrigin.GENERAL_OPT_IN]


RULES = (
    contractor_exists,
    contractor_has_one_platform,
    contractor_holds_its_email,
    deleted_contractor_has_nothing_live,
    policy_numbers_have_no_gaps,
    policy_shows_how_it_ended,
    pending_policy_is_being_bound,
    pending_policy_is_in_time,
    pending_policy_has_its_assignment,
    pending_policy_is_awaited_by_its_request,
    carrier_orders_say_what_became_of_policies,
    opt_in_policy_has_a_complete_opt_in,
    opt_in_policy_has_one_cause,
    opt_in_policy_is_as_its_cause,
    opt_in_policy_was_needed,
)
