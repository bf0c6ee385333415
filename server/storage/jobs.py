"""Jobs, job categories and their approvals."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from server.domain.enums import CoverageType
from server.domain.ports import Page
from server.domain.records import Address, Approval, Job, JobCategory
from server.storage import rows
from server.storage.ready import Row
from server.storage.rows import IDS
from server.storage.tables import job_categories, job_category_approvals, jobs
from server.storage.upserts import insert, is_postgresql

approvals = job_category_approvals

FIND_JOBS = select(jobs).where(jobs.c.platform == bindparam("platform"), jobs.c.id.in_(IDS))
LOCK_JOB = (
    select(jobs.c.id)
    .where(jobs.c.id.in_(IDS), jobs.c.platform == bindparam("platform"))
    .with_for_update(key_share=True)
)
FIND_CATEGORIES = select(job_categories).where(
    job_categories.c.platform == bindparam("platform"), job_categories.c.code.in_(IDS)
)
APPROVALS = select(approvals).where(approvals.c.category_code.in_(IDS))


class Jobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, platform: str, id_: str) -> None:
        """On SQLite the unit itself is the lock."""
        if is_postgresql(self._connection):
            rows.fetch(self._connection, LOCK_JOB, [id_], platform=platform)

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Job]:
        return {row["id"]: _job(row) for row in rows.fetch(self._connection, FIND_JOBS, ids, platform=platform)}

    def page(self, platform: str, page: Page, *, category_code: str = "") -> list[Job]:
        conditions = [jobs.c.platform == platform]
        if category_code:
            conditions.append(jobs.c.category_code == category_code)
        return rows.keyset(self._connection, jobs, page, conditions, _job)

    def insert(self, job: Job) -> None:
        self._connection.execute(jobs.insert(), _job_row(job))

    def update(self, job: Job) -> None:
        self._connection.execute(update(jobs).where(jobs.c.id == job.id), _job_row(job))


class JobCategories:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, platform: str, codes: Collection[str]) -> Mapping[str, JobCategory]:
        found = rows.fetch(self._connection, FIND_CATEGORIES, codes, platform=platform)
        return {c.code: c for c in self._with_approvals([_category(row) for row in found])}

    def page(self, platform: str, page: Page) -> list[JobCategory]:
        conditions = rows.within(job_categories, platform)
        return self._with_approvals(
            rows.keyset(self._connection, job_categories, page, conditions, _category, key="code")
        )

    def insert(self, category: JobCategory) -> None:
        row = rows.values_of(category)
        del row["approvals"]
        self._connection.execute(job_categories.insert(), row)

    def approve(self, category: JobCategory, added: Sequence[Approval]) -> None:
        statement = insert(self._connection.dialect.name, approvals)
        statement = statement.on_conflict_do_update(
            index_elements=["category_code", "coverage_type", "state"],
            set_={name: statement.excluded[name] for name in ("net_rate", "approve_time")},
        )
        owner = {"platform": category.platform, "category_code": category.code}
        self._connection.execute(statement, [rows.values_of(approval) | owner for approval in added])

    def revoke(self, category: JobCategory, coverage_type: CoverageType, states: Collection[str]) -> None:
        self._connection.execute(
            delete(approvals).where(
                approvals.c.category_code == category.code,
                approvals.c.coverage_type == coverage_type,
                approvals.c.state.in_(states),
            )
        )

    def _with_approvals(self, categories: list[JobCategory]) -> list[JobCategory]:
        found: dict[str, list[Approval]] = {category.code: [] for category in categories}
        for row in rows.fetch(self._connection, APPROVALS, found):
            found[row["category_code"]].append(_approval(row))
        return [replace(category, approvals=_in_order(found[category.code])) for category in categories]


def _job_row(job: Job) -> dict[str, Any]:
    return rows.values_of(job) | {"address": job.address and rows.values_of(job.address)}


def _job(row: Row) -> Job:
    values = dict(row)
    values["address"] = row["address"] and Address(**row["address"])
    return Job(**values)


def _category(row: Row) -> JobCategory:
    return JobCategory(**row)


def _in_order(approvals: Iterable[Approval]) -> tuple[Approval, ...]:
    return tuple(sorted(approvals, key=lambda approval: (approval.coverage_type, approval.state)))


def _approval(row: Row) -> Approval:
    return Approval(
        coverage_type=row["coverage_type"],
        state=row["state"],
        net_rate=row["net_rate"],
        approve_time=row["approve_time"],
    )
