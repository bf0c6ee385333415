"""Requests about policies."""

from typing import Annotated

from server.api.fields import CancelRequest, FilterReference, ListRequest, Time, known
from server.domain.enums import PolicyStatus


class CancelPolicy(CancelRequest):
    effective_time: Time = None


class ListPolicies(ListRequest):
    contractor: FilterReference = ""
    status: Annotated[PolicyStatus | None, known(PolicyStatus)] = None
