"""`optin demo`, the third story: the guide's HTTP requests, and the contractor's page as a plain browser sends it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

FORM = "application/x-www-form-urlencoded"
TYPED = {"age_18_or_over": "yes", "years_experience": "5"}  # all other questions are answered with no


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


class Http:
    """Requests to one server, each on a connection of its own, with the cookie that it gave."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = ""

    async def post_json(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = await self._ask("POST", f"/api/v1{path}", json.dumps(body), "application/json")
        return json.loads(answer.body)

    async def open(self, url: str) -> Answer:
        return await self._ask("GET", urlsplit(url).path)

    async def send(self, form: "Form", typed: Mapping[str, str]) -> Answer:
        return await self._ask("POST", form.action, urlencode({**form.fields, **typed}), FORM)

    async def _ask(self, verb: str, path: str, body: str | None = None, content_type: str = "") -> Answer:
        return await asyncio.to_thread(self._ask_and_wait, verb, path, body, content_type)

    def _ask_and_wait(self, verb: str, path: str, body: str | None, content_type: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(verb, path, body, {"content-type": content_type, "cookie": self._cookie})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            self._cookie = headers.get("set-cookie", self._cookie).partition(";")[0]
            return Answer(answer.status, headers, answer.read().decode())
        finally:
            connection.close()


@dataclass
class Form(HTMLParser):
    """What a screen asks, with what stands in it."""

    html: str
    heading: str = ""
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._within = self._select = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self._within = tag
        if tag == "form":
            self.action = of["action"]
        elif tag == "input" and of["type"] == "radio":
            self.fields[of["name"]] = TYPED.get(of["name"], "no")
        elif tag == "input":
            self.fields[of["name"]] = of["value"] or TYPED.get(of["name"], "")
        elif tag == "select":
            self._select = of["name"]
        elif tag == "option" and "selected" in of:
            self.fields[self._select] = of["value"]

    def handle_data(self, data: str) -> None:
        if self._within == "h1":
            self.heading = self.heading or data.strip()

    def signed(self, name: str) -> dict[str, str]:
        """The documents, with the name typed under each."""
        versions = [each for each in self.fields if each.endswith(".version")]
        return {each.removesuffix(".version"): name for each in versions}
