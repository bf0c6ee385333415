"""What must hold once everything has come to rest, seen from outside."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb

from server.carrier.fake_ledger import Ledger
from tests.chaos.book import CREATE_ASSIGNMENT, Book
from tests.support.client import WORKERS_COMP, Client

ISSUED = (pb.POLICY_STATUS_ACTIVE, pb.POLICY_STATUS_EXPIRED)
WITH_POLICY = (pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED)


async def assignments_of(client: Client, contractor: str) -> list[pb.Assignment]:
    """All of them, the first one first."""
    found: list[pb.Assignment] = []
    request = assignments_pb.ListAssignmentsRequest(contractor=contractor, page_size=200)
    while True:
        page = await client.assignments.ListAssignments(request)
        found += page.assignments
        if not page.next_page_token:
            return found[::-1]
        request.page_token = page.next_page_token


async def policies(client: Client, contractor: str = "") -> list[pb.Policy]:
    found: list[pb.Policy] = []
    request = policies_pb.ListPoliciesRequest(contractor=contractor, page_size=200)
    while True:
        page = await client.policies.ListPolicies(request)
        found += page.policies
        if not page.next_page_token:
            return found[::-1]
        request.page_token = page.next_page_token


async def pending(client: Client) -> int:
    """How many policies and assignments are being bound."""
    policies = policies_pb.ListPoliciesRequest(status=pb.POLICY_STATUS_PENDING, page_size=200)
    assignments = assignments_pb.ListAssignmentsRequest(outcome=pb.BINDING_OUTCOME_BINDING_PENDING, page_size=200)
    return len((await client.policies.ListPolicies(policies)).policies) + len(
        (await client.assignments.ListAssignments(assignments)).assignments
    )


async def rest(client: Client, book: Book, seconds: float) -> float:
    """Waits until nothing is pending; returns how long that took."""
    started = time.monotonic()
    while left := await pending(client):
        if time.monotonic() - started > seconds:
            book.broken.append(f"{left} still pending {seconds:.0f} s after the start")
            break
        await asyncio.sleep(0.1)
    return time.monotonic() - started


async def kept(client: Client, book: Book, contractors: Iterable[str]) -> None:
    """Each contractor's assignments are those that were promised, each once; and no policy is one too many.

    Every request that was sent for them has been answered by now.
    """
    promised: dict[str, list[pb.Assignment]] = {contractor: [] for contractor in contractors}
    for asked in book.promises:
        if asked.method == CREATE_ASSIGNMENT and asked.subject in promised and asked.promised is not None:
            promised[asked.subject].append(
                assignments_pb.CreateAssignmentResponse.FromString(asked.promised).assignment
            )
    slots = asyncio.Semaphore(10)

    async def one(contractor: str) -> None:
        async with slots:
            stored = await assignments_of(client, contractor)
            issued = await policies(client, contractor)
        cancelled = {policy.id for policy in issued if policy.status == pb.POLICY_STATUS_CANCELLED}
        anew = {made.id for made in promised[contractor] if cancelled.intersection(made.binding.policies)}
        here, there = (_as_told(some, anew) for some in (promised[contractor], stored))
        if lost := here - there:
            book.broken.append(f"{contractor}: {lost.total()} acknowledged assignments lost or changed")
        if doubled := there - here:
            book.broken.append(f"{contractor}: {doubled.total()} assignments that nobody was told of")
        book.broken.extend(_bad_policies(stored, issued))

    await asyncio.gather(*map(one, promised))


def _as_told(assignments: Iterable[pb.Assignment], anew: Container[str]) -> Counter[bytes]:
    """Byte by byte; but for the cover of those whose policy was cancelled, which may have been decided anew."""
    told: Counter[bytes] = Counter()
    for assignment in assignments:
        same = pb.Assignment.FromString(assignment.SerializeToString())
        if same.id in anew:
            same.ClearField("binding")
            same.ClearField("policy")
        told[same.SerializeToString(deterministic=True)] += 1
    return told


def _bad_policies(assignments: Iterable[pb.Assignment], issued: list[pb.Policy]) -> Iterable[str]:
    """Spec 7, in other words than the product's own."""
    by_id = {policy.id: policy for policy in issued}
    if sorted(policy.number for policy in issued) != list(range(1, len(issued) + 1)):
        yield f"{issued[0].contractor}: its policies' numbers have gaps"
    for assignment in assignments:
        outcome = assignment.binding.outcome
        if (outcome in WITH_POLICY) != bool(assignment.policy):
            yield f"{assignment.id}: {pb.BindingOutcome.Name(outcome)} with policy {assignment.policy!r}"
        if assignment.policy and not _would_do(by_id[assignment.policy], assignment):
            yield f"{assignment.id}: {assignment.policy} does not cover it"
        if outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND:
            bound = by_id[assignment.policy]
            for policy in issued:
                before = policy.number < bound.number and policy.status in ISSUED
                if before and _would_do(policy, assignment):
                    yield f"{assignment.id}: {bound.id} was bound where {policy.id} would do"


def _would_do(policy: pb.Policy, assignment: pb.Assignment) -> bool:
    """A policy for workers' compensation; there are no others here."""
    return (
        WORKERS_COMP in assignment.coverage_types
        and policy.category_code == assignment.category_code
        and policy.work_state == assignment.work_state
        and policy.effective_time.ToNanoseconds() <= assignment.effective_time.ToNanoseconds()
        and assignment.end_time.ToNanoseconds() <= policy.expire_time.ToNanoseconds()
    )


async def agreed(client: Client, book: Book, ledger: Path, seconds: float = 20.0) -> None:
    """Policies here are the live bindings there, in the end."""
    deadline = time.monotonic() + seconds
    while True:
        here = {policy.id for policy in await policies(client) if policy.status in ISSUED}
        there = Ledger.read(ledger).live_bindings()
        if here == there:
            return
        if time.monotonic() > deadline:
            book.broken.append(f"{len(here - there)} policies not bound there, {len(there - here)} bound there alone")
            return
        await asyncio.sleep(0.3)


async def until(condition: Callable[[], Any], seconds: float) -> bool:
    """Whether it came to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
