"""Laws of the house that a program can check: who imports whom, late imports, sizes, settings."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "arraylib"

# From the bottom up: a module may import what stands in its own line or above it in this list. The
# longest prefix of a module's name that is listed is its place.
LAYERS = [
    ["collector", "errors", "holders", "config", "on_demand", "device", "record", "scopes",
     "spans", "version"],
    ["dtypes"],
    ["tree"],
    ["hlo.axes", "hlo.interpret", "hlo.ir", "hlo.opdef", "hlo.split"],
    ["hlo.processes"],
    ["hlo.ops", "hlo.schur"],
    ["hlo.batch", "hlo.checks", "hlo.cost", "hlo.custom_calls", "hlo.fingerprint", "hlo.mlir",
     "hlo.module", "hlo.outline", "hlo.parallel", "hlo.pretty", "hlo.runners", "hlo.same",
     "hlo.verify"],
    ["hlo.passes"],
    ["hlo.evaluation", "hlo.html", "hlo.programs"],
    ["hlo"],
    ["reports"],
    ["tile"],
    ["sharding.mesh", "sharding.named", "sharding.spec"],
    ["sharding"],
    ["backends.cpu.machine", "backends.cpu.memory", "backends.cpu.block",
     "backends.cpu.objects", "backends.cpu.sources"],
    ["backends.interface"],
    ["backends.lower"],
    ["backends.reference", "backends.cpu"],
    ["backends"],
    ["compile"],
    ["hlo.__main__", "hlo.command"],
    ["numpy"],
    ["dispatch"],
    ["operators"],
    ["array"],
    ["launch"],
    ["tracing"],
    ["ad", "ad_checkpoint", "cache", "checkify", "custom_batching", "custom_derivatives", "debug",
     "export", "files", "flatten_util", "lax", "memory", "nn", "ops", "profiler", "random", "ref",
     "stages", "test_util", "tree_util", "transfer", "typing"],
    ["experimental", "image", "optim"],
    ["scipy"],
    ["as_jax"],
    [""],
]

# Modules that import a library inside a function, because it is heavy or optional: module, library.
LATE = {
    ("backends.cpu.processor", "llvmlite"),
    ("reports.drawing", "matplotlib"),
}

# What users' programs see of arrays, which only the type checker imports: module, what it imports.
FOR_TYPES = {("numpy.promotion", "array")}

LINES = 600
LONG = set()  # no file may be longer than LINES but these


def _name(file: Path) -> str:
    """`hlo.ir` for arraylib/hlo/ir.py, `hlo` for arraylib/hlo/__init__.py, "" for the top."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_name(file): file for file in sorted(ROOT.rglob("*.py"))}
SOURCES = {name: ast.parse(file.read_text(), str(file)) for name, file in FILES.items()}


def _imports(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    """Every import statement below `tree`, with the full name of each thing it imports."""
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def _imports_for_types(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    """The imports below `if TYPE_CHECKING:`."""
    return [
        found
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for found in _imports(node)
    ]


def _ours(imported: str) -> str | None:
    """The module of ours that holds the imported thing; None for other libraries."""
    parts = imported.split(".")
    if parts[0] != "arraylib":
        return None
    while ".".join(parts[1:]) not in FILES:
        parts.pop()
    return ".".join(parts[1:])


def _place(module: str) -> int:
    """The line of LAYERS that the module stands in."""
    parts = module.split(".")
    for length in range(len(parts), -1, -1):
        prefix = ".".join(parts[:length])
        for place, layer in enumerate(LAYERS):
            if prefix in layer:
                return place
    raise AssertionError(module)


def _dependencies(module: str, run: bool = False) -> set[str]:
    imports = _imports(SOURCES[module])
    if run:
        for_types = [statement for statement, _ in _imports_for_types(SOURCES[module])]
        imports = [pair for pair in imports if pair[0] not in for_types]
    found = {_ours(imported) for _, imported in imports}
    return {name for name in found if name is not None and name != module}


@pytest.mark.parametrize("module", FILES)
def test_imports_point_downward(module):
    above = {name for name in _dependencies(module) if _place(name) > _place(module)
             and (module, name) not in FOR_TYPES}
    assert not above, f"arraylib.{module} imports what stands above it: {above}"


def test_every_layer_is_listed():
    top = {name.split(".")[0] for name in FILES}
    assert top <= {name.split(".")[0] for layer in LAYERS for name in layer}


def test_no_cycles():
    """Among the imports that are executed; those for the type checker alone may go both ways."""
    graphlib.TopologicalSorter({name: _dependencies(name, run=True) for name in FILES}).prepare()


@pytest.mark.parametrize("module", FILES)
def test_no_late_imports(module):
    functions = [
        node
        for node in ast.walk(SOURCES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    for function in functions:
        for statement, imported in _imports(function):
            library = imported.split(".")[0]
            allowed = library != "arraylib" and (module, library) in LATE
            assert allowed, f"{FILES[module]}:{statement.lineno}: import {imported} in a function"


def test_the_list_of_late_imports_is_up_to_date():
    for module, library in LATE:
        assert library in {name.split(".")[0] for _, name in _imports(SOURCES[module])}


@pytest.mark.parametrize("module", FILES)
def test_files_are_short(module):
    lines = len(FILES[module].read_text().splitlines())
    assert (lines <= LINES) != (module in LONG), f"{FILES[module]} has {lines} lines"


@pytest.mark.parametrize("module", [name for name in FILES if name != "config"])
def test_only_config_reads_the_environment(module):
    for node in ast.walk(SOURCES[module]):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
        assert name not in {"environ", "environb", "getenv", "putenv"}, (
            f"{FILES[module]}:{node.lineno}: the environment is read in config.py"
        )


@pytest.mark.parametrize("module", FILES)
def test_modules_say_what_they_are_for(module):
    empty = not SOURCES[module].body
    assert empty or ast.get_docstring(SOURCES[module]), f"{FILES[module]} has no docstring"
