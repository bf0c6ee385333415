"""Requests about policies."""

from typing import Annotated

from server.api.fields import FilterReference, ListRequest, known
from server.domain.enums import PolicyStatus


class ListPolicies(ListRequest):
    contractor: FilterReference = ""
    status: Annotated[PolicyStatus | None, known(PolicyStatus)] = None
