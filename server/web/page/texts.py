"""What the page says, in each language there is: texts/*.toml, named by the language."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

Texts = Mapping[str, Any]
"""Sentences by name, some in sections; a few have {places} for values."""

DEFAULT = "en"
FOLDER = Path(__file__).with_name("texts")


@cache
def languages() -> Mapping[str, Texts]:
    return {file.stem: tomllib.loads(file.read_text()) for file in sorted(FOLDER.glob("*.toml"))}


def texts_for(accepted: str) -> Texts:
    """For an Accept-Language header (RFC 9110, 12.5.4): the first that there is, in the order that browsers send."""
    wanted = (part.partition(";")[0].strip().partition("-")[0].lower() for part in accepted.split(","))
    known = languages()
    return next((known[language] for language in wanted if language in known), known[DEFAULT])
