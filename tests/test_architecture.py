"""The shape of the server: who may import whom, and how long things may get.

Nothing is imported here: each rule is a function from one module's source to what breaks the rule,
as lines that begin with file:line. Below the rules, each is shown to fail where it should.
"""

import ast
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import resolve_name
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("server", "optin", "tests")
DATABASES = ("sqlalchemy", "alembic", "aiosqlite", "asyncpg", "sqlite3")
WIRE = ("grpc", "grpc_health", "grpc_status", "google")
SIBLINGS = ("storage", "carrier", "api", "web")
MAX_FUNCTION_LINES = 70
MAX_MODULE_LINES = 300


@dataclass(frozen=True, kw_only=True)
class Layer:
    ours: tuple[str, ...]  # what it may import of our own, itself apart
    never: tuple[str, ...] = ()  # what it may not import of others
    third_party: bool = True


LAYERS = {
    "domain": Layer(ours=(), third_party=False),
    "service": Layer(ours=("server.domain",), never=DATABASES + WIRE),
    "storage": Layer(ours=("server.domain",), never=WIRE),
    "carrier": Layer(ours=("server.domain", "optin.carrier"), never=DATABASES),
    "api": Layer(ours=("server.domain", "server.service", "optin"), never=DATABASES),
    "web": Layer(ours=("server.domain", "server.service"), never=DATABASES),
    "commands": Layer(ours=("server", "optin")),  # they serve and call alike
    "top level": Layer(ours=("server",)),  # app.py, cli.py, config.py, ...
}


@dataclass(frozen=True, kw_only=True)
class Module:
    path: PurePosixPath  # from the root: server/api/errors.py
    source: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source, str(self.path))))

    @property
    def layer(self) -> str:
        folders = self.path.parts[1:-1]
        return folders[0] if folders else "top level"

    def at(self, line: int, complaint: str) -> str:
        return f"{self.path}:{line}: {complaint}"


