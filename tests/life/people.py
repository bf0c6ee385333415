"""Rules about contractors, jobs and what is approved."""

from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import strategies as st
from hypothesis.stateful import rule
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import resources_pb2 as pb

from tests.life.model import EVERY_STATE, GENERAL, IN_REVIEW, SESSION_OPEN, Type
from tests.life.rules import Rules, awaited, categories, contractors, jobs, states
from tests.support.client import WORKERS_COMP

approved_types = st.sampled_from([WORKERS_COMP, GENERAL])
approved_states = st.sampled_from(["CA", EVERY_STATE])


class People(Rules):
    @rule(target=contractors, state=states)
    @awaited
    async def create_contractor(self, state: str) -> str:
        return await self.contractor(state)

    @rule(target=jobs, category=categories, state=states)
    @awaited
    async def create_job(self, category: str, state: str) -> str:
        job = await self.client.job(category, state)
        self.model.jobs[job.id] = job
        return job.id

    @rule(category=categories, type_=approved_types, state=approved_states)
    @awaited
    async def approve_job_category(self, category: str, type_: Type, state: str) -> None:
        await self.world.approve(category, type_, state)

    @rule(category=categories, type_=approved_types, state=approved_states)
    @awaited
    async def revoke_job_category_approval(self, category: str, type_: Type, state: str) -> None:
        request = jobs_pb.RevokeJobCategoryApprovalRequest(
            category_code=category, coverage_type=type_, states=[state] if state else []
        )
        await self.client.jobs.RevokeJobCategoryApproval(request)
        if (type_, state) in self.model.approvals[category]:
            self.model.approvals[category].remove((type_, state))
            self.model.told[category].append("job_category.revoked")

    @rule(person=contractors, state=states)
    @awaited
    async def move_contractor(self, person: str, state: str) -> None:
        changed = pb.Contractor(id=person, address=pb.Address(region=state))
        request = contractors_pb.UpdateContractorRequest(contractor=changed, update_mask=FieldMask(paths=["address"]))
        call = self.client.contractors.UpdateContractor(request)
        if await self.world.answer(call, self.unless_deleted(person)):
            self.model.residences[person] = state
        await self.world.check(person)

    @rule(person=contractors)
    @awaited
    async def delete_contractor(self, person: str) -> None:
        if await self.world.answer(self.client.delete(person), self.unless_deleted(person)):
            mine = [policy for policy in self.model.policies.values() if policy.contractor == person]
            mine = [policy for policy in mine if policy.status != pb.POLICY_STATUS_CANCELLED]
            ended = {policy.id for policy in mine}
            lost = [id_ for policy in mine for id_ in self.model.losers(policy, int(self.world.clock.now.timestamp()))]
            self.model.deleted.add(person)
            self.model.ended |= ended
            await self.world.refresh(person)
            await self.world.check(person, [*ended, *lost])
            self.model.told[person].append("contractor.deleted")
            assert all(self.model.policies[id_].status == pb.POLICY_STATUS_CANCELLED for id_ in ended)
            live = (*SESSION_OPEN, IN_REVIEW)
            assert not any(s.contractor == person and s.status in live for s in self.model.sessions.values())
