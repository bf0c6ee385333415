"""/docs: the OpenAPI document as one page, which asks nobody else for anything."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
code, pre { font: 14px/1.4 ui-monospace, monospace } pre { background: #f4f4f4; overflow-x: auto; padding: .75rem }
summary { cursor: pointer; padding: .4rem 0 } details { border-bottom: 1px solid #ddd } dt { margin-top: .5rem }
"""


def page(document: Mapping[str, Any]) -> bytes:
    return "".join(_page(document)).encode()


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Optin: HTTP paths</title>"
    yield f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body>"
    yield f"<h1>Optin {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    yield "<p>The same for programs: <a href='/api/v1/openapi.json'>openapi.json</a></p><h2>Paths</h2>"
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            yield from _operation(f"{verb.upper()} {path}", operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>{_plain(schema)}</details>"
    yield "</body></html>"


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><code>{escape(name)}</code> {escape(operation['summary'])}</summary><dl>"
    for parameter in operation["parameters"]:
        yield f"<dt><code>{escape(parameter['name'])}</code> ({escape(parameter['in'])})</dt>"
        yield f"<dd>{_plain(parameter['schema'])}</dd>"
    if body := operation.get("requestBody"):
        yield f"<dt>Body</dt><dd>{_schema(body)}</dd>"
    for status, answer in operation["responses"].items():
        yield f"<dt>{escape(status)}</dt><dd>{escape(answer['description'])} {_schema(answer)}</dd>"
    yield "</dl></details>"


def _schema(content: Mapping[str, Any]) -> str:
    """By its name, where it has one."""
    schema = content["content"]["application/json"]["schema"]
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'><code>{name}</code></a>"
    return _plain(schema)


def _plain(schema: object) -> str:
    return f"<pre>{escape(orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode())}</pre>"
