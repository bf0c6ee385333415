"""Which role may call what: one table, which the protos repeat."""

import pytest
from optin.v1 import access_pb2

from server.domain.callers import Role
from server.domain.errors import RoleNotAllowed
from server.service.access import ANYBODY
from server.service.roles import ROLES, require
from tests.api.methods import METHODS


def declared(method: str) -> set[Role]:
    """By its option in the proto."""
    roles = METHODS[method].GetOptions().Extensions[access_pb2.roles]
    return {Role(access_pb2.Role.Name(role).removeprefix("ROLE_").lower()) for role in roles}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_roles_and_its_proto_says_so(method: str) -> None:
    assert ROLES[method]
    assert set(ROLES[method]) == declared(method)


def test_no_role_is_for_a_method_that_does_not_exist() -> None:
    assert ROLES.keys() == METHODS.keys()


def test_a_method_without_a_role_is_refused_to_everybody() -> None:
    assert ANYBODY.roles == set(Role)
    with pytest.raises(RoleNotAllowed):
        require(ANYBODY, "optin.v1.JobService/DeleteEverything")
