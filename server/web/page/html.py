"""From what is known to HTML, with the headers that a page of this kind needs."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from server.web.page.texts import Texts

FOLDER = Path(__file__).with_name("templates")
STYLE = (FOLDER / "page.css").read_text()
STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}

templates = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def page(template: str, status: int, texts: Texts, values: Mapping[str, Any], redirects: Iterable[str]) -> HTMLResponse:
    """`redirects`: the origins that a form of the page may lead to in the end."""
    html = templates.get_template(f"{template}.html").render(t=texts, style=STYLE, **values)
    return HTMLResponse(html, status, HEADERS | {"content-security-policy": _policy(redirects)})


def _policy(redirects: Iterable[str]) -> str:
    """No script at all, and nothing of anybody else's."""
    parts = (
        "default-src 'none'",
        f"style-src 'sha256-{STYLE_DIGEST}'",
        "img-src data:",  # so that browsers ask for no icon
        " ".join(("form-action 'self'", *redirects)),
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(parts)
