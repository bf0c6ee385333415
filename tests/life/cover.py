"""Rules about quotes, assignments and policies."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb

from tests.life.model import BOUND, Sent, Type, end_of
from tests.life.rules import Rules, assignments, awaited, contractors, first_days, jobs, lengths, quotes, types
from tests.life.world import DAY
from tests.support.client import at

REQUESTS_KEPT = timedelta(hours=24)

YEAR = 365 * DAY  # no period that the rules make begins in a leap year's February

Types = tuple[Type, ...]
picks = st.integers(0, 20)


class Cover(Rules):
    @rule(target=quotes, person=contractors, job=jobs, types=types, first=first_days, length=lengths)
    @awaited
    async def create_quote(self, person: str, job: str, types: Types, first: int, length: int) -> Any:
        start, end = self.world.day(first), self.world.day(first + length)
        refusal = self.model.quote_refusal(self.model.wanted(person, job, types, start, end))
        call = self.client.quote(person, job, *types, start=start, end=end)
        quote = await self.world.answer(call, self.unless_deleted(person, refusal))
        if quote is None:
            return multiple()
        self.model.see_quote(quote)
        return quote.id

    @rule(quote=quotes, types=types, length=lengths)
    @awaited
    async def update_quote(self, quote: str, types: Types, length: int) -> None:
        """Open sessions of it follow; where the form is another one now, they begin again."""
        known = self.model.quotes[quote]
        start = known.effective_time.seconds
        changed = pb.Quote(id=quote, coverage_types=types, end_time=at(start + length * DAY))
        mask = FieldMask(paths=["coverage_types", "end_time"])
        wanted = self.model.wanted(known.contractor, known.job, types, start, start + length * DAY)
        refusal = self.quote_is_closed(quote) or self.model.quote_refusal(wanted)
        call = self.client.quotes.UpdateQuote(quotes_pb.UpdateQuoteRequest(quote=changed, update_mask=mask))
        answer = await self.world.answer(call, refusal)
        if answer is not None:
            assert list(answer.quote.coverage_types) == sorted(types)
            assert answer.quote.end_time == changed.end_time
            await self.world.refresh(known.contractor)
            await self.world.check(known.contractor)

    @rule(target=assignments, person=contractors, job=jobs, types=types, first=first_days, length=lengths)
    @awaited
    async def create_assignment(self, person: str, job: str, types: Types, first: int, length: int) -> Any:
        start, end = self.world.day(first), self.world.day(first + length)
        wanted = pb.Assignment(
            contractor=person, job=job, coverage_types=types, effective_time=at(start), end_time=at(end)
        )
        request = assignments_pb.CreateAssignmentRequest(assignment=wanted, request_id=str(uuid4()))
        refusal = self.unless_deleted(person)
        outcome, reused = self.model.outcome(self.model.wanted(person, job, types, start, end))
        response = await self.world.answer(self.client.assignments.CreateAssignment(request), refusal)
        if response is None:
            return multiple()
        made = response.assignment
        assert made.binding.outcome == outcome
        assert not reused or list(made.binding.policies) == [reused]
        self.model.see_assignment(made)
        self.model.requests[made.id] = Sent(request, response, self.world.clock.now)
        await self.world.check(person, bound=int(outcome == BOUND))
        covered = {type_ for policy in made.binding.policies for type_ in self.model.policies[policy].coverage_types}
        assert set(made.binding.standard_workflow_coverage_types) == set(types) - covered
        return made.id

    @rule(assignment=assignments)
    @awaited
    async def repeat_request(self, assignment: str) -> None:
        """The first answer again, whatever has happened since; nothing happens a second time."""
        request, response, time = self.model.requests[assignment]
        if self.world.clock.now - time >= REQUESTS_KEPT:
            return
        assert await self.client.assignments.CreateAssignment(request) == response
        other = assignments_pb.CreateAssignmentRequest.FromString(request.SerializeToString())
        other.assignment.end_time.seconds += DAY
        await self.world.answer(self.client.assignments.CreateAssignment(other), "REQUEST_ID_REUSED")
        await self.world.check(request.assignment.contractor)

    @rule(assignment=assignments)
    @awaited
    async def cancel_assignment(self, assignment: str) -> None:
        known = self.model.assignments[assignment]
        refusal = "ASSIGNMENT_STARTED" if known.effective_time.seconds <= self.world.day(0) else ""
        refusal = "ASSIGNMENT_CANCELLED" if known.status == pb.ASSIGNMENT_STATUS_CANCELLED else refusal
        cancelled = await self.world.answer(self.client.cancel_assignment(assignment), refusal)
        if cancelled is not None:
            assert (cancelled.status, cancelled.binding) == (pb.ASSIGNMENT_STATUS_CANCELLED, known.binding)
            await self.world.check(known.contractor, [assignment])

    @rule(assignment=assignments, longer=st.sampled_from([0, 5, 60, 170, 300]))
    @awaited
    async def extend_assignment(self, assignment: str, longer: int) -> None:
        """The policies so far stay; where they end earlier, there may be another one for the rest."""
        known = self.model.assignments[assignment]
        end = known.end_time.seconds + longer * DAY
        refusal = "INVALID_FIELD" if end > known.effective_time.seconds + YEAR else ""
        refusal = "ASSIGNMENT_CANCELLED" if known.status == pb.ASSIGNMENT_STATUS_CANCELLED else refusal
        refusal = self.unless_deleted(known.contractor, refusal)
        response = await self.world.answer(self.client.extend(assignment, end), refusal)
        if response is None:
            return
        before, after = known.binding, response.assignment.binding
        assert response.assignment.end_time.seconds == end
        assert list(after.policies)[: len(before.policies)] == list(before.policies)
        if not before.policies or all(end_of(self.model.policies[policy]) >= end for policy in before.policies):
            assert longer == 0 or set(after.policies) >= set(before.policies)
        new = [policy for policy in after.policies if policy not in self.model.policies]
        assert not new or response.outcome == BOUND
        await self.world.check(known.contractor, [assignment], bound=len(new))

    @rule(pick=picks, days=st.sampled_from([None, None, 1, 15, 100]))
    @awaited
    async def cancel_policy(self, pick: int, days: int | None) -> None:
        """Those that have started by then keep it; it matches up to its end, and not at all if that is at once."""
        policy = self._policy(pick)
        if policy is None:
            return
        now = int(self.world.clock.now.timestamp())
        time = None if days is None else self.world.day(days)
        before = policy.cancel_time.seconds
        put_off = policy.HasField("cancel_time") and time is not None and time > before
        start = max(before, policy.effective_time.seconds)
        taken = put_off and self.model.in_place_of(policy, now, start, time or 0)
        refusal = "MATCHING_POLICY_EXISTS" if taken else ""
        refusal = refusal if time is None or now <= time <= policy.expire_time.seconds else "INVALID_FIELD"
        refusal = "POLICY_NOT_ACTIVE" if policy.status == pb.POLICY_STATUS_CANCELLED else refusal
        answer = await self.world.answer(self.client.cancel_policy(policy.id, time=time), refusal)
        if answer is None:
            return
        lost = self.model.losers(policy, now if time is None else time)
        if time is None:
            self.model.ended.add(policy.id)
        if answer.cancel_time == policy.cancel_time:  # as it was to end before: told again
            self.model.told[policy.id].append("policy.cancelled")
        assert answer.cancel_time.seconds == (now if time is None else time)
        await self.world.check(policy.contractor, [policy.id, *lost])
        assert not any(policy.id in self.model.assignments[id_].binding.policies for id_ in lost)

    @rule(pick=picks)
    @awaited
    async def reinstate_policy(self, pick: int) -> None:
        """Those that it left uncovered may have it again."""
        policy = self._policy(pick)
        if policy is None:
            return
        now = int(self.world.clock.now.timestamp())
        refusal = "MATCHING_POLICY_EXISTS" if self.model.in_place_of(policy, now) else ""
        refusal = "POLICY_TERM_ENDED" if policy.expire_time.seconds <= now else refusal
        refusal = refusal if policy.HasField("cancel_time") else "POLICY_NOT_CANCELLED"
        refusal = self.unless_deleted(policy.contractor, refusal)
        answer = await self.world.answer(self.client.reinstate(policy.id), refusal)
        if answer is not None:
            assert (answer.status, answer.HasField("cancel_time")) == (pb.POLICY_STATUS_ACTIVE, False)
            self.model.ended.discard(policy.id)
            affected = [
                a.id
                for a in self.model.of(policy.contractor)
                if a.binding.standard_workflow_coverage_types or policy.id in a.binding.policies
            ]
            await self.world.check(policy.contractor, [policy.id, *affected])

    def _policy(self, pick: int) -> pb.Policy | None:
        """One that is known; None: there is none."""
        known = list(self.model.policies.values())
        return known[pick % len(known)] if known else None
