"""Contractors, jobs, and assignments drawn from a seed."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Self

from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb

from tests.chaos.book import CREATE_ASSIGNMENT, Asked, Book
from tests.support.client import WORKERS_COMP, Client, at

CANCEL_POLICY = "optin.v1.PolicyService/CancelPolicy"
DAY = 86_400
FIRST_DAY = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()) // DAY
DAYS = 28 * 365
MORE = [WORKERS_COMP, pb.COVERAGE_TYPE_GENERAL]
TYPES: tuple[list[pb.CoverageType.ValueType], ...] = ([WORKERS_COMP], [WORKERS_COMP], MORE, [])


@dataclass(slots=True)
class World:
    draws: Random
    jobs: list[str]
    contractors: list[str] = field(default_factory=list)
    asked: int = 0
    cancelled: set[str] = field(default_factory=set)  # policies
    span_days: int = DAYS  # the fewer, the more often a policy is there already
    swinging: str = ""  # a contractor whose one policy is cancelled and reinstated, in turn
    swing: Asked | None = None  # the last that was asked for that
    swung: str = ""  # the policy, once there is one

    @classmethod
    async def create(cls, client: Client, seed: object, contractors: int, span_days: int = DAYS) -> Self:
        """Three jobs: two categories in California, and one of them in New York, where only some have opted in."""
        one, other = (await client.category()).code, (await client.category()).code
        jobs = [(await client.job(code, region)).id for code, region in ((one, "CA"), (other, "CA"), (one, "NY"))]
        world = cls(Random(str(seed)), jobs, span_days=span_days)
        await world.grow(client, contractors)
        world.swinging = (await client.opted_in()).id
        return world

    async def grow(self, client: Client, contractors: int) -> None:
        slots = asyncio.Semaphore(30)

        async def one(number: int) -> str:
            async with slots:
                contractor = await client.opted_in()
                if number % 2:
                    await client.apply((await client.session(contractor.id, "NY")).id)
            return contractor.id

        self.contractors += await asyncio.gather(*map(one, range(contractors)))

    def assignment(self, contractor: str = "") -> Asked:
        """A contractor, a job, types and dates, at random."""
        draws = self.draws
        start = (FIRST_DAY + draws.randrange(self.span_days)) * DAY + draws.randrange(DAY)
        contractor = contractor or draws.choice(self.contractors)
        job, types = draws.choice(self.jobs), draws.choice(TYPES)
        return self._assignment(contractor, job, types, start, start + draws.randrange(DAY, 300 * DAY))

    def _assignment(
        self, contractor: str, job: str, types: Sequence[pb.CoverageType.ValueType], start: int, end: int
    ) -> Asked:
        assignment = pb.Assignment(
            contractor=contractor, job=job, coverage_types=types, effective_time=at(start), end_time=at(end)
        )
        request_id = self._request_id()
        request = assignments_pb.CreateAssignmentRequest(assignment=assignment, request_id=request_id)
        return Asked(request_id, CREATE_ASSIGNMENT, request.SerializeToString(), contractor)

    def mixed(self, book: Book) -> Asked:
        """Mostly an assignment; now and then a contractor is corrected, or a policy cancelled or reinstated."""
        share = self.draws.random()
        if share < 0.05:
            return self.correction()
        if share < 0.1 and (bound := self._bound(book)):
            self.cancelled.add(bound.policy)
            return self.cancellation(bound.policy, bound.contractor)
        if share > 0.92 and (swing := self._next_swing()):
            self.swing = swing
            return swing
        return self.assignment()

    def _next_swing(self) -> Asked | None:
        """What comes next for the swinging contractor, once the last was answered.

        Its assignment has begun by then: it stays as it was told, whatever becomes of the policy.
        """
        last = self.swing
        if last is not None and last.promised is None:
            return None
        if last is not None and not self.swung:
            self.swung = assignments_pb.CreateAssignmentResponse.FromString(last.promised).assignment.policy
        if last is None or not self.swung:
            begun = int(time.time()) - DAY
            return self._assignment(self.swinging, self.jobs[0], [WORKERS_COMP], begun, begun + 2 * DAY)
        if last.method == CANCEL_POLICY:
            return self.reinstatement(self.swung, self.swinging)
        return self.cancellation(self.swung, self.swinging)

    def _bound(self, book: Book) -> pb.Assignment | None:
        """Some assignment whose policy nobody has cancelled yet."""
        for asked in self.draws.sample(promises := book.promises, min(20, len(promises))):
            if asked.method == CREATE_ASSIGNMENT and asked.subject != self.swinging:
                response = assignments_pb.CreateAssignmentResponse.FromString(asked.promised or b"")
                policy = response.assignment.policy
                if policy and policy not in self.cancelled:
                    return response.assignment
        return None

    def correction(self) -> Asked:
        """An update of a contractor."""
        contractor, request_id = self.draws.choice(self.contractors), self._request_id()
        request = contractors_pb.UpdateContractorRequest(
            contractor=pb.Contractor(id=contractor, company_name=f"Doe {request_id}"), request_id=request_id
        )
        return Asked(request_id, "optin.v1.ContractorService/UpdateContractor", request.SerializeToString(), contractor)

    def cancellation(self, policy: str, contractor: str) -> Asked:
        request_id = self._request_id()
        request = policies_pb.CancelPolicyRequest(id=policy, reason="chaos", request_id=request_id)
        return Asked(request_id, CANCEL_POLICY, request.SerializeToString(), contractor)

    def reinstatement(self, policy: str, contractor: str) -> Asked:
        request_id = self._request_id()
        request = policies_pb.ReinstatePolicyRequest(id=policy, request_id=request_id)
        return Asked(request_id, "optin.v1.PolicyService/ReinstatePolicy", request.SerializeToString(), contractor)

    def _request_id(self) -> str:
        self.asked += 1
        return f"{self.asked}-{self.draws.getrandbits(64):016x}"
