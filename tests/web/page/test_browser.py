"""The page in a real browser: without scripts, on a phone, with a keyboard alone, and in the ways people go astray."""

import re
from collections.abc import AsyncIterator

import pytest
from optin.v1 import resources_pb2 as pb
from playwright.async_api import Browser, Page, expect

from tests.web.conftest import House
from tests.web.page.browser import PHONE, WIDE, Tab, context_of, launched, platform_site, tab

MOST_TABS = 60


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
async def urls() -> AsyncIterator[dict[str, str]]:
    async with platform_site() as urls:
        yield urls


async def opt_in(house: House, urls: dict[str, str]) -> pb.ApplicationSession:
    return await house.client.session((await house.client.contractor()).id, **urls)


async def is_out(page: Page, session: pb.ApplicationSession, status: str) -> None:
    """On the platform's site, which is told what became of the application."""
    complete = status in ("APPLICATION_COMPLETE", "MANUAL_REVIEW")
    url = f"{session.success_url}?" if complete else f"{session.cancel_url}&"
    await expect(page).to_have_url(f"{url}session={session.id}&status={status}")
    await expect(page).to_have_title("Platform")


@pytest.mark.parametrize(
    ("name", "viewport", "scripts"), [("wide", WIDE, True), ("phone", PHONE, True), ("plain", PHONE, False)]
)
async def test_the_whole_way(
    house: House, browser: Browser, urls: dict[str, str], name: str, viewport: dict[str, int], scripts: bool
) -> None:
    session = await opt_in(house, urls)
    async with tab(browser, scripts=scripts, **viewport) as person:
        page = person.page
        await page.goto(session.url)
        await expect(page).to_have_title("Check your information \N{EN DASH} Application for cover")
        await person.sees(f"{name}-1-information")
        await page.get_by_label("ZIP code").fill("9410")
        await person.goes_on()
        await person.sees(f"{name}-2-information-wrong")
        await page.get_by_label("ZIP code").fill("94103")
        await person.goes_on()
        await person.sees(f"{name}-3-questions")
        await person.goes_on()
        await person.sees(f"{name}-4-questions-wrong")
        await person.answers()
        await person.goes_on()
        await person.sees(f"{name}-5-documents")
        await person.goes_on()
        await person.sees(f"{name}-6-documents-wrong")
        await person.signs()
        await person.goes_on()
        await person.sees(f"{name}-7-submit")
        await person.goes_on()
        await is_out(page, session, "APPLICATION_COMPLETE")
        await page.goto(f"{session.url}x")
        await person.sees(f"{name}-8-no-link")
        person.complaints.clear()  # of the 404 and the 422s, which a console tells
    kept = await house.client.get_contractor(session.contractor)
    assert kept.address.postalcode == "94103"


async def test_an_application_for_a_quote(house: House, browser: Browser, urls: dict[str, str]) -> None:
    client = house.client
    jane = await client.contractor()
    category = await client.category()
    await client.approve(category.code, pb.COVERAGE_TYPE_GENERAL)
    job = await client.job(category.code, "NY")
    quote = await client.quote(jane.id, job.id, pb.COVERAGE_TYPE_GENERAL, pb.COVERAGE_TYPE_WORKERS_COMP)
    session = await client.quote_session(quote.id, **urls)
    async with tab(browser) as person:
        await person.applies(session.url)
        await is_out(person.page, session, "APPLICATION_COMPLETE")
    assert (await client.get_quote(quote.id)).policy


@pytest.mark.parametrize(
    ("answers", "status"), [({"age_18_or_over": "no"}, "INELIGIBLE"), ({"has_employees": "yes"}, "MANUAL_REVIEW")]
)
async def test_an_answer_that_does_not_lead_to_cover(
    house: House, browser: Browser, urls: dict[str, str], answers: dict[str, str], status: str
) -> None:
    session = await opt_in(house, urls)
    async with tab(browser) as person:
        await person.applies(session.url, **answers)
        if status == "MANUAL_REVIEW":
            await person.sees("wide-9-review")
            await person.page.get_by_role("link", name="Go back to the platform").click()
        await is_out(person.page, session, status)


async def focused(page: Page) -> str:
    found: str = await page.evaluate("document.activeElement.id || document.activeElement.className")
    return found


