"""The invariants of an assignment and its decisions."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from server.domain.anew import lost
from server.domain.enums import AssignmentStatus, BindingOutcome, BindingWorkflow, PolicyStatus
from server.domain.invariants.books import AboutRow, Books, Cause, DecisionRow, Entry, Ids, Terms
from server.domain.invariants.cover import covered_types, covers, was_complete
from server.domain.records import Policy
from server.domain.terms import Period

COVERED = (BindingOutcome.COVERAGE_REUSED, BindingOutcome.COVERAGE_BOUND)
NAMES_POLICIES = (*COVERED, BindingOutcome.BINDING_PENDING)


def decisions_have_their_assignment(decision: AboutRow) -> Ids:
    """A decision is about an assignment that is there."""
    if not decision.has_assignment:
        yield (decision.assignment,)


def assignment_has_one_platform(books: Books, entry: Entry, _: Terms) -> Ids:
    """An assignment and its decisions are of the contractor's platform."""
    if books.contractor is None:
        return
    platforms = {entry.assignment.platform, *(decision.platform for decision in entry.decisions)}
    if platforms != {books.contractor.platform}:
        yield (entry.id,)


def decisions_have_no_gaps(_: Books, entry: Entry, __: Terms) -> Ids:
    """An assignment has decisions, numbered 1, 2, 3 and so on."""
    for number, decision in enumerate(entry.decisions, 1):
        if decision.number != number:
            yield (entry.id,)
            return
    if not entry.decisions:
        yield (entry.id,)


def assignment_shows_its_last_decision(_: Books, entry: Entry, __: Terms) -> Ids:
    """An assignment has the number and the outcome of its last decision."""
    if not entry.decisions:
        return
    shown, last = entry.assignment, entry.decisions[-1]
    if (shown.decision, shown.outcome) != (last.number, last.outcome):
        yield (entry.id,)


def policies_are_where_the_outcome_says(_: Books, entry: Entry, __: Terms) -> Ids:
    """Cover that is reused, bound or pending names its policies; another outcome names only those that it keeps."""
    had: frozenset[str] = frozenset()
    for decision in entry.decisions:
        named = frozenset(decision.policies)
        if not named if decision.outcome in NAMES_POLICIES else not named <= had:
            yield entry.id, *decision.policies
        pending = decision.outcome is BindingOutcome.BINDING_PENDING
        had = frozenset(decision.policies[:-1]) if pending else named


def policies_named_are_there(books: Books, entry: Entry, _: Terms) -> Ids:
    """A policy that a decision names is one of the contractor's."""
    for decision in entry.decisions:
        for policy in decision.policies:
            if policy not in books.policies:
                yield entry.id, policy


def policies_named_cover_the_assignment(books: Books, entry: Entry, _: Terms) -> Ids:
    """Together they cover the types that are said to be covered; each fits category, state and its own part.

    States and parts are as they were when the policy came to be named.
    """
    causes = entry.causes()
    since: dict[str, Cause] = {}
    for position, cause in enumerate(causes):
        named = [books.policies[policy] for policy in cause.decision.policies if policy in books.policies]
        since = {p.id: since.get(p.id) or _with_an_end(p.id, causes[position:]) for p in named}
        types = {type_ for policy in named for type_ in policy.coverage_types}
        fit = all(covers(policy, since[policy.id]) for policy in named)
        if named and not (fit and types.issuperset(covered_types(cause))):
            yield entry.id, *cause.decision.policies


def policies_named_were_issued(books: Books, entry: Entry, terms: Terms) -> Ids:
    """The cover that an assignment shows was issued, and not cancelled before it was decided."""
    if not entry.decisions or entry.decisions[-1].outcome not in COVERED:
        return
    first = _first_named(entry.causes(), COVERED)
    for id_ in entry.decisions[-1].policies:
        policy = books.policies.get(id_)
        if policy is not None and id_ in first and not _was_issued(policy, first[id_].decision.decide_time, terms):
            yield entry.id, id_


