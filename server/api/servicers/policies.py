"""optin.v1.PolicyService."""

from optin.v1 import policy_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.parse import parse
from server.api.requests.policies import CancelPolicy, ListPolicies
from server.service import policies
from server.service.fields import IdRequest
from server.service.once import Reply


class PolicyService:
    async def GetPolicy(self, request: pb.GetPolicyRequest, call: Call) -> pb.GetPolicyResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: policies.get(unit, call.ctx, wanted.id))
        return pb.GetPolicyResponse(policy=render.policy(found, call.ctx.now))

    async def ListPolicies(self, request: pb.ListPoliciesRequest, call: Call) -> pb.ListPoliciesResponse:
        wanted = parse(ListPolicies, request)
        items, token = await call.read(
            lambda unit: policies.list_page(
                unit, call.ctx, contractor=wanted.contractor, status=wanted.status, **wanted.page()
            )
        )
        return pb.ListPoliciesResponse(
            policies=[render.policy(item, call.ctx.now) for item in items], next_page_token=token
        )

    async def CancelPolicy(self, request: pb.CancelPolicyRequest, call: Call) -> Reply:
        wanted = parse(CancelPolicy, request)
        return await call.change_or_wait(
            request,
            lambda unit, attempt: policies.cancel(
                unit, call.ctx, attempt, wanted.id, wanted.reason, wanted.effective_time
            ),
            lambda policy: pb.CancelPolicyResponse(policy=render.policy(policy, call.ctx.now)),
        )

    async def ReinstatePolicy(self, request: pb.ReinstatePolicyRequest, call: Call) -> Reply:
        wanted = parse(IdRequest, request)
        return await call.change(
            request,
            lambda unit: pb.ReinstatePolicyResponse(
                policy=render.policy(policies.reinstate(unit, call.ctx, wanted.id), call.ctx.now)
            ),
        )
