"""What is installed is what is pinned, what is allowed is tested at its lower end, and no audit fails unheard."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
OF_THE_ENVIRONMENT = {"optin", "pip", "setuptools", "wheel"}  # these bring themselves, or are what is developed
PIN = re.compile(r"([a-z0-9-]+)==([0-9a-z.]+)")


def pins(name: str) -> dict[str, Version]:
    """By package; each line is `name==version`, so that none names a registry."""
    found = [PIN.fullmatch(line) for line in (ROOT / ".ci" / name).read_text().splitlines()]
    assert all(found)
    return {pin[1]: Version(pin[2]) for pin in found if pin}


def project(folder: Path = ROOT) -> dict[str, Any]:
    parsed: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return parsed


def requirements(*lists: list[str]) -> Iterator[Requirement]:
    return (Requirement(line) for lines in lists for line in lines if not line.startswith("optin["))


def lower(requirement: Requirement) -> Version:
    (bound,) = (Version(part.version) for part in requirement.specifier if part.operator == ">=")
    return bound


def test_all_that_is_installed_is_pinned() -> None:
    """A new one, if only a dependency's, needs its line in .ci/constraints.txt; `make clean` drops what is stale."""
    installed = {canonicalize_name(found.name): Version(found.version) for found in metadata.distributions()}
    pinned = pins("constraints.txt")
    stray = {name: str(version) for name, version in installed.items() if pinned.get(name) != version}
    assert stray.keys() <= OF_THE_ENVIRONMENT, stray


def test_the_pins_are_what_the_project_asks_for() -> None:
    pinned = pins("constraints.txt")
    asked = project()
    for requirement in requirements(asked["dependencies"], *asked["optional-dependencies"].values()):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_each_dependency_is_bounded_and_tested_at_its_lower_bound() -> None:
    bounds = {canonicalize_name(found.name): found for found in requirements(project()["dependencies"])}
    assert {name: lower(found) for name, found in bounds.items()} == pins("minimum.txt")
    assert all({part.operator for part in found.specifier} == {">=", "<"} for found in bounds.values())


def test_the_client_asks_for_no_less_than_what_is_tested() -> None:
    minimum = pins("minimum.txt")
    for requirement in requirements(project(ROOT / "generated")["dependencies"]):
        assert lower(requirement) == minimum[canonicalize_name(requirement.name)]


# The audit.


def audit() -> Any:
    spec = spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict(output: str, errors: str = "") -> tuple[int, str]:
    code, lines = audit().verdict(output, errors)
    return code, "\n".join(lines)


def audited(*packages: dict[str, Any]) -> tuple[int, str]:
    return verdict(json.dumps({"dependencies": packages, "fixes": []}))


SAFE = {"name": "safe", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found"}
BAD = {"name": "bad", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"], "description": "..."}]}


def test_a_finding_fails_the_check() -> None:
    assert audited(SAFE, BAD, SAFE) == (1, "bad 1.0 is vulnerable: CVE-1, mended in 1.1")


def test_no_finding_passes_it() -> None:
    assert audited(SAFE, SAFE) == (0, "pip-audit: 2 packages, no known vulnerability")


def test_what_the_database_does_not_know_is_told_and_hides_no_finding() -> None:
    told = "*** NOT AUDITED for known vulnerabilities (pip-audit): its database knows nothing of 1 of 2 packages ***"
    assert audited(SAFE, UNKNOWN) == (0, told)
    code, lines = audited(UNKNOWN, BAD)
    assert (code, lines.splitlines()[1]) == (1, told)


@pytest.mark.parametrize(
    "last",
    [
        "requests.exceptions.ProxyError: HTTPSConnectionPool(host='example.com', port=443): Max retries exceeded",
        "requests.exceptions.ConnectTimeout: HTTPSConnectionPool(host='example.com', port=443): ...",
        "ERROR:pip_audit._cli:Could not connect to the vulnerability feed",
    ],
)
def test_a_database_that_cannot_be_reached_is_told_aloud(last: str) -> None:
    told = "*** NOT AUDITED for known vulnerabilities (pip-audit): its database cannot be reached ***"
    assert verdict("", f"Traceback (most recent call last):\n{last}\n") == (0, told)


def test_one_that_does_not_answer_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = audit()
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(module, "MOST_SECONDS", 0.05)
    assert module.main() == 0
    assert capsys.readouterr().out.startswith("*** NOT AUDITED")


@pytest.mark.parametrize("errors", ["", "pip-audit: error: unrecognized arguments: --format"])
def test_an_audit_that_fails_by_itself_fails_the_check(errors: str) -> None:
    assert verdict("", errors)[0] == 1
