"""What each role may call (issue 5, item 1). The protos repeat it as `(optin.v1.roles)`; a test holds the two equal.

A method that is not here is refused to everybody.
"""

from collections.abc import Mapping

from server.domain.callers import Caller, Role
from server.domain.errors import RoleNotAllowed

CHANGES = frozenset({Role.PLATFORM})
READS = frozenset({Role.PLATFORM, Role.READER})
UNDERWRITES = frozenset({Role.UNDERWRITER})
CATEGORIES = CHANGES | UNDERWRITES
UNDERWRITING_READS = READS | UNDERWRITES

ROLES: Mapping[str, frozenset[Role]] = {
    f"optin.v1.{service}/{method}": roles
    for service, methods in {
        "ContractorService": {
            "CreateContractor": CHANGES,
            "GetContractor": READS,
            "ListContractors": READS,
            "UpdateContractor": CHANGES,
            "DeleteContractor": CHANGES,
        },
        "JobService": {
            "CreateJob": CHANGES,
            "GetJob": READS,
            "ListJobs": READS,
            "UpdateJob": CHANGES,
            "CreateJobCategory": CATEGORIES,
            "ListJobCategories": UNDERWRITING_READS,
            "ApproveJobCategory": UNDERWRITES,
            "RevokeJobCategoryApproval": UNDERWRITES,
        },
        "ApplicationSessionService": {
            "CreateApplicationSession": CHANGES,
            "GetApplicationSession": UNDERWRITING_READS,
            "ListApplicationSessions": UNDERWRITING_READS,
            "GetApplicationForm": UNDERWRITING_READS,
            "SubmitApplicationStep": CHANGES,
            "ReviewApplicationSession": UNDERWRITES,
            "CancelApplicationSession": CHANGES,
            "ExpireApplicationSession": CHANGES,
        },
        "AssignmentService": {
            "CreateAssignment": CHANGES,
            "BatchCreateAssignments": CHANGES,
            "GetAssignment": READS,
            "ListAssignments": READS,
            "CancelAssignment": CHANGES,
            "ExtendAssignment": CHANGES,
            "ListBindingDecisions": READS,
        },
        "PolicyService": {
            "GetPolicy": READS,
            "ListPolicies": READS,
            "CancelPolicy": CHANGES,
            "ReinstatePolicy": CHANGES,
        },
        "QuoteService": {
            "CreateQuote": CHANGES,
            "GetQuote": READS,
            "ListQuotes": READS,
            "UpdateQuote": CHANGES,
        },
        "EventService": {
            "ListEvents": READS,
            "WatchEvents": READS,
        },
    }.items()
    for method, roles in methods.items()
}

NOBODY = frozenset[Role]()


def require(caller: Caller, method: str) -> None:
    """Raises RoleNotAllowed."""
    if caller.roles.isdisjoint(ROLES.get(method, NOBODY)):
        raise RoleNotAllowed(role=", ".join(sorted(caller.roles)), method=method)
