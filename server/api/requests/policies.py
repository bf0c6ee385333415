"""Requests about policies."""

from typing import Annotated

from server.domain.enums import PolicyStatus
from server.service.fields import CancelRequest, FilterReference, ListRequest, Time, known


class CancelPolicy(CancelRequest):
    effective_time: Time = None


class ListPolicies(ListRequest):
    contractor: FilterReference = ""
    status: Annotated[PolicyStatus | None, known(PolicyStatus)] = None