def modules(root: Path) -> list[Module]:
    """Return every module of the server below a root."""
    return [
        Module(path=PurePosixPath(file.relative_to(root).as_posix()), source=file.read_text())
        for file in sorted((root / "server").rglob("*.py"))
    ]


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the full dotted name of all that a module imports, wherever in it."""
    package = ".".join(module.path.parts[:-1])
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def unknown_layers(module: Module) -> Iterator[str]:
    if module.layer not in LAYERS:
        yield module.at(1, f"server/{module.layer}/ is no layer of the architecture")


def stray_imports(module: Module) -> Iterator[str]:
    name, layer = module.layer, LAYERS[module.layer]
    ours = (f"server.{name}", *layer.ours)
    for line, imported in imports(module):
        if is_in(imported, OURS):
            if not is_in(imported, ours):
                yield module.at(line, f"{name} may not import {imported}, of ours only {', '.join(ours)}")
        elif not layer.third_party and not is_in(imported, tuple(sys.stdlib_module_names)):
            yield module.at(line, f"{name} may not import {imported}, only the standard library")
        elif is_in(imported, layer.never):
            yield module.at(line, f"{name} may not import {imported}, nor any of {', '.join(layer.never)}")


def long_functions(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield module.at(node.lineno, f"{node.name} has {lines} lines, {MAX_FUNCTION_LINES} are allowed")


def long_modules(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > MAX_MODULE_LINES:
        yield module.at(lines, f"the module has {lines} lines, {MAX_MODULE_LINES} are allowed")


def prints(module: Module) -> Iterator[str]:
    if module.path.parts[1] in ("cli.py", "commands"):
        return
    for node in module.nodes:
        if isinstance(node, ast.Name) and node.id == "print":
            yield module.at(node.lineno, "print belongs to server/cli.py and server/commands/")


# What the server is held to.

SERVER = modules(ROOT)
Rule = Callable[[Module], Iterator[str]]


def assert_none_breaks(rule: Rule, held: list[Module]) -> None:
    broken = [complaint for module in held for complaint in rule(module)]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_imports_only_what_it_may(name: str) -> None:
    assert_none_breaks(stray_imports, [module for module in SERVER if module.layer == name])


@pytest.mark.parametrize("rule", [unknown_layers, long_functions, long_modules, prints])
def test_the_server_keeps_the_rule(rule: Rule) -> None:
    assert_none_breaks(rule, SERVER)


def test_the_server_is_what_is_looked_at() -> None:
    assert "server/domain/__init__.py" in {str(module.path) for module in SERVER}


# That each rule can fail.


def snippet(path: str, source: str) -> Module:
    return Module(path=PurePosixPath(path), source=source)


def function(lines: int) -> str:
    return "@decorated\n@twice\nasync def f():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(("importer", "imported"), list(itertools.permutations(SIBLINGS, 2)))
def test_siblings_that_import_one_another_are_found(importer: str, imported: str) -> None:
    module = snippet(f"server/{importer}/x.py", f"import os\nfrom server.{imported}.y import z\n")
    assert [line.split(",")[0] for line in stray_imports(module)] == [
        f"server/{importer}/x.py:2: {importer} may not import server.{imported}.y.z"
    ]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("server/domain/x.py", "import pydantic"),
        ("server/domain/x.py", "import server"),
        ("server/domain/x.py", "from server import *"),
        ("server/domain/x.py", "from server.service import y"),
        ("server/domain/x.py", "from .. import storage"),
        ("server/domain/__init__.py", "from ..storage import y"),
        ("server/domain/deep/x.py", "from ...storage.y import z"),
        ("server/domain/x.py", "def f():\n    import grpc"),
        ("server/domain/x.py", "if TYPE_CHECKING:\n    from server.config import Settings"),
        ("server/domain/x.py", "from optin.v1 import a_pb2"),
        ("server/domain/x.py", "from tests.support import ports"),
        ("server/service/x.py", "import sqlalchemy.exc"),
        ("server/service/x.py", "from grpc import StatusCode"),
        ("server/service/x.py", "from google.protobuf import message"),
        ("server/service/x.py", "from server.storage import y"),
        ("server/service/x.py", "import optin"),
        ("server/storage/x.py", "import server.service.y"),
        ("server/storage/x.py", "import optin.v1.a_pb2"),
        ("server/storage/x.py", "import grpc.aio"),
        ("server/storage/x.py", "import server.storages"),
        ("server/carrier/x.py", "from optin.v1 import a_pb2"),
        ("server/carrier/x.py", "from server import service"),
        ("server/carrier/x.py", "import sqlite3"),
        ("server/api/x.py", "from server import app"),
        ("server/api/x.py", "from ..config import Settings"),
        ("server/api/x.py", "from sqlalchemy import select"),
        ("server/web/x.py", "from optin.v1 import a_pb2"),
        ("server/web/x.py", "import asyncpg"),
        ("server/app.py", "from optin.v1 import a_pb2"),
        ("server/commands/x.py", "from tests.support import client"),
    ],
)
def test_a_stray_import_is_found(path: str, source: str) -> None:
    [complaint] = stray_imports(snippet(path, source))
    assert complaint.startswith(f"{path}:{len(source.splitlines())}: ")
    assert " may not import " in complaint


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("server/domain/x.py", "import collections.abc\nfrom . import y\nfrom server.domain.z import w"),
        ("server/domain/deep/x.py", "from ..y import z"),
        ("server/service/x.py", "import stamina\nimport structlog\nfrom server.domain import y\nfrom . import z"),
        ("server/storage/x.py", "import sqlalchemy\nfrom ..domain import y"),
        ("server/carrier/x.py", "import grpc\nfrom optin.carrier.v1 import a_pb2\nfrom server.domain import y"),
        ("server/api/x.py", "import grpc\nfrom optin.v1 import a_pb2\nfrom server import domain, service"),
        ("server/web/x.py", "import html\nfrom server import domain, service"),
        ("server/app.py", "from server import api, carrier, config, domain, service, storage, web\nfrom .api import y"),
        ("server/commands/x.py", "from server import app\nfrom ..storage import y\nfrom optin.v1 import a_pb2"),
    ],
)
def test_an_import_within_the_rule_is_left_alone(path: str, source: str) -> None:
    assert list(stray_imports(snippet(path, source))) == []


def test_a_folder_that_is_no_layer_is_found() -> None:
    assert list(unknown_layers(snippet("server/utils/x.py", ""))) == [
        "server/utils/x.py:1: server/utils/ is no layer of the architecture"
    ]
    assert list(unknown_layers(snippet("server/storage/migrations/x.py", ""))) == []


def test_a_long_function_is_found_and_its_decorators_are_not_counted() -> None:
    assert list(long_functions(snippet("server/app.py", function(70)))) == []
    assert list(long_functions(snippet("server/app.py", function(71)))) == [
        "server/app.py:3: f has 71 lines, 70 are allowed"
    ]


def test_a_long_method_is_found() -> None:
    method = "class C:\n    def f(self):\n" + "        pass\n" * 70
    assert list(long_functions(snippet("server/app.py", method))) == ["server/app.py:2: f has 71 lines, 70 are allowed"]


def test_a_long_module_is_found() -> None:
    assert list(long_modules(snippet("server/app.py", "\n" * 300))) == []
    assert list(long_modules(snippet("server/app.py", "\n" * 301))) == [
        "server/app.py:301: the module has 301 lines, 300 are allowed"
    ]


@pytest.mark.parametrize("source", ["\nprint('here')", "def f():\n    print()", "x = 1\nsay = print"])
def test_a_print_is_found(source: str) -> None:
    assert list(prints(snippet("server/api/cli.py", source))) == [
        "server/api/cli.py:2: print belongs to server/cli.py and server/commands/"
    ]


@pytest.mark.parametrize("path", ["server/cli.py", "server/commands/key.py"])
def test_a_command_may_print(path: str) -> None:
    assert list(prints(snippet(path, "print('here')"))) == []


def test_every_module_below_the_server_is_found(tmp_path: Path) -> None:
    for name in ("server/app.py", "server/storage/migrations/x.py", "tests/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("import os")
    assert modules(tmp_path) == [
        snippet("server/app.py", "import os"),
        snippet("server/storage/migrations/x.py", "import os"),
    ]
