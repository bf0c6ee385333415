"""The fake carrier's ledger: what it holds, and that it is there again afterwards."""

from pathlib import Path

import pytest

from server.carrier.fake_ledger import Ledger, LedgerDamaged, State


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest, path: Path) -> Ledger:
    return Ledger(path if request.param == "file" else None)


def test_it_begins_with_nothing(ledger: Ledger) -> None:
    assert ledger.get("pl_1") is None
    assert ledger.live_bindings() == frozenset()
    assert (ledger.length, ledger.duplicates()) == (0, {})


def test_a_key_is_bound_once(ledger: Ledger) -> None:
    first = ledger.bind("pl_1")
    assert first.state is State.BOUND
    assert ledger.bind("pl_1") == first
    assert ledger.bind("pl_1", decline=True) == first
    assert ledger.bind("pl_2").carrier_policy_number != first.carrier_policy_number
    assert ledger.live_bindings() == {"pl_1", "pl_2"}


def test_a_key_that_was_declined_stays_declined(ledger: Ledger) -> None:
    assert ledger.bind("pl_1", decline=True).state is State.DECLINED
    assert ledger.bind("pl_1").state is State.DECLINED
    assert ledger.void("pl_1").state is State.DECLINED
    entry = ledger.cancel("pl_1", "2026-01-01T00:00:00Z", "", 1)
    assert entry
    assert entry.state is State.DECLINED
    assert ledger.live_bindings() == frozenset()


def test_a_void_undoes(ledger: Ledger) -> None:
    number = ledger.bind("pl_1").carrier_policy_number
    voided = ledger.void("pl_1")
    assert (voided.state, voided.carrier_policy_number) == (State.VOIDED, number)
    assert ledger.void("pl_1") == ledger.bind("pl_1") == voided
    assert ledger.cancel("pl_1", "2026-01-01T00:00:00Z", "", 1) == voided
    assert ledger.live_bindings() == frozenset()


def test_a_void_of_what_was_never_seen_keeps_it_out(ledger: Ledger) -> None:
    assert ledger.void("pl_1").state is State.VOIDED
    assert ledger.bind("pl_1").state is State.VOIDED
    assert ledger.live_bindings() == frozenset()


def test_a_cancellation_keeps_its_first_time_and_reason(ledger: Ledger) -> None:
    ledger.bind("pl_1")
    first = ledger.cancel("pl_1", "2026-01-01T00:00:00Z", "moved away", 1)
    assert first
    assert (first.state, first.cancel_time, first.cancel_reason) == (
        State.CANCELLED,
        "2026-01-01T00:00:00Z",
        "moved away",
    )
    assert ledger.cancel("pl_1", "2026-02-02T00:00:00Z", "other", 1) == first
    assert ledger.bind("pl_1") == first
    assert ledger.live_bindings() == frozenset()


def test_what_was_cancelled_can_be_voided(ledger: Ledger) -> None:
    ledger.bind("pl_1")
    ledger.cancel("pl_1", "2026-01-01T00:00:00Z", "moved away", 1)
    voided = ledger.void("pl_1")
    assert (voided.state, voided.cancel_time, voided.cancel_reason) == (State.VOIDED, "", "")


def test_what_was_never_seen_cannot_be_cancelled(ledger: Ledger) -> None:
    assert ledger.cancel("pl_1", "2026-01-01T00:00:00Z", "", 1) is None
    assert ledger.get("pl_1") is None


def test_requests_are_counted_and_those_for_a_bound_key_are_duplicates(ledger: Ledger) -> None:
    ledger.received("BindPolicy", "pl_1")
    ledger.bind("pl_1")
    ledger.received("GetBinding", "pl_1")
    assert ledger.duplicates() == {}
    ledger.received("BindPolicy", "pl_1")
    ledger.received("BindPolicy", "pl_1")
    assert ledger.duplicates() == {"pl_1": 2}
    assert ledger.requests("pl_1") == 3
    assert ledger.requests("pl_1", "GetBinding") == 1
    assert ledger.requests("pl_2") == 0
    assert ledger.length == 4
    ledger.void("pl_1")
    ledger.received("BindPolicy", "pl_1")
    assert ledger.duplicates() == {"pl_1": 2}  # it is bound no more


def filled(path: Path) -> Ledger:
    ledger = Ledger(path)
    ledger.received("BindPolicy", "pl_1")
    ledger.bind("pl_1")
    ledger.received("BindPolicy", "pl_1")
    ledger.bind("pl_2", decline=True)
    ledger.bind("pl_3")
    ledger.cancel("pl_3", "2026-01-01T00:00:00Z", "moved\naway", 1)
    ledger.void("pl_4")
    return ledger


def assert_same(one: Ledger, other: Ledger) -> None:
    for name in ("pl_1", "pl_2", "pl_3", "pl_4", "pl_5"):
        assert one.get(name) == other.get(name)
        assert one.requests(name) == other.requests(name)
    assert one.live_bindings() == other.live_bindings()
    assert one.duplicates() == other.duplicates()
    assert one.length == other.length


def test_a_file_is_read_again(path: Path) -> None:
    before = filled(path)
    after = Ledger(path)  # without the first having been closed: it died
    assert_same(before, after)
    assert after.bind("pl_5").carrier_policy_number == "FAKE-000003"


def test_a_file_can_be_read_while_it_is_written(path: Path) -> None:
    ledger = filled(path)
    copy = Ledger.read(path)
    assert_same(ledger, copy)
    copy.bind("pl_5")
    assert Ledger.read(path).get("pl_5") is None
    ledger.bind("pl_5")
    assert Ledger.read(path).get("pl_5") == ledger.get("pl_5")


def test_a_line_that_was_cut_off_never_happened(path: Path) -> None:
    filled(path).close()
    whole = path.read_bytes()
    before_last = whole[: whole.rindex(b"\n", 0, -1) + 1]
    for length in range(len(before_last), len(whole)):
        path.write_bytes(whole[:length])
        ledger = Ledger(path)
        assert ledger.get("pl_4") is None
        assert ledger.get("pl_3")
        ledger.void("pl_4")
        ledger.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "contents",
    [
        "not JSON\n",
        "[]\n",
        "{}\n",
        '{"request": "BindPolicy"}\n',
        '{"binding": {"policy": "pl_1"}}\n',
        '{"binding": {"policy": "pl_1", "state": "odd"}}\n',
        '{"binding": {"policy": "pl_1", "state": "bound", "more": 1}}\n',
        "a letter without an end",
    ],
)
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path: Path, contents: str) -> None:
    path.write_text(contents)
    with pytest.raises(LedgerDamaged, match=r"ledger\.jsonl"):
        Ledger(path)
    assert path.read_text() == contents


def test_what_cannot_be_written_did_not_happen(path: Path) -> None:
    ledger = Ledger(path)
    ledger.bind("pl_1")
    ledger._file = 99_999  # no such descriptor
    with pytest.raises(OSError, match="Bad file"):
        ledger.bind("pl_2")
    assert ledger.live_bindings() == {"pl_1"}
