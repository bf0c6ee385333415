"""Jobs, job categories and approvals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from server.domain.enums import CoverageType
from server.domain.errors import NotFound
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import Approval, Job, JobCategory
from server.service.context import Context, new_id
from server.service.paging import Place, paged

EVERY_STATE = ("",)


def create(unit: Unit, ctx: Context, values: Mapping[str, Any]) -> Job:
    """Raises NotFound for the category."""
    get_category(unit, ctx, values["category_code"])
    job = Job(id=new_id("jb"), platform=ctx.platform, create_time=ctx.now, update_time=ctx.now, **values)
    unit.jobs.insert(job)
    return job


def get(unit: Unit, ctx: Context, job_id: str) -> Job:
    """Raises NotFound."""
    job = unit.jobs.find(ctx.platform, [job_id]).get(job_id)
    if job is None:
        raise NotFound("job", job_id)
    return job


def list_page(unit: Unit, ctx: Context, category_code: str, size: int, token: Place) -> tuple[list[Job], str]:
    return paged(
        lambda page: unit.jobs.page(ctx.platform, page, category_code=category_code),
        lambda job: job.id,
        size=size,
        token=token,
        bound_to=("jobs", ctx.platform, category_code),
    )


def update(unit: Unit, ctx: Context, job_id: str, changes: Mapping[str, Any]) -> Job:
    """Raises NotFound, for the job or the category."""
    unit.jobs.lock(ctx.platform, job_id)
    before = get(unit, ctx, job_id)
    after = replace(before, **changes)
    if after == before:
        return before
    get_category(unit, ctx, after.category_code)
    after = replace(after, update_time=ctx.now)
    unit.jobs.update(after)
    return after


def create_category(unit: Unit, ctx: Context, name: str) -> JobCategory:
    category = JobCategory(code=new_id("jc"), platform=ctx.platform, name=name, create_time=ctx.now)
    unit.categories.insert(category)
    return category


def get_category(unit: Unit, ctx: Context, code: str) -> JobCategory:
    """Raises NotFound."""
    category = unit.categories.find(ctx.platform, [code]).get(code)
    if category is None:
        raise NotFound("job_category", code)
    return category


def list_categories(unit: Unit, ctx: Context, size: int, token: Place) -> tuple[list[JobCategory], str]:
    return paged(
        lambda page: unit.categories.page(ctx.platform, page),
        lambda category: category.code,
        size=size,
        token=token,
        bound_to=("job_categories", ctx.platform),
    )


def approve(
    unit: Unit, ctx: Context, code: str, coverage_type: CoverageType, states: Sequence[str], net_rate: int
) -> JobCategory:
    """Without states: the row for every state. Approving again replaces the rate (spec 4). Raises NotFound."""
    category = get_category(unit, ctx, code)
    approvals = [
        Approval(coverage_type=coverage_type, state=state, net_rate=net_rate, approve_time=ctx.now)
        for state in states or EVERY_STATE
    ]
    unit.categories.approve(category, approvals)
    category = get_category(unit, ctx, code)
    unit.events.record(EventType.CATEGORY_APPROVED, category, ctx.now)
    return category


def revoke(unit: Unit, ctx: Context, code: str, coverage_type: CoverageType, states: Sequence[str]) -> JobCategory:
    """Removes exactly the rows named; those that are not there are no error. Raises NotFound for the category."""
    before = get_category(unit, ctx, code)
    unit.categories.revoke(before, coverage_type, states or EVERY_STATE)
    after = get_category(unit, ctx, code)
    if after != before:
        unit.events.record(EventType.CATEGORY_REVOKED, after, ctx.now)
    return after
