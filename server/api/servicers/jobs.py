"""optin.v1.JobService."""

from optin.v1 import job_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.parse import parse, parse_update
from server.api.requests.jobs import (
    ApproveJobCategory,
    CreateJob,
    CreateJobCategory,
    ListJobs,
    RevokeJobCategoryApproval,
)
from server.service import jobs
from server.service.fields import IdRequest, ListRequest
from server.service.once import Reply
from server.service.settable import JobFields


class JobService:
    async def CreateJob(self, request: pb.CreateJobRequest, call: Call) -> Reply:
        values = parse(CreateJob, request).job.values()
        return await call.change(
            request, lambda unit: pb.CreateJobResponse(job=render.job(jobs.create(unit, call.ctx, values)))
        )

    async def GetJob(self, request: pb.GetJobRequest, call: Call) -> pb.GetJobResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: jobs.get(unit, call.ctx, wanted.id))
        return pb.GetJobResponse(job=render.job(found))

    async def ListJobs(self, request: pb.ListJobsRequest, call: Call) -> pb.ListJobsResponse:
        wanted = parse(ListJobs, request)
        items, token = await call.read(
            lambda unit: jobs.list_page(unit, call.ctx, category_code=wanted.category_code, **wanted.page())
        )
        return pb.ListJobsResponse(jobs=map(render.job, items), next_page_token=token)

    async def UpdateJob(self, request: pb.UpdateJobRequest, call: Call) -> Reply:
        changes = parse_update(JobFields, request, "job")
        return await call.change(
            request,
            lambda unit: pb.UpdateJobResponse(job=render.job(jobs.update(unit, call.ctx, request.job.id, changes))),
        )

    async def CreateJobCategory(self, request: pb.CreateJobCategoryRequest, call: Call) -> Reply:
        wanted = parse(CreateJobCategory, request).job_category
        return await call.change(
            request,
            lambda unit: pb.CreateJobCategoryResponse(
                job_category=render.job_category(jobs.create_category(unit, call.ctx, wanted.name))
            ),
        )

    async def ListJobCategories(self, request: pb.ListJobCategoriesRequest, call: Call) -> pb.ListJobCategoriesResponse:
        wanted = parse(ListRequest, request)
        items, token = await call.read(lambda unit: jobs.list_categories(unit, call.ctx, **wanted.page()))
        return pb.ListJobCategoriesResponse(job_categories=map(render.job_category, items), next_page_token=token)

    async def ApproveJobCategory(self, request: pb.ApproveJobCategoryRequest, call: Call) -> Reply:
        w = parse(ApproveJobCategory, request)
        return await call.change(
            request,
            lambda unit: pb.ApproveJobCategoryResponse(
                job_category=render.job_category(
                    jobs.approve(unit, call.ctx, w.category_code, w.coverage_type, w.states, w.net_rate)
                )
            ),
        )

    async def RevokeJobCategoryApproval(self, request: pb.RevokeJobCategoryApprovalRequest, call: Call) -> Reply:
        w = parse(RevokeJobCategoryApproval, request)
        return await call.change(
            request,
            lambda unit: pb.RevokeJobCategoryApprovalResponse(
                job_category=render.job_category(
                    jobs.revoke(unit, call.ctx, w.category_code, w.coverage_type, w.states)
                )
            ),
        )
