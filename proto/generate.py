"""Writes generated/ from proto/, or checks that it is fresh.

    python proto/generate.py            writes what has changed, removes what is left over
    python proto/generate.py --check    changes nothing; exit code 1 if a file is stale

For every proto below proto/: messages (`_pb2`), services (`_pb2_grpc`), their types (`.pyi`, for sync and async
callers) and a `py.typed`; and one descriptor set of everything, imports and comments included, for reflection, buf,
grpcurl and ghz. The output depends on the protos and the pinned tools alone.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
GENERATED = ROOT / "generated"

# Code of grpcio-tools 1.80.0 runs on protobuf 6.33 and 7; that of 1.85 refuses 6. The others shape the types and the
# descriptor set.
TOOLS = {"grpcio-tools": "1.80.0", "mypy-protobuf": "5.1.0", "googleapis-common-protos": "1.76.0"}

DESCRIPTOR_SET = "optin/v1/optin.binpb"

# Not imported by our protos, but sent with every error: with these in the set, grpcurl prints the details.
ERROR_PROTOS = ["google/rpc/error_details.proto", "google/rpc/status.proto"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes generated/ from proto/.")
    parser.add_argument("--check", action="store_true", help="compare only; exit code 1 if a file is stale")
    arguments = parser.parse_args()

    if problem := wrong_tools():
        print(problem, file=sys.stderr)
        return 1

    with tempfile.TemporaryDirectory() as folder:
        try:
            generate(Path(folder))
        except subprocess.CalledProcessError:
            return 1  # protoc has said why
        fresh = read_tree(Path(folder))
    present = read_tree(GENERATED)
    stale = {
        name: "missing" if name not in present else "left over" if name not in fresh else "outdated"
        for name in sorted(fresh.keys() | present.keys())
        if fresh.get(name) != present.get(name)
    }

    if arguments.check:
        if stale:
            listed = ", ".join(f"{name} ({state})" for name, state in stale.items())
            print(f"generated/ does not match proto/: {listed}. Run `python proto/generate.py`.", file=sys.stderr)
        return 1 if stale else 0

    for name, state in stale.items():
        path = GENERATED / name
        if state == "left over":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fresh[name])
        print(f"{'removed' if state == 'left over' else 'wrote'} generated/{name}")
    return 0


def wrong_tools() -> str | None:
    """One sentence about the first tool that is not the pinned one."""
    for tool, wanted in TOOLS.items():
        try:
            found = version(tool)
        except PackageNotFoundError:
            found = "none"
        if found != wanted:
            return f"proto/generate.py needs {tool} {wanted} and found {found}: pip install {tool}=={wanted}"
    return None


def generate(out: Path) -> None:
    """Generates everything into an empty folder."""
    protos = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    services = [name for name in protos if re.search(r"^service ", (PROTO / name).read_text(), re.MULTILINE)]

    protoc(protos, f"--python_out={out}", f"--mypy_out=quiet:{out}")
    protoc(services, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}")
    for folder in {(out / name).parent for name in protos}:
        (folder / "py.typed").touch()  # in each package, since what is above them are namespaces
    protoc(
        protos + ERROR_PROTOS,
        f"--descriptor_set_out={out / DESCRIPTOR_SET}",
        "--include_imports",
        "--include_source_info",
    )


def protoc(protos: list[str], *options: str) -> None:
    googleapis = distribution("googleapis-common-protos").locate_file("")  # where google/api and google/rpc lie
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{googleapis}", *plugins, *options, *protos]
    subprocess.run(command, check=True)


def read_tree(root: Path) -> dict[str, bytes]:
    """The generated files below a folder: those of our packages, whose top folders are those below proto/."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for top in PROTO.iterdir()
        if top.is_dir()
        for path in (root / top.name).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }


if __name__ == "__main__":
    sys.exit(main())