async def tabs_to(page: Page, name: str) -> None:
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await focused(page) == name:
            return
    raise AssertionError(f"{name} is not reached with the Tab key")


async def test_with_a_keyboard_alone(house: House, browser: Browser, urls: dict[str, str]) -> None:
    session = await opt_in(house, urls)
    async with tab(browser) as person:
        page, keys = person.page, person.page.keyboard
        await page.goto(session.url)
        await keys.press("Tab")
        assert await focused(page) == "skip"
        await keys.press("Enter")
        await tabs_to(page, "last_name")
        await keys.press("Backspace")
        await keys.press("Enter")
        await expect(page.get_by_role("alert")).to_be_focused()
        await keys.press("Tab")
        await keys.press("Enter")
        await expect(page.get_by_label("Last name")).to_be_focused()
        await keys.type("Roe")
        await keys.press("Enter")
        await expect(page).to_have_url(re.compile("/questions$"))
        for name, key in (
            ("age_18_or_over", "Space"),
            ("losses_last_3_years", "ArrowDown"),
            ("years_experience", "7"),
            ("other_workers_comp", "ArrowDown"),
            ("has_employees", "ArrowDown"),
        ):
            await tabs_to(page, name)
            await keys.press(key)
        await keys.press("Enter")
        await expect(page).to_have_url(re.compile("/documents$"))
        for name in ("fraud_notice", "premium_withholding", "esign_consent"):
            await tabs_to(page, name)
            await keys.type("Jane Roe")
        await keys.press("Enter")
        await expect(page).to_have_url(re.compile("/submit$"))
        for _ in range(MOST_TABS):
            await keys.press("Tab")
            if await page.evaluate("document.activeElement.tagName") == "BUTTON":
                break
        await keys.press("Enter")
        await is_out(page, session, "APPLICATION_COMPLETE")
        person.complaints.clear()  # of the 422


async def goes_back(page: Page) -> None:
    """Once nothing is on its way: from a page that is being left Chromium goes nowhere."""
    await page.wait_for_load_state("networkidle")
    await page.go_back()


async def test_the_back_button_and_a_double_click(house: House, browser: Browser, urls: dict[str, str]) -> None:
    session = await opt_in(house, urls)
    async with tab(browser) as person:
        page = person.page
        await page.goto(session.url)
        await person.goes_on()
        await person.answers()
        await person.goes_on()
        await goes_back(page)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Answer some questions")
        await goes_back(page)
        await page.get_by_label("First name").fill("Janet")
        await page.get_by_role("button").dblclick()
        await expect(page).to_have_url(re.compile("/questions$"))
        await person.answers()
        await person.goes_on()
        await person.signs("Janet Doe")
        await person.goes_on()
        await page.get_by_role("button").dblclick()
        await is_out(page, session, "APPLICATION_COMPLETE")
        await goes_back(page)
        await is_out(page, session, "APPLICATION_COMPLETE")
    assert (await house.client.get_contractor(session.contractor)).first_name == "Janet"


async def test_two_tabs(house: House, browser: Browser, urls: dict[str, str]) -> None:
    session = await opt_in(house, urls)
    async with context_of(browser) as context:
        one, two = [Tab(await context.new_page(), scripts=True) for _ in range(2)]
        await one.page.goto(session.url)
        await two.page.goto(session.url)
        await one.goes_on()
        await one.answers()
        await one.goes_on()
        await two.goes_on()  # this step once more, so that what comes after it is due again
        await one.signs()
        await one.goes_on()
        await expect(one.page.get_by_role("status")).to_contain_text("gone on elsewhere")
        await expect(one.page.get_by_role("heading", level=1)).to_have_text("Answer some questions")


async def test_leaving_coming_back_and_coming_too_late(house: House, browser: Browser, urls: dict[str, str]) -> None:
    session = await opt_in(house, urls)
    async with tab(browser) as person:
        page = person.page
        await page.goto(session.url)
        await person.goes_on()
        await page.get_by_role("link", name="Leave and finish later").click()
        await is_out(page, session, "STARTED")
        await page.goto(session.url)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Answer some questions")
        await person.answers()
        await house.client.expire_session(session.id)
        await person.goes_on()
        await is_out(page, session, "EXPIRED")
        await page.goto(session.url)
        await is_out(page, session, "EXPIRED")
