"""What the fake carrier has been asked and what it holds, in memory or in a file that survives its death."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

BIND = "BindPolicy"


class State(StrEnum):
    BOUND = "bound"
    DECLINED = "declined"
    VOIDED = "voided"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What is held for one policy."""

    policy: str
    state: State
    carrier_policy_number: str = ""
    decline_reason: str = ""
    cancel_time: str = ""  # as JSON has timestamps
    cancel_reason: str = ""
    revision: int = 0  # of the last cancellation or reinstatement that took effect


class LedgerDamaged(Exception):
    """The file holds what no ledger writes."""


class Ledger:
    """Every request and every change is a line of JSON, on disk before it counts.

    A path that exists is read first, without what its writer left half written when it died.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Raises LedgerDamaged, OSError."""
        self._entries: dict[str, Entry] = {}
        self._requests: Counter[tuple[str, str]] = Counter()
        self._duplicates: Counter[str] = Counter()
        self.length = 0  # requests in all
        self._numbers = 0
        self._file: int | None = None
        if path is not None:
            if path.exists():
                os.truncate(path, self._replay(path))
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A copy of the file as it is now, also while a carrier writes it. Raises LedgerDamaged, OSError."""
        ledger = cls()
        ledger._replay(path)
        return ledger

    def live_bindings(self) -> frozenset[str]:
        """The policies that are bound now."""
        return frozenset(entry.policy for entry in self._entries.values() if entry.state is State.BOUND)

    def requests(self, policy: str, method: str = BIND) -> int:
        """How often a method was called for a policy."""
        return self._requests[method, policy]

    def duplicates(self) -> Mapping[str, int]:
        """Each policy that was asked for when it was bound already, and how often: without the key, so many more."""
        return dict(self._duplicates)

    def get(self, policy: str) -> Entry | None:
        return self._entries.get(policy)

    def received(self, method: str, policy: str) -> None:
        self._write({"request": method, "policy": policy})

    def bind(self, policy: str, *, decline: bool = False) -> Entry:
        """Binds it, or declines to, unless it is known: then what is known counts."""
        known = self._entries.get(policy)
        if known:
            return known
        if decline:
            return self._hold(Entry(policy=policy, state=State.DECLINED, decline_reason="declined by the fake carrier"))
        number = f"FAKE-{self._numbers + 1:06}"
        return self._hold(Entry(policy=policy, state=State.BOUND, carrier_policy_number=number))

    def void(self, policy: str) -> Entry:
        known = self._entries.get(policy)
        if known is None:
            return self._hold(Entry(policy=policy, state=State.VOIDED))
        if known.state in (State.DECLINED, State.VOIDED):
            return known
        return self._hold(replace(known, state=State.VOIDED, cancel_time="", cancel_reason=""))

    def cancel(self, policy: str, cancel_time: str, reason: str, revision: int) -> Entry | None:
        """None: it was never seen."""
        cancelled = {"state": State.CANCELLED, "cancel_time": cancel_time, "cancel_reason": reason}
        return self._revise(policy, revision, cancelled)

    def reinstate(self, policy: str, revision: int) -> Entry | None:
        """None: it was never seen."""
        return self._revise(policy, revision, {"state": State.BOUND, "cancel_time": "", "cancel_reason": ""})

    def _revise(self, policy: str, revision: int, values: dict[str, Any]) -> Entry | None:
        """In whatever order they arrive, the highest revision counts."""
        known = self._entries.get(policy)
        if known is None or known.state not in (State.BOUND, State.CANCELLED) or revision <= known.revision:
            return known
        return self._hold(replace(known, revision=revision, **values))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _hold(self, entry: Entry) -> Entry:
        self._write({"binding": asdict(entry)})
        return entry

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(line).encode() + b"\n")
            os.fsync(self._file)
        self._apply(line)

    def _replay(self, path: Path) -> int:
        """The length of what is whole: a line that was cut off has no end."""
        whole, _, rest = path.read_bytes().rpartition(b"\n")
        if not any(rest.startswith(begin[: len(rest)]) for begin in (b'{"request": ', b'{"binding": ')):
            raise LedgerDamaged(f"{path}, end")  # it may be anybody's file, and is left alone
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise LedgerDamaged(f"{path}, line {number}") from error
        return len(whole) + 1 if whole else 0

    def _apply(self, line: Mapping[str, Any]) -> None:
        if "request" in line:
            method, policy = line["request"], line["policy"]
            self._requests[method, policy] += 1
            self.length += 1
            entry = self._entries.get(policy)
            if method == BIND and entry and entry.state is State.BOUND:
                self._duplicates[policy] += 1
            return
        entry = Entry(**line["binding"] | {"state": State(line["binding"]["state"])})
        self._numbers += entry.state is State.BOUND and entry.policy not in self._entries
        self._entries[entry.policy] = entry
