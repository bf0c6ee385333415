"""Debian's Chromium, driven by Playwright: what a person's browser makes of the page."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, async_playwright, expect

PICTURES = Path(__file__).parents[3] / "results" / "page"
# It asks nobody but us for anything, and as root it needs to be told that it may run.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
WIDE, PHONE = {"width": 1100, "height": 800}, {"width": 360, "height": 740}

expect.set_options(timeout=30_000)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("NOT TESTED in a browser: Chromium is missing; on Debian, apt-get install chromium brings it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


class Tab:
    """One tab. What it asks others for, and what it complains of, is held against the page at the end."""

    def __init__(self, page: Page, *, scripts: bool) -> None:
        self.page = page
        self.scripts = scripts
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._note)
        page.on("console", lambda message: self.complaints.append(message.text))

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)

    async def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    async def sees(self, name: str) -> None:
        """A picture of it, and nothing that keeps people out (axe-core, WCAG 2 AA), nor to be scrolled sideways."""
        await self.picture(name)
        if not self.scripts:  # axe is one
            return
        found = await Axe().run(self.page)
        assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == []
        assert await self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    async def answers(self, **others: str) -> None:
        """`yes` and `no` by question; else what leads to a complete application."""
        for group in await self._there(self.page.locator("fieldset")):
            name = await group.locator("input").first.get_attribute("name") or ""
            value = others.get(name, "yes" if name == "age_18_or_over" else "no")
            await group.locator(f"input[value={value}]").check()
        await self.page.fill("#years_experience", "7")

    async def signs(self, name: str = "Jane Doe") -> None:
        for field in await self._there(self.page.get_by_label("Your full name, as your signature")):
            await field.fill(name)

    @staticmethod
    async def _there(them: Locator) -> list[Locator]:
        """All of them, once their page is there: `all` does not wait, and finds none on the one before."""
        await them.first.wait_for()
        return await them.all()

    async def goes_on(self) -> None:
        await self.page.get_by_role("button").click()

    async def applies(self, url: str, **answers: str) -> None:
        await self.page.goto(url)
        await self.goes_on()
        await self.answers(**answers)
        await self.goes_on()
        await self.signs()
        await self.goes_on()
        await self.goes_on()


@asynccontextmanager
async def context_of(browser: Browser, *, scripts: bool = True, **viewport: Any) -> AsyncIterator[BrowserContext]:
    """A browser that has never been here."""
    context = await browser.new_context(java_script_enabled=scripts, viewport=viewport or WIDE)  # type: ignore[arg-type]
    yield context
    await context.close()


@asynccontextmanager
async def tab(browser: Browser, *, scripts: bool = True, **viewport: Any) -> AsyncIterator[Tab]:
    async with context_of(browser, scripts=scripts, **viewport) as context:
        opened = Tab(await context.new_page(), scripts=scripts)
        yield opened
        strangers = [url for url in opened.asked if not url.startswith(("http://127.0.0.1:", "data:"))]
        assert strangers == []
        assert opened.complaints == [], "as of what the content security policy forbids"


@asynccontextmanager
async def platform_site() -> AsyncIterator[dict[str, str]]:
    """The site that people come from and go back to: the two URLs of a session."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 23\r\nconnection: close\r\n\r\n<title>Platform</title>")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield {"success_url": f"{root}/success", "cancel_url": f"{root}/cancel?from=optin"}
