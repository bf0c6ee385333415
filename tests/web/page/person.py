"""Somebody with a plain browser: it follows links, keeps cookies, shows forms and sends them; it runs no scripts."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from optin.v1 import resources_pb2 as pb

AGENT = "Mozilla/5.0 (a test)"


@dataclass
class Page(HTMLParser):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    html: str
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)  # as they are filled in
    radios: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)  # by their text
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._select = self._link = ""
        self._hidden = False
        self.feed(self.html)

    @property
    def location(self) -> str:
        assert self.status == 303, (self.status, self.text)
        return self.headers["location"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self._hidden = tag == "style"
        match tag:
            case "form":
                assert of["method"] == "post"
                self.action = of["action"]
            case "input" if of["type"] == "radio":
                self.radios.add(of["name"])
                if "checked" in of:
                    self.fields[of["name"]] = of["value"]
            case "input":
                self.fields[of["name"]] = of["value"]
            case "select":
                self._select = of["name"]
            case "option" if "selected" in of:
                self.fields[self._select] = of["value"]
            case "a":
                self._link = of["href"]

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        if tag == "a":
            self._link = ""

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.text += data
        if self._link:
            self.links[data] = self._link


class Person:
    def __init__(self, port: int, agent: str = AGENT, **headers: str) -> None:
        self._port = port
        self._headers = {"user-agent": agent, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.cookies: dict[str, str] = {}
        self.page = Page(0, {}, "")

    async def opens(self, url: str) -> Page:
        """Follows the way to the step that is due, and no way out."""
        page = await self.asks("GET", url)
        onwards = page.status == 303 and page.headers["location"].startswith("/")
        return await self.opens(page.headers["location"]) if onwards else page

    async def sends(self, **typed: str) -> Page:
        """The form that is shown, with this typed into it."""
        assert self.page.action, self.page.text
        assert typed.keys() <= self.page.fields.keys() | self.page.radios
        return await self.posts(self.page.action, {**self.page.fields, **typed})

    async def goes_on(self, **typed: str) -> Page:
        """Sends, and sees the next screen."""
        return await self.opens((await self.sends(**typed)).location)

    async def posts(self, url: str, typed: Mapping[str, str]) -> Page:
        body = urlencode(typed).encode()
        return await self.asks("POST", url, body, content_type="application/x-www-form-urlencoded")

    async def asks(self, method: str, url: str, body: bytes | None = None, **headers: str) -> Page:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        told = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            told["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        page = await asyncio.to_thread(self._ask, method, path, body, told)
        if made := page.headers.get("set-cookie"):
            name, _, value = made.partition(";")[0].partition("=")
            self.cookies[name] = value
        if page.status != 303:
            self.page = page
        return page

    async def applies(self, session: pb.ApplicationSession, *, name: str = "Jane Doe", **answers: str) -> Page:
        """All screens; `answers` in place of those that lead to a complete application."""
        await self.opens(session.url)
        await self.goes_on()
        await self.goes_on(**{name: answers.get(name, good) for name, good in self.good_answers().items()})
        await self.goes_on(**dict.fromkeys(self.documents(), name))
        return await self.sends()

    def good_answers(self) -> dict[str, str]:
        return {name: GOOD.get(name, "no") for name in self.page.radios} | {"years_experience": "7"}

    def documents(self) -> list[str]:
        return [name.removesuffix(".version") for name in self.page.fields if name.endswith(".version")]

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, Any]) -> Page:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Page(answer.status, found, answer.read().decode())
        finally:
            connection.close()


GOOD = {"age_18_or_over": "yes"}
