"""What an audit reports: findings as a person reads them, a bounded number kept, all counted."""

from server.domain.invariants.books import MOST_KEPT, Finding, Report


def test_a_finding_names_its_rule_and_its_ids() -> None:
    assert str(Finding("numbers-without-gaps", ("cn_1", "pl_2"))) == "numbers-without-gaps: cn_1 pl_2"


def test_all_findings_are_counted_and_the_first_kept() -> None:
    report = Report()
    report.add(Finding("rule", (str(number),)) for number in range(MOST_KEPT + 1))
    assert report.total == MOST_KEPT + 1
    assert len(report.findings) == MOST_KEPT
