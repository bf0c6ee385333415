"""What the audit says of databases that are as they should be."""

from tests.audit.conftest import Kept


async def test_a_conversation_leaves_nothing_to_find(kept: Kept) -> None:
    report = await kept.audit()
    assert report.findings == []
    assert report.total == 0
    assert report.rows == {"contractors": 7, "policies": 10, "assignments": 14, "requests": 5}


async def test_pages_of_any_size_have_every_row_once(kept: Kept, pages: None) -> None:
    report = await kept.audit()
    assert report.findings == []
    assert report.rows == {"contractors": 7, "policies": 10, "assignments": 14, "requests": 5}
