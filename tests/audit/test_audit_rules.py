"""Every rule of the audit finds a database that breaks it, and no other rule complains without need."""

from dataclasses import dataclass

import pytest

from server.domain.invariants import assignments, contractors, events, keys, quotes, rule_name
from server.storage.tables import policies
from tests.audit.conftest import Kept

FOREIGN_KEYS = "sqlite-foreign-key-check"
NO_RESOURCE = "event-has-its-resource"
LONG_AGO = "'2001-01-01 00:00:00.000000+00:00'"
TONIGHT = "'2026-11-22 23:00:00.000000+00:00'"
LATER = "'2030-01-01 00:00:00.000000+00:00'"


@dataclass(frozen=True)
class Case:
    """What breaks a rule: statements, and the names of the ids that the finding has."""

    rule: str
    ids: str
    statements: tuple[str, ...]
    also: tuple[str, ...] = ()  # the rules that are broken with it

    def __str__(self) -> str:
        return f"{self.rule}, {' '.join(self.statements)}"


def case(rule: str, ids: str, *statements: str, also: str = "") -> Case:
    return Case(rule, ids, statements, tuple(also.split()))


def new_policy(changes: str) -> str:
    """Jane's first policy again, as another: `name = value` pairs, over its columns."""
    columns = [column.name for column in policies.columns]
    values = dict(pair.split("=") for pair in changes.split(", "))
    return (
        f"INSERT INTO policies ({', '.join(columns)}) "
        f"SELECT {', '.join(values.get(name, name) for name in columns)} FROM policies WHERE id = '{{policy}}'"
    )


def policy(name: str, changes: str) -> str:
    return f"UPDATE policies SET {changes} WHERE id = '{{{name}}}'"


def assignment(name: str, changes: str) -> str:
    return f"UPDATE assignments SET {changes} WHERE id = '{{{name}}}'"


def decision(name: str, changes: str) -> str:
    return f"UPDATE decisions SET {changes} WHERE assignment = '{{{name}}}'"


def quote(name: str, changes: str) -> str:
    return f"UPDATE quotes SET {changes} WHERE id = '{{{name}}}'"


def event_of(name: str, type_: str) -> str:
    return f"WHERE resource = '{{{name}}}' AND type = '{type_}'"


def event_again(name: str, type_: str) -> str:
    """Told once more, and waiting for its position."""
    return (
        "INSERT INTO events (id, platform, type, resource, create_time, data) "
        f"SELECT 'x', platform, '{type_}', resource, create_time, data FROM events "
        + event_of(name, "assignment.created")
    )


def session(changes: str) -> str:
    return f"UPDATE application_sessions SET {changes} WHERE id = '{{session}}'"


