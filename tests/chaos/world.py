"""Contractors, jobs, and assignments drawn from a seed."""

import asyncio
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

    @classmethod
    async def create(cls, client: Client, seed: object, contractors: int, span_days: int = DAYS) -> Self:
        """Three jobs: two categories in California, and one of them in New York, where only some have opted in."""
        one, other = (await client.category()).code, (await client.category()).code
        jobs = [(await client.job(code, region)).id for code, region in ((one, "CA"), (other, "CA"), (one, "NY"))]
        world = cls(Random(str(seed)), jobs, span_days=span_days)
        await world.grow(client, contractors)
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
        assignment = pb.Assignment(
            contractor=contractor,
            job=draws.choice(self.jobs),
            coverage_types=draws.choice(TYPES),
            effective_time=at(start),
            end_time=at(start + draws.randrange(DAY, 300 * DAY)),
        )
        request_id = self._request_id()
        request = assignments_pb.CreateAssignmentRequest(assignment=assignment, request_id=request_id)
        return Asked(request_id, CREATE_ASSIGNMENT, request.SerializeToString(), contractor)

    def mixed(self, book: Book) -> Asked:
        """Mostly an assignment; now and then a contractor is corrected, or a policy that was bound is cancelled."""
        share = self.draws.random()
        if share < 0.05:
            return self.correction()
        if share < 0.1 and (bound := self._bound(book)):
            self.cancelled.add(bound.policy)
            return self.cancellation(bound.policy, bound.contractor)
        return self.assignment()

    def _bound(self, book: Book) -> pb.Assignment | None:
        """Some assignment whose policy nobody has cancelled yet."""
        for asked in self.draws.sample(promises := book.promises, min(20, len(promises))):
            if asked.method == CREATE_ASSIGNMENT:
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
        return Asked(request_id, "optin.v1.PolicyService/CancelPolicy", request.SerializeToString(), contractor)

    def _request_id(self) -> str:
        self.asked += 1
        return f"{self.asked}-{self.draws.getrandbits(64):016x}"
