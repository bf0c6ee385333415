"""Asks pip-audit for known vulnerabilities of all that is pinned: one fails the check, and silence is told aloud.

pip-audit itself calls it a success when its database knows none of the packages, so that its exit code is not enough.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

MOST_SECONDS = 30.0
PINS = Path(__file__).with_name("constraints.txt")
COMMAND = (sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip")
UNREACHABLE = re.compile("connect|timed? ?out|max retries|HTTP error|unavailable", re.IGNORECASE)
QUIETLY = ("--format", "json", "--progress-spinner", "off", "--timeout", "5")


def main() -> int:
    try:
        ran = subprocess.run([*COMMAND, *QUIETLY], capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        code, lines = 0, [not_audited(f"its database gave no answer in {MOST_SECONDS:.0f} s")]
    else:
        code, lines = verdict(ran.stdout, ran.stderr)
    print("\n".join(lines))
    return code


def verdict(output: str, errors: str) -> tuple[int, list[str]]:
    """The exit code, and what to say, of what pip-audit printed: JSON, unless it failed."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        last = errors.strip().rpartition("\n")[2]
        if UNREACHABLE.search(last):
            return 0, [not_audited("its database cannot be reached")]
        return 1, [f"pip-audit failed: {last}"]
    lines = [
        f"{package['name']} {package['version']} is vulnerable: {vulnerability['id']}, "
        f"mended in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    found = len(lines)
    if unknown := [package["name"] for package in packages if "skip_reason" in package]:
        lines.append(not_audited(f"its database knows nothing of {len(unknown)} of {len(packages)} packages"))
    return int(found > 0), lines or [f"pip-audit: {len(packages)} packages, no known vulnerability"]


def not_audited(why: str) -> str:
    return f"*** NOT AUDITED for known vulnerabilities (pip-audit): {why} ***"


if __name__ == "__main__":
    sys.exit(main())
