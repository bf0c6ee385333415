"""`optin` as it is, but for seams where it may kill itself: `crashing_server.py serve`, for `optin serve`.

Product code has no failpoints. This wraps the commit of a unit and the carrier's calls. The environment variable
CHAOS_PLAN names a file; from when it exists it says where and how likely, and with which seed: `commit.before 0.1 7`.
CHAOS_LEASE_MARGIN and CHAOS_LONGEST_PAUSE, in seconds, take the places of `app.LEASE_MARGIN` and of the longest pause
between two tries to tell a carrier what it is owed: the shorter, the harder for what is tested. CHAOS_FAILURES_TO_OPEN
takes the place of the carrier's circuit breaker's, which otherwise hides most calls from a carrier with faults.
"""

import os
import random
import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

POINTS = ("commit.before", "commit.after", "carrier.before", "carrier.after")


class Plan:
    """Ends the process, without a word to anyone, at the point that the plan names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._drawn: tuple[str, float, random.Random] | None = None

    def passing(self, point: str) -> None:
        if self._drawn is None:
            self._drawn = self._read()
        if self._drawn is None or self._drawn[0] != point:
            return
        _, share, draws = self._drawn
        if draws.random() < share:
            os.kill(os.getpid(), signal.SIGKILL)

    def _read(self) -> tuple[str, float, random.Random] | None:
        try:
            point, share, seed = self._path.read_text().split()
        except FileNotFoundError:
            return None
        return point, float(share), random.Random(seed)


def install(plan: Plan) -> None:
    from server.carrier.in_house import InHouseCarrier
    from server.carrier.remote import GrpcCarrier
    from server.storage import commits

    def around(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            plan.passing(f"{name}.before")
            result = call(*args)
            plan.passing(f"{name}.after")
            return result

        return wrapped

    def around_async(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def wrapped(*args: Any) -> Any:
            plan.passing(f"{name}.before")
            result = await call(*args)
            plan.passing(f"{name}.after")
            return result

        return wrapped

    seams: Any = commits  # setattr by another name: the seam is the module's own
    seams._commit = around(seams._commit, "commit")
    issuing: Any = InHouseCarrier
    issuing.issue = around(issuing.issue, "carrier")
    asking: Any = GrpcCarrier
    for method in ("bind", "void", "cancel", "reinstate"):
        setattr(asking, method, around_async(getattr(asking, method), "carrier"))


def main() -> None:
    from server import app, cli
    from server.carrier import remote as carrier
    from server.service import remote

    if plan := os.environ.get("CHAOS_PLAN"):
        install(Plan(Path(plan)))
    if margin := os.environ.get("CHAOS_LEASE_MARGIN"):
        app.LEASE_MARGIN = timedelta(seconds=float(margin))
    if pause := os.environ.get("CHAOS_LONGEST_PAUSE"):
        remote.LONGEST_PAUSE = timedelta(seconds=float(pause))
    if failures := os.environ.get("CHAOS_FAILURES_TO_OPEN"):
        asking: Any = carrier
        asking.Limits = partial(asking.Limits, failures_to_open=int(failures))
    cli.app()


if __name__ == "__main__":
    main()