CASES = [
    # Contractors.
    case(
        "contractor-exists",
        "ben",
        "DELETE FROM contractors WHERE id = '{ben}'",
        also=f"email-is-held-by-a-live-contractor {FOREIGN_KEYS}",
    ),
    case(
        "contractor-exists",
        "x",
        assignment("uncovered", "contractor = 'x'"),
        also=f"decisions-have-no-gaps decisions-have-their-assignment {FOREIGN_KEYS}",
    ),
    case("contractor-has-one-platform", "policy pf_x", policy("policy", "platform = 'pf_x'"), also=NO_RESOURCE),
    case(
        "contractor-has-one-platform",
        "session pf_x",
        session("platform = 'pf_x'"),
        also=f"{NO_RESOURCE} opt-in-policy-has-a-complete-opt-in decision-rests-on-a-complete-opt-in",
    ),
    case(
        "contractor-has-one-platform",
        "pending pf_x",
        "UPDATE pending_bindings SET platform = 'pf_x'",
        also="pending-policy-is-awaited-by-its-request",
    ),
    case(
        "contractor-has-one-platform",
        "ended pf_x",
        "UPDATE carrier_orders SET platform = 'pf_x' WHERE policy = '{ended}'",
    ),
    case(
        "contractor-holds-its-email",
        "ann",
        "UPDATE contractors SET email = 'other@example.com' WHERE id = '{ann}'",
    ),
    case("contractor-holds-its-email", "ann nobody", "DELETE FROM emails WHERE contractor = '{ann}'"),
    case(
        "contractor-holds-its-email",
        "ann jane",
        "UPDATE emails SET contractor = '{jane}' WHERE contractor = '{ann}'",
        also="email-is-held-by-a-live-contractor",
    ),
    case(
        "deleted-contractor-has-nothing-live",
        "sue open",
        "UPDATE application_sessions SET status = 2 WHERE id = '{open}'",
    ),
    case(
        "deleted-contractor-has-nothing-live",
        "jane second",
        f"UPDATE contractors SET delete_time = {LATER} WHERE id = '{{jane}}'",
        "DELETE FROM emails WHERE contractor = '{jane}'",
    ),
    # Policies.
    case("policy-numbers-have-no-gaps", "joe rebound", policy("rebound", "number = 3")),
    case("policy-numbers-have-no-gaps", "dot pending", policy("pending", "number = 0")),
    case("policy-shows-how-it-ended", "cancelled", policy("cancelled", "cancel_time = NULL")),
    case("policy-shows-how-it-ended", "policy", policy("policy", f"cancel_time = {LATER}")),
    case("policy-shows-how-it-ended", "declined", policy("declined", "fail_reason = NULL")),
    case("policy-shows-how-it-ended", "policy", policy("policy", "fail_reason = 8")),
    case(
        "policy-shows-how-it-ended",
        "second",
        policy("second", "status = 4"),
        also="policies-named-were-issued",
    ),
    # Policies that are being bound.
    case(
        "pending-policy-is-being-bound",
        "pending",
        "DELETE FROM pending_bindings WHERE policy = '{pending}'",
        also="pending-assignment-is-being-bound",
    ),
    case("pending-policy-is-being-bound", "pending", policy("pending", "remote = false")),
    case(
        "pending-policy-is-being-bound",
        "pending",
        policy("pending", "status = 2"),
        also="request-awaits-a-pending-policy",
    ),
    case(
        "pending-policy-is-being-bound",
        "pending",
        "DELETE FROM policies WHERE id = '{pending}'",
        also=f"policies-named-are-there request-awaits-a-pending-policy {FOREIGN_KEYS} {NO_RESOURCE}",
    ),
    case(
        "pending-policy-is-in-time",
        "pending",
        f"UPDATE pending_bindings SET lease_expire_time = {LONG_AGO}",
    ),
    case(
        "pending-policy-has-its-assignment",
        "pending pending-assignment",
        assignment("pending-assignment", "outcome = 2"),
        decision("pending-assignment", "outcome = 2"),
        also="policies-named-were-issued",
    ),
    case(
        "pending-policy-has-its-assignment",
        "pending bound",
        "UPDATE pending_bindings SET assignment = '{bound}'",
        also="pending-assignment-is-being-bound",
    ),
    case(
        "pending-policy-is-awaited-by-its-request",
        "pending dot-1",
        "UPDATE requests SET awaits = '', response = digest WHERE request_id = 'dot-1'",
    ),
    case(
        "pending-policy-is-awaited-by-its-request", "pending dot-1", "DELETE FROM requests WHERE request_id = 'dot-1'"
    ),
    case(
        "pending-assignment-is-being-bound",
        "reused policy",
        assignment("reused", "outcome = 5"),
        decision("reused", "outcome = 5"),
        also="opt-in-policy-has-one-cause",
    ),
    # Carrier orders.
    case(
        "carrier-orders-say-what-became-of-policies",
        "ended CANCEL",
        policy("ended", "status = 2, cancel_time = NULL"),
    ),
    case("carrier-orders-say-what-became-of-policies", "unknown VOID", policy("unknown", "remote = false")),
    case("carrier-orders-say-what-became-of-policies", "ended VOID", "UPDATE carrier_orders SET kind = 1"),
    case(
        "carrier-orders-say-what-became-of-policies",
        "nowhere CANCEL",
        "UPDATE carrier_orders SET policy = 'nowhere' WHERE policy = '{ended}'",
        also=FOREIGN_KEYS,
    ),
    # Policies that an opt-in bound.
    *(
        case(
            "opt-in-policy-has-a-complete-opt-in",
            "policy session",
            change,
            also=f"decision-rests-on-a-complete-opt-in {more}",
        )
        for change, more in (
            (session("complete_time = NULL"), ""),
            (session(f"complete_time = {LATER}"), ""),
            (session("work_state = 'NY'"), ""),
            (session("contractor = '{joe}'"), ""),
            (session("status = 2"), ""),
            (session("status = 6"), ""),
            ("DELETE FROM application_sessions WHERE id = '{session}'", NO_RESOURCE),
        )
    ),
    case(
        "opt-in-policy-has-a-complete-opt-in",
        "policy session",
        session("is_general_opt_in = false"),
        also="decision-rests-on-a-complete-opt-in application-has-its-quote",
    ),
    case(
        "opt-in-policy-has-a-complete-opt-in",
        "policy none",
        policy("policy", "application_session = ''"),
    ),
    *(
        case(
            "opt-in-policy-has-a-complete-opt-in",
            "policy session",
            f"UPDATE events SET {change} {event_of('session', 'application_session.cancelled')}",
            also="decision-rests-on-a-complete-opt-in",
        )
        for change in (f"create_time = {LONG_AGO}", "type = 'application_session.started'")
    ),
    case(
        "opt-in-policy-has-one-cause",
        "policy bound reused",
        decision("reused", "outcome = 2"),
        assignment("reused", "outcome = 2"),
    ),
    case(
        "opt-in-policy-has-one-cause",
        "x",
        new_policy("id='x', number=3, category_code='jc_x'"),
    ),
    case("opt-in-policy-is-as-its-cause", "policy bound", policy("policy", "net_rate = 1")),
    case(
        "opt-in-policy-is-as-its-cause",
        "policy bound",
        policy("policy", "coverage_types = '3,4'"),
    ),
    case(
        "opt-in-policy-is-as-its-cause",
        "policy bound",
        policy("policy", f"expire_time = {LATER}"),
        also="opt-in-policy-was-needed",
    ),
    case(
        "opt-in-policy-is-as-its-cause",
        "pending pending-assignment",
        policy("pending", "work_state = 'NY'"),
        also="policies-named-cover-the-assignment opt-in-policy-has-a-complete-opt-in",
    ),
    case(
        "opt-in-policy-is-as-its-cause",
        "pending pending-assignment",
        policy("pending", "category_code = 'jc_x'"),
        also="policies-named-cover-the-assignment",
    ),
    # Two policies where one would do: the earlier one is so still, was seen, or was cancelled only afterwards.
    case(
        "opt-in-policy-was-needed",
        "rebound cancelled rebound-assignment",
        policy("cancelled", "status = 2, cancel_time = NULL, revision = 0"),
    ),
    case(
        "opt-in-policy-was-needed",
        "rebound cancelled rebound-assignment",
        policy("cancelled", "status = 1, cancel_time = NULL, revision = 0, remote = true"),
        also="pending-policy-is-being-bound policies-named-were-issued",
    ),
    case(
        "opt-in-policy-was-needed",
        "rebound cancelled rebound-assignment",
        decision("rebound-assignment", """facts = '{{"policies": ["{cancelled}"]}}'"""),
    ),
    *(
        case(
            "opt-in-policy-was-needed",
            "rebound cancelled rebound-assignment",
            policy("cancelled", change),
        )
        for change in (
            f"cancel_time = {LATER}",
            f"status = 2, cancel_time = {LATER}",
            "status = 2, cancel_time = NULL, revision = 2",
        )
    ),
    # Assignments and decisions.
    case(
        "decisions-have-their-assignment",
        "uncovered",
        "DELETE FROM assignments WHERE id = '{uncovered}'",
        also=f"{FOREIGN_KEYS} {NO_RESOURCE}",
    ),
    case(
        "assignment-has-one-platform",
        "uncovered",
        assignment("uncovered", "platform = 'pf_x'"),
        also=f"{NO_RESOURCE} assignment-is-told-as-created-once",
    ),
    case("assignment-has-one-platform", "uncovered", decision("uncovered", "platform = 'pf_x'")),
    case("decisions-have-no-gaps", "uncovered", "DELETE FROM decisions WHERE assignment = '{uncovered}'"),
    case(
        "decisions-have-no-gaps",
        "remote-assignment",
        "DELETE FROM decisions WHERE assignment = '{remote-assignment}' AND number = 1",
    ),
    case("assignment-shows-its-last-decision", "remote-assignment", assignment("remote-assignment", "decision = 1")),
    case("assignment-shows-its-last-decision", "reused", assignment("reused", "outcome = 3")),
    case(
        "policies-are-where-the-outcome-says",
        "reused",
        decision("reused", "policies = ''"),
    ),
    case(
        "policies-are-where-the-outcome-says",
        "uncovered second",
        decision("uncovered", "policies = '{second}'"),
        also="policies-named-cover-the-assignment",
    ),
    case(
        "policies-are-where-the-outcome-says",
        "declined-assignment declined",
        "UPDATE decisions SET policies = '{declined}' WHERE assignment = '{declined-assignment}' AND number = 2",
    ),
    case("policies-named-are-there", "reused nowhere", decision("reused", "policies = 'nowhere'")),
    case("policies-named-are-there", "reused cancelled", decision("reused", "policies = '{cancelled}'")),
    case(
        "policies-named-cover-the-assignment",
        "extended extended-policy rest",
        policy("rest", "effective_time = '2027-11-24 00:00:00.000000+00:00'"),
        also="opt-in-policy-is-as-its-cause",
    ),
    *(
        case("policies-named-cover-the-assignment", "reused policy", change)
        for change in (
            assignment("reused", f"end_time = {LATER}"),
            assignment("reused", f"effective_time = {LONG_AGO}"),
            assignment("reused", "category_code = 'jc_x'"),
        )
    ),
    case(
        "policies-named-cover-the-assignment",
        "reused policy",
        assignment("reused", "work_state = 'NY'"),
        also="decision-rests-on-a-complete-opt-in",
    ),
    case(
        "policies-named-cover-the-assignment",
        "withdrawn policy",
        assignment("withdrawn", "coverage_types = '3,4'"),
    ),
    case(
        "policies-named-cover-the-assignment",
        "withdrawn policy",
        policy("policy", "coverage_types = '1,3', origin = 2, residence_state = 'NY'"),
        also="quote-policy-has-its-quote quote-policy-has-a-complete-application",
    ),
    case(
        "policies-named-were-issued",
        "declined-assignment declined",
        "UPDATE decisions SET outcome = 2, policies = '{declined}' "
        "WHERE assignment = '{declined-assignment}' AND number = 2",
        assignment("declined-assignment", "outcome = 2"),
    ),
    case(
        "policies-named-were-issued",
        "withdrawn policy",
        policy("policy", f"status = 3, cancel_time = {LONG_AGO}"),
        also="cover-that-ended-before-is-decided-anew",
    ),
    case(
        "cover-that-ended-before-is-decided-anew",
        "another second",
        policy("second", f"cancel_time = {TONIGHT}, revision = 1"),
    ),
    case(
        "decision-rests-on-a-complete-opt-in",
        "reused none",
        decision("reused", "application_session = ''"),
    ),
    case(
        "decision-by-a-quote-has-its-policy",
        "partly quote",
        "UPDATE decisions SET policies = '{partly-policy}' WHERE assignment = '{partly}' AND number = 2",
        also="policies-named-cover-the-assignment",
    ),
    case("decision-by-a-quote-has-its-policy", "partly quote", assignment("partly", "job = '{job}'")),
    case(
        "decision-by-a-quote-has-its-policy",
        "partly nothing",
        """UPDATE decisions SET facts = '{{"quote": "nothing"}}' WHERE assignment = '{partly}' AND number = 2""",
    ),
    case(
        "policies-named-cover-the-assignment",
        "partly partly-policy quote-policy",
        "UPDATE decisions SET policies = '{partly-policy},{quote-policy}', standard_workflow_coverage_types = '' "
        "WHERE assignment = '{partly}' AND number = 2",
        assignment("partly", "coverage_types = '1,3,5'"),
    ),
    # Quotes.
    case(
        "application-has-its-quote",
        "application none",
        "UPDATE application_sessions SET quote = '' WHERE id = '{application}'",
        also="quote-policy-has-a-complete-application",
    ),
    case(
        "application-has-its-quote",
        "session quote",
        session("quote = '{quote}'"),
    ),
    case(
        "complete-application-was-settled",
        "application quote",
        quote("quote", "status = 1, policy = ''"),
        policy("quote-policy", "application_session = ''"),
        also="quote-policy-has-its-quote quote-policy-has-a-complete-application decision-by-a-quote-has-its-policy",
    ),
    case("contractor-has-one-platform", "tried pf_x", quote("tried", "platform = 'pf_x'"), also=NO_RESOURCE),
    case("issued-quote-has-its-policy", "served nothing", quote("served", "policy = 'nothing'")),
    case("issued-quote-has-its-policy", "served none", quote("served", "policy = ''")),
    case("issued-quote-has-its-policy", "tried serving", quote("tried", "policy = '{serving}'")),
    case(
        "issued-quote-has-its-policy",
        "served serving",
        policy("serving", "status = 5, fail_reason = 8"),
        also="policies-named-were-issued",
    ),
    case(
        "quote-policy-has-its-quote",
        "quote-policy none",
        policy("quote-policy", "quote = ''"),
        also="quote-policy-has-a-complete-application",
    ),
    case(
        "quote-policy-has-its-quote",
        "tried-policy tried",
        quote("tried", "status = 2, policy = '{tried-policy}'"),
        also="issued-quote-has-its-policy",
    ),
    case("quote-policy-has-its-quote", "serving served", policy("serving", "quote = '{served}'")),
    case(
        "quote-policy-has-its-quote",
        "quote-policy tried",
        policy("quote-policy", "quote = '{tried}'"),
        also="quote-policy-has-a-complete-application quote-policy-is-as-its-quote",
    ),
    case(
        "quote-policy-has-a-complete-application",
        "quote-policy application",
        f"UPDATE application_sessions SET complete_time = {LATER} WHERE id = '{{application}}'",
    ),
    case(
        "quote-policy-has-a-complete-application",
        "quote-policy application",
        "UPDATE application_sessions SET status = 7 WHERE id = '{application}'",
    ),
    case("quote-policy-is-as-its-quote", "quote-policy quote", policy("quote-policy", "net_rate = 1")),
    case("quote-policy-is-as-its-quote", "quote-policy quote", quote("quote", "work_state = 'NY'")),
    case("quote-policy-is-as-its-quote", "quote-policy quote", policy("quote-policy", f"expire_time = {LATER}")),
    case(
        "quote-policy-was-needed",
        "quote-policy partly-policy quote",
        policy("partly-policy", "coverage_types = '1,3'"),
        also="opt-in-policy-is-as-its-cause",
    ),
    # Requests and emails.
    case(
        "request-awaits-a-pending-policy",
        "jane-1 policy",
        "UPDATE requests SET awaits = '{policy}', response = substr(digest, 1, 0) WHERE request_id = 'jane-1'",
    ),
    case(
        "request-awaits-a-pending-policy",
        "jane-1 nowhere",
        "UPDATE requests SET awaits = 'nowhere', response = substr(digest, 1, 0) WHERE request_id = 'jane-1'",
    ),
    case(
        "request-has-its-response",
        "jane-1",
        "UPDATE requests SET response = substr(digest, 1, 0) WHERE request_id = 'jane-1'",
    ),
    case("request-has-its-response", "dot-1", "UPDATE requests SET response = digest WHERE request_id = 'dot-1'"),
    case(
        "email-is-held-by-a-live-contractor",
        "nobody",
        "INSERT INTO emails (platform, email_folded, contractor) VALUES ('pf_default', 'x@example.com', 'nobody')",
    ),
    case(
        "email-is-held-by-a-live-contractor",
        "sue",
        "INSERT INTO emails SELECT platform, email_folded, id FROM contractors WHERE id = '{sue}'",
    ),
    # Events.
    case(
        "event-follows-the-one-before",
        "third-event",
        "DELETE FROM events WHERE position = 2",
    ),
    case(
        "event-follows-the-one-before",
        "last-event",
        "UPDATE events SET position = position + 1 WHERE id = '{last-event}'",
        "UPDATE event_sequence SET last = last + 1",
    ),
    case(
        "event-has-its-position-in-time",
        "x",
        event_again("pending-assignment", "contractor.deleted"),
        f"UPDATE events SET create_time = {LONG_AGO}, resource = '{{ann}}' WHERE id = 'x'",
    ),
    case(
        "event-has-its-resource",
        "first-event",
        "UPDATE events SET resource = 'nowhere' WHERE id = '{first-event}'",
    ),
    case("event-has-its-resource", "first-event", "UPDATE events SET platform = 'pf_x' WHERE id = '{first-event}'"),
    case("event-has-its-resource", "first-event", "UPDATE events SET type = 'job.created' WHERE id = '{first-event}'"),
    case(
        "event-has-its-resource",
        "first-event",
        "UPDATE events SET type = 'contractor.deleted' WHERE id = '{first-event}'",
    ),
    *(
        case("newest-event-is-the-last-of-the-sequence", "last-event", change)
        for change in (
            "UPDATE event_sequence SET last = last + 1",
            "DELETE FROM event_sequence",
        )
    ),
    case("assignment-is-told-as-created-once", "reused", event_again("reused", "assignment.created")),
    case(
        "assignment-is-told-as-created-once",
        "reused",
        "UPDATE events SET type = 'assignment.extended' " + event_of("reused", "assignment.created"),
    ),
    case("assignment-is-told-as-cancelled-once", "dropped", event_again("dropped", "assignment.cancelled")),
    case("assignment-is-told-as-cancelled-once", "reused", event_again("reused", "assignment.cancelled")),
    case(
        "assignment-is-told-as-cancelled-once",
        "dropped",
        "UPDATE events SET type = 'assignment.extended' " + event_of("dropped", "assignment.cancelled"),
    ),
    # What cannot be read.
    case("rows-can-be-read", "jane", policy("policy", "status = 9")),
    case("rows-can-be-read", "joe", decision("rebound-assignment", "facts = '[]'")),
    case("rows-can-be-read", "ann", "UPDATE application_sessions SET status = 9 WHERE contractor = '{ann}'"),
]
EVERY_RULE = [
    *contractors.RULES,
    *quotes.RULES,
    *assignments.RULES,
    *assignments.OF_DECISIONS,
    *keys.OF_REQUESTS,
    *keys.OF_EMAILS,
    *events.OF_EVENTS,
    *events.OF_NEWEST,
    *events.OF_ENTRIES,
]


def test_every_rule_has_a_case() -> None:
    assert {rule_name(rule) for rule in EVERY_RULE} | {"rows-can-be-read"} == {case.rule for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_breaks_a_rule_is_found(kept: Kept, case: Case) -> None:
    await kept.corrupt(case.statements)
    report = await kept.audit()
    ids = tuple(kept.names.get(name, name) for name in case.ids.split())
    assert (case.rule, ids) in {(finding.rule, finding.ids) for finding in report.findings}, report.findings
    others = {finding.rule for finding in report.findings} - {case.rule}
    assert others == set(case.also) - (set() if kept.is_sqlite else {FOREIGN_KEYS})
