"""The invariants of the audit trail: each entry follows the one before, and none waits for its place for long."""

from collections.abc import Iterable, Iterator

from server.domain.invariants.books import Finding, Terms
from server.domain.invariants.events import MOST_WAITED
from server.domain.trail import FIRST, Place, TrailEntry, following


def broken_links(entries: Iterable[TrailEntry]) -> Iterator[Finding]:
    """Entries that have their places, by platform and number.

    One that was changed, put in or taken out breaks one link: the chain is followed on from what is there. Only what is
    cut off its end leaves no trace; whoever fears that keeps the last number and hash elsewhere.
    """
    platform, last = "", FIRST
    for entry in entries:
        if entry.platform != platform:
            platform, last = entry.platform, FIRST
        expected = following(last, entry)
        if (entry.number, entry.hash) != expected:
            yield Finding("trail-entry-follows-the-one-before", (platform, str(entry.number), entry.id))
        last = Place(entry.number or expected.number, entry.hash or expected.hash)


def left_waiting(entries: Iterable[TrailEntry], terms: Terms) -> Iterator[Finding]:
    """Entries without a place: a live one has just been recorded."""
    for entry in entries:
        if terms.now - entry.create_time > MOST_WAITED:
            yield Finding("trail-entry-has-its-place-in-time", (entry.platform, entry.id))
