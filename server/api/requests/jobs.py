"""Requests about jobs and job categories."""

from typing import Annotated

from server.api.fields import (
    AddressFields,
    ChangeRequest,
    Description,
    Fields,
    FilterReference,
    ListRequest,
    NetRate,
    Reference,
    States,
    Title,
    known,
)
from server.domain.enums import CoverageType


class JobFields(Fields):
    name: Title
    description: Description = ""
    category_code: Reference
    address: AddressFields | None = None
    withhold_premium: bool | None = None


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
