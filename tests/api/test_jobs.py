"""JobService, seen from outside: jobs, job categories and their approvals (spec 3 and 4)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock
from tests.support.client import WORKERS_COMP, Client, refused

GENERAL = pb.COVERAGE_TYPE_GENERAL
NOWHERE = "jc_01J9Z3NDEKTSV4RRFFQ69G5FAV"


async def get(client: Client, job: str) -> pb.Job:
    return (await client.jobs.GetJob(jobs_pb.GetJobRequest(id=job))).job


async def update(client: Client, job: str, *paths: str, **fields: Any) -> pb.Job:
    request = jobs_pb.UpdateJobRequest(
        job=pb.Job(id=job, **fields), update_mask=FieldMask(paths=paths) if paths else None
    )
    return (await client.jobs.UpdateJob(request)).job


async def approve(
    client: Client, code: str, net_rate: int, *states: str, coverage_type: pb.CoverageType.ValueType = WORKERS_COMP
) -> Sequence[tuple[int, str, int]]:
    request = jobs_pb.ApproveJobCategoryRequest(
        category_code=code, coverage_type=coverage_type, states=states, net_rate=net_rate
    )
    return rows((await client.jobs.ApproveJobCategory(request)).job_category)


async def revoke(
    client: Client, code: str, *states: str, coverage_type: pb.CoverageType.ValueType = WORKERS_COMP
) -> Sequence[tuple[int, str, int]]:
    request = jobs_pb.RevokeJobCategoryApprovalRequest(category_code=code, coverage_type=coverage_type, states=states)
    return rows((await client.jobs.RevokeJobCategoryApproval(request)).job_category)


def rows(category: pb.JobCategory) -> Sequence[tuple[int, str, int]]:
    return [(a.coverage_type, a.state, a.net_rate) for a in category.approvals]


def stamp(days: int = 0) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(NOW + timedelta(days=days))
    return time


async def test_what_is_created_is_what_is_read(any_client: Client) -> None:
    category = await any_client.category()
    made = await any_client.job(
        category.code, "ny", description="Picks\nand packs", withhold_premium=True, id="jb_mine", create_time=stamp(-9)
    )
    assert made == pb.Job(
        id=made.id,
        name="Picker",
        description="Picks\nand packs",
        category_code=category.code,
        address=pb.Address(line1="1 Dock Rd", region="NY", country="US"),
        withhold_premium=True,
        create_time=stamp(),
        update_time=stamp(),
    )
    assert made.id.startswith("jb_")
    assert made.id != "jb_mine"
    assert await get(any_client, made.id) == made


async def test_a_remote_job_has_no_address(any_client: Client) -> None:
    made = await any_client.job(region="")
    assert not made.HasField("address")
    assert await get(any_client, made.id) == made


async def test_the_category_has_to_exist_but_not_to_be_approved(client: Client) -> None:
    unapproved = await client.category(approved=False)
    assert (await client.job(unapproved.code)).category_code == unapproved.code
    refusal = await refused(client.job(NOWHERE))
    assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refusal.told == {"resource_type": "job_category", "resource_name": NOWHERE}


async def test_all_bad_fields_are_told_at_once(client: Client) -> None:
    bad = pb.Job(name=" ", description="x" * 2001, address=pb.Address(region="XX", postalcode="1"))
    refusal = await refused(client.jobs.CreateJob(jobs_pb.CreateJobRequest(job=bad)))
    assert refusal.fields == {
        "job.name",
        "job.description",
        "job.category_code",
        "job.address.region",
        "job.address.postalcode",
    }
    assert (await refused(client.jobs.CreateJob(jobs_pb.CreateJobRequest()))).fields == {"job"}
    assert not (await client.jobs.ListJobs(jobs_pb.ListJobsRequest())).jobs


async def test_list_is_newest_first_and_filtered_by_category(any_client: Client) -> None:
    client = any_client
    ours, theirs = (await client.category()).code, (await client.category()).code
    made = [await client.job(code) for code in (ours, theirs, ours)]

    async def listed(code: str) -> list[str]:
        request = jobs_pb.ListJobsRequest(category_code=code)
        return [job.id for job in (await client.jobs.ListJobs(request)).jobs]

    assert await listed("") == [made[2].id, made[1].id, made[0].id]
    assert await listed(ours) == [made[2].id, made[0].id]
    assert await listed(NOWHERE) == []


async def test_an_update_changes_what_it_names(any_client: Client, clock: Clock) -> None:
    client = any_client
    before = await client.job(description="Nights", withhold_premium=True)
    clock.now += timedelta(days=1)

    renamed = await update(client, before.id, name="Night picker")
    expected = pb.Job()
    expected.CopyFrom(before)
    expected.name = "Night picker"
    expected.update_time.CopyFrom(stamp(1))
    assert renamed == expected
    assert await get(client, before.id) == renamed

    masked = await update(client, before.id, "description", "create_time", name="Ignored", create_time=stamp(-9))
    assert (masked.name, masked.description, masked.create_time) == ("Night picker", "", stamp())
    remote = await update(client, before.id, "address")
    assert not remote.HasField("address")
    moved = await update(client, before.id, address=pb.Address(region="tx"))
    assert moved.address == pb.Address(region="TX", country="US")
    assert not (await update(client, before.id, "withhold_premium")).withhold_premium

    clock.now += timedelta(days=1)
    last = await get(client, before.id)
    assert await update(client, before.id) == last


async def test_updates_that_are_refused(client: Client) -> None:
    before = await client.job()
    bad = await refused(update(client, before.id, "name", "address.region", address=pb.Address(region="XX")))
    assert bad.fields == {"job.name", "update_mask"}
    bad = await refused(update(client, "", "category_code", "address", address=pb.Address(region="XX")))
    assert bad.fields == {"job.id", "job.category_code", "job.address.region"}
    for job, code, kind in ((before.id, NOWHERE, "job_category"), ("jb_1", "", "job")):
        missing = await refused(update(client, job, name="New", category_code=code))
        assert (missing.reason, missing.told["resource_type"]) == ("RESOURCE_NOT_FOUND", kind)
    assert await get(client, before.id) == before


async def test_a_changed_job_counts_for_later_assignments_alone(client: Client) -> None:
    jane = await client.opted_in()
    job = await client.job()
    first = await client.assign(jane.id, job.id)
    await update(client, job.id, address=pb.Address(region="NY"))
    second = await client.assign(jane.id, job.id)
    assert (await client.get_assignment(first.assignment.id)).work_state == "CA"
    assert second.assignment.work_state == "NY"
    assert second.outcome == pb.BINDING_OUTCOME_STANDARD_WORKFLOW


async def test_categories_may_share_a_name(any_client: Client) -> None:
    client = any_client
    first, second = await client.category(approved=False), await client.category(approved=False)
    assert first == pb.JobCategory(code=first.code, name="Warehouse work")
    assert first.code.startswith("jc_")
    assert first.code != second.code
    listed = await client.jobs.ListJobCategories(jobs_pb.ListJobCategoriesRequest())
    assert list(listed.job_categories) == [second, first]

    for name in ("", " ", "x" * 201, "a\0"):
        create = jobs_pb.CreateJobCategoryRequest(job_category=pb.JobCategory(name=name))
        assert (await refused(client.jobs.CreateJobCategory(create))).fields == {"job_category.name"}
    nothing = await refused(client.jobs.CreateJobCategory(jobs_pb.CreateJobCategoryRequest()))
    assert nothing.fields == {"job_category"}


async def test_approvals_are_rows_by_type_and_state(any_client: Client, clock: Clock) -> None:
    client = any_client
    code = (await client.category(approved=False)).code
    assert await approve(client, code, 250) == [(WORKERS_COMP, "", 250)]
    assert await approve(client, code, 0, "ny", "CA", "NY") == [
        (WORKERS_COMP, "", 250),
        (WORKERS_COMP, "CA", 0),
        (WORKERS_COMP, "NY", 0),
    ]
    assert await approve(client, code, 100, coverage_type=GENERAL) == [
        (GENERAL, "", 100),
        (WORKERS_COMP, "", 250),
        (WORKERS_COMP, "CA", 0),
        (WORKERS_COMP, "NY", 0),
    ]

    clock.now += timedelta(days=1)
    assert (WORKERS_COMP, "CA", 10_000) in await approve(client, code, 10_000, "CA")
    (category,) = (await client.jobs.ListJobCategories(jobs_pb.ListJobCategoriesRequest())).job_categories
    times = {a.state: a.approve_time for a in category.approvals if a.coverage_type == WORKERS_COMP}
    assert times == {"": stamp(), "CA": stamp(1), "NY": stamp()}

    everything = rows(category)
    assert await revoke(client, code, "TX") == everything, "a row that is not there is passed over"
    assert await revoke(client, code) == [row for row in everything if row != (WORKERS_COMP, "", 250)]
    assert await revoke(client, code, "ny", "NY", "CA") == [(GENERAL, "", 100)]
    assert await revoke(client, code, coverage_type=GENERAL) == []


async def test_approvals_that_are_refused(client: Client) -> None:
    code = (await client.category(approved=False)).code
    bad = jobs_pb.ApproveJobCategoryRequest(states=["CA", "XX", "YY"], net_rate=-1)
    assert (await refused(client.jobs.ApproveJobCategory(bad))).fields == {
        "category_code",
        "coverage_type",
        "states",
        "net_rate",
    }
    unspecified = jobs_pb.RevokeJobCategoryApprovalRequest(category_code=code, states=[""])
    assert (await refused(client.jobs.RevokeJobCategoryApproval(unspecified))).fields == {"coverage_type", "states"}
    assert (await refused(approve(client, code, 10_001))).fields == {"net_rate"}
    for call in (approve(client, NOWHERE, 1), revoke(client, NOWHERE)):
        missing = await refused(call)
        assert (missing.reason, missing.told["resource_type"]) == ("RESOURCE_NOT_FOUND", "job_category")


async def test_a_states_own_row_wins_over_the_row_for_every_state(client: Client) -> None:
    jane = await client.opted_in()
    code = (await client.category(net_rate=250)).code
    job = await client.job(code)
    await approve(client, code, 400, "CA")
    await approve(client, code, 500, "NY")

    async def rate() -> int:
        """What a policy would be bound at now, and whether at all."""
        made = await client.assign(jane.id, job.id, validate_only=True)
        assert (made.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND) == (not made.assignment.binding.reasons)
        return made.assignment.binding.net_rate if not made.assignment.binding.reasons else -1

    assert await rate() == 400
    await revoke(client, code, "CA")
    assert await rate() == 250
    await revoke(client, code)
    assert await rate() == -1
    await approve(client, code, 600, "CA")
    assert await rate() == 600
    await approve(client, code, 0, "CA")
    assert await rate() == 0


async def test_a_policy_keeps_the_rate_it_was_bound_at(client: Client) -> None:
    jane = await client.opted_in()
    code = (await client.category(net_rate=250)).code
    job = await client.job(code)
    first = await client.assign(jane.id, job.id)
    await approve(client, code, 900)
    second = await client.assign(jane.id, job.id)
    assert second.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
    assert second.assignment.binding.net_rate == 250
    assert (await client.policy(first.assignment.policy)).net_rate == 250

    await revoke(client, code)
    third = await client.assign(jane.id, job.id)
    assert third.assignment.policy == first.assignment.policy, "what was bound stays, by the standard workflow"
    assert third.assignment.binding.workflow == pb.BINDING_WORKFLOW_STANDARD
    assert list(third.assignment.binding.reasons) == [pb.BINDING_REASON_JOB_CATEGORY_NOT_APPROVED]


async def test_an_approval_for_another_type_does_not_count(client: Client) -> None:
    jane = await client.opted_in()
    code = (await client.category(approved=False)).code
    await approve(client, code, 250, coverage_type=GENERAL)
    made = await client.assign(jane.id, (await client.job(code)).id)
    assert list(made.assignment.binding.reasons) == [pb.BINDING_REASON_JOB_CATEGORY_NOT_APPROVED]
