"""Requests about jobs and job categories."""

from typing import Annotated

from server.domain.enums import CoverageType
from server.service.fields import (
    ChangeRequest,
    Fields,
    FilterReference,
    ListRequest,
    NetRate,
    Reference,
    States,
    Title,
    known,
)
from server.service.settable import JobFields


class CreateJob(ChangeRequest):
    job: JobFields


class ListJobs(ListRequest):
    category_code: FilterReference = ""


class JobCategoryFields(Fields):
    name: Title


class CreateJobCategory(ChangeRequest):
    job_category: JobCategoryFields


class RevokeJobCategoryApproval(ChangeRequest):
    category_code: Reference
    coverage_type: Annotated[CoverageType, known(CoverageType)]
    states: States = []  # noqa: RUF012 - pydantic copies defaults


class ApproveJobCategory(RevokeJobCategoryApproval):
    net_rate: NetRate = 0