def cover_that_ended_before_is_decided_anew(books: Books, entry: Entry, _: Terms) -> Ids:
    """An assignment that stands does not rest on a policy that was cancelled before the part began that rests on it."""
    if entry.assignment.status is not AssignmentStatus.ACTIVE or not entry.decisions:
        return
    last = entry.decisions[-1]
    if last.outcome is BindingOutcome.BINDING_PENDING:
        return
    named = [books.policies[id_] for id_ in last.policies if id_ in books.policies]
    for policy in lost(entry.assignment.coverage_types, entry.assignment.effective_time, named):
        yield entry.id, policy.id


def pending_assignment_is_being_bound(books: Books, entry: Entry, _: Terms) -> Ids:
    """An assignment is pending only while its policy is."""
    if not entry.decisions or entry.decisions[-1].outcome is not BindingOutcome.BINDING_PENDING:
        return
    for id_ in entry.decisions[-1].policies[-1:]:
        if id_ not in books.pending or books.pending[id_].binding.assignment != entry.id:
            yield entry.id, id_


def decision_rests_on_a_complete_opt_in(books: Books, entry: Entry, terms: Terms) -> Ids:
    """What was decided by the general opt-in had one, of the contractor and the state, and complete by then.

    A later decision that only keeps what the one before had may follow a withdrawal.
    """
    before: DecisionRow | None = None
    for decision in entry.decisions:
        by_opt_in = decision.workflow is BindingWorkflow.GENERAL_OPT_IN
        if by_opt_in and not (before and _only_keeps(before, decision)):
            session = books.sessions.get(decision.application_session)
            if not was_complete(session, entry.assignment.work_state, decision.decide_time, books, terms):
                yield entry.id, decision.application_session or "none"
        before = decision


def decision_by_a_quote_has_its_policy(books: Books, entry: Entry, _: Terms) -> Ids:
    """What was decided because a quote was issued names the quote's policy, and the quote is for the job."""
    for decision in entry.decisions:
        id_ = decision.evidence.get("quote", "")
        quote = books.quotes.get(id_)
        if id_ and (quote is None or quote.policy not in decision.policies or quote.job != entry.assignment.job):
            yield entry.id, id_


def _only_keeps(before: DecisionRow, decision: DecisionRow) -> bool:
    same = (before.workflow, before.application_session) == (decision.workflow, decision.application_session)
    return same and frozenset(before.policies).issuperset(decision.policies)


def _with_an_end(policy: str, causes: Sequence[Cause]) -> Cause:
    """The first of the causes, which names the policy, with the period for which it surely did.

    An assignment is extended without a decision where no type that is covered needs one. So once the policy is
    named no more, it is not known how much of the period was added afterwards.
    """
    first = causes[0]
    for cause in causes[1:]:
        if policy not in cause.decision.policies:
            return first._replace(period=Period(first.period.start, first.period.start))
        if "previous_end" in cause.decision.part:
            break
    return first


def _first_named(causes: Iterable[Cause], outcomes: Collection[BindingOutcome]) -> dict[str, Cause]:
    """The decision of such an outcome that named a policy first, by policy."""
    found: dict[str, Cause] = {}
    for cause in causes:
        if cause.decision.outcome in outcomes:
            for policy in cause.decision.policies:
                found.setdefault(policy, cause)
    return found


def _was_issued(policy: Policy, time: datetime, terms: Terms) -> bool:
    if policy.status is PolicyStatus.CANCELLED:
        return policy.cancel_time is None or policy.cancel_time + terms.span >= time
    return policy.status is PolicyStatus.ACTIVE  # EXPIRED is never stored


RULES = (
    assignment_has_one_platform,
    decisions_have_no_gaps,
    assignment_shows_its_last_decision,
    policies_are_where_the_outcome_says,
    policies_named_are_there,
    policies_named_cover_the_assignment,
    policies_named_were_issued,
    cover_that_ended_before_is_decided_anew,
    pending_assignment_is_being_bound,
    decision_rests_on_a_complete_opt_in,
    decision_by_a_quote_has_its_policy,
)

OF_DECISIONS = (decisions_have_their_assignment,)
