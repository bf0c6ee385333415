"""The in-house carrier: our own paper, issued at once."""

from server.domain.carrier import Bound
from server.domain.records import Policy


class InHouseCarrier:
    """Implements `ports.Carrier`; never declines, never fails."""

    def issue(self, policy: Policy) -> Bound:
        """The number is made from the policy's id, so that asking twice gives the same one."""
        return Bound(f"OPT-{policy.id.removeprefix('pl_')}")
