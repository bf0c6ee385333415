"""The OpenAPI document holds: requests made from it, good and bad, get no 500 and no answer that it does not allow."""

import re
import subprocess
import sys
from pathlib import Path

from tests.server.process import served

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with served(tmp_path, "--http-port", "0", "--log-level", "error") as server:
        [base] = re.findall(r"^  http +(http://\S+)/docs$", server.stdout, re.MULTILINE)
        done = subprocess.run(
            [
                SCHEMATHESIS,
                "run",
                f"{base}/api/v1/openapi.json",
                f"--checks={CHECKS}",
                "--phases=examples,coverage,fuzzing",
                "--max-examples=5",
                "--generation-deterministic",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    selected, tested = re.findall(r"(?:Selected|Tested): (\d+)", done.stdout)[:2]
    assert selected.partition("/")[0] == tested
    assert int(tested) > 20
    assert "unresolvable" not in done.stdout
