"""The package as a whole: who imports whom, what importing costs, how long files are."""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess
import sys
import tokenize

import pytest

import backhand
import backhand.run.llvm
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.namespace import Namespace
from backhand.formulas.optimisers import OPTIMISERS

SOURCE = pathlib.Path(backhand.__file__).parent
TESTS = pathlib.Path(__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# Imports go to the own floor or a lower one. What stands on a line may import one another.
FLOORS = (
    {"control_groups", "errors", "files", "memory", "sealed", "__version__"},
    {"testing"},
    {"formulas"},
    {"expr"},
    {"plan"},
    {"run"},
    {"network", "passes", "engines", "layers"},
    {"train"},
    {"preprocess"},
    {"check", "estimators", "tabular", "datasets", "export", "serve", "dask", "report"},
    {"bench"},
    {"cli", "__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
HEAVY = {"sklearn", "llvmlite", "pyarrow", "scipy", "matplotlib", "pooch", "pandas", "torch"}


def module_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path, tree=None):
    """Every module that a file imports, as a tuple of names, wherever the statement stands."""
    package = path.relative_to(SOURCE.parent).parts[:-1]
    for node in ast.walk(tree or ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            # `from ..formulas import noise` names a module by its last part
            yield from ((*base, alias.name) for alias in node.names)


def at_import(path):
    """What a file imports when it is imported: not in functions, not for the type checker."""
    tree = ast.parse(path.read_text("utf-8"))

    later = (ast.FunctionDef, ast.AsyncFunctionDef)

    class Drop(ast.NodeTransformer):
        def visit(self, node):
            if isinstance(node, later):
                return None
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                return None
            return self.generic_visit(node)

    return imports(path, Drop().visit(tree))


def name_of(path):
    return str(path.relative_to(SOURCE))


def of_ours(path):
    return [target for target in imports(path) if target[0] == "backhand" and len(target) > 1]


def test_every_module_stands_on_a_floor():
    assert {module_of(path)[1] for path in FILES if len(module_of(path)) > 1} <= set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_to_lower_floors(path):
    own = module_of(path)
    if len(own) == 1:  # the package itself imports nothing of ours until it is asked
        assert of_ours(path) == []
        return
    for target in of_ours(path):
        assert target[1] in FLOOR, f"{path.name} imports {'.'.join(target)}"
        assert FLOOR[target[1]] <= FLOOR[own[1]], f"{path.name} imports {'.'.join(target)}"


ROOMS = (
    *("tuning", "host", "ir", "machine", "lowering", "kernels", "program", "runtime"),
    "executor",
)
"""The packages and files of `run/llvm`, in the order in which they may import one another."""


def test_rooms_of_the_compiler_import_those_above_them():
    """As the docstring of `backhand.run.llvm` says, which lists them in this order."""
    listed = re.findall(r"^- `(\w+)`:", backhand.run.llvm.__doc__, re.MULTILINE)
    assert tuple(listed) == ROOMS
    for path in sorted((SOURCE / "run" / "llvm").rglob("*.py")):
        own = module_of(path)
        if len(own) < 4:
            continue
        for target in of_ours(path):
            if target[1:3] == ("run", "llvm") and len(target) > 3:
                fits = ROOMS.index(target[3]) <= ROOMS.index(own[3])
                assert fits, f"{'.'.join(own)} imports {'.'.join(target)}"


def test_no_two_files_import_each_other():
    """Directly or through others, wherever the statement stands."""
    modules = {module_of(path): path for path in FILES}
    reads = {}
    for name, path in modules.items():
        found = {target if target in modules else target[:-1] for target in of_ours(path)}
        # a package is a map of its rooms, not a file that others read
        reads[name] = {n for n in found if n in modules and modules[n].name != "__init__.py"}
    for name in modules:
        seen, waiting = set(), [*reads[name]]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += reads[here]
        assert name not in seen, f"{'.'.join(name)} imports itself through others"


def test_executors_never_import_one_another():
    executors = ({"arrays", "array_executor"}, {"llvm"})
    for path in FILES:
        own = module_of(path)
        if own[1:2] != ("run",) or len(own) < 3:
            continue
        for target in of_ours(path):
            if target[1] == "run" and len(target) > 2:
                others = set().union(*(e for e in executors if own[2] not in e))
                assert target[2] not in others, f"{path.name} imports {'.'.join(target)}"


@pytest.mark.parametrize("path", sorted((SOURCE / "formulas").glob("*.py")), ids=name_of)
def test_formulas_need_the_standard_library_alone(path):
    for target in imports(path):
        if target[0] == "backhand":
            assert target[1] in ("formulas", "errors")
        else:
            assert target[0] in sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_packages_are_not_imported_at_import(path):
    own = module_of(path)
    if own[1:2] in {("estimators",), ("tabular",), ("dask",)} or own[1:3] == ("run", "llvm"):
        return  # these are themselves imported when something needs them; see below
    assert HEAVY.isdisjoint(target[0] for target in at_import(path))


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_estimators_loads_as_little_of_scikit_learn_as_fits_need():
    loaded = run("from backhand import MLPClassifier; import sys; print(*sys.modules)").split()
    assert "sklearn.preprocessing" in loaded
    unused = {"sklearn.metrics", "sklearn.model_selection", "sklearn.neural_network", "llvmlite"}
    assert unused.isdisjoint(loaded)


@pytest.mark.parametrize(
    ("code", "ours", "others"),
    [
        ("import backhand", ["backhand"], set()),
        ("from backhand import Network, TrainConfig, fit", None, {"numpy"}),
    ],
)
def test_importing_loads_what_it_needs_and_no_more(code, ours, others):
    """What importing costs, as modules: seconds would be the machine's."""
    new = f"import sys; before = {{*sys.modules}}; {code}; print(*{{*sys.modules}} - before)"
    loaded = run(new).split()
    known = {*sys.stdlib_module_names, "backhand"}
    assert {name.partition(".")[0] for name in loaded} - known == others
    if ours is not None:
        assert [name for name in loaded if name.startswith("backhand")] == ours
    assert len([name for name in loaded if name.partition(".")[0] == "backhand"]) < 70


def test_every_public_name_is_there():
    assert set(backhand.__all__) == set(dir(backhand))
    for name in backhand.__all__:
        assert getattr(backhand, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = backhand.nothing


def words_of_code(path):
    """Words of names and of strings other than docstrings; comments may give examples."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        node.body[0].lineno
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    }
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                continue
            if token.type == tokenize.STRING and token.start[0] in docstrings:
                continue
            for word in re.findall(r"[A-Za-z_]\w*", token.string):
                yield word, token.start[0]


def test_nothing_in_the_compiler_names_a_formula():
    operations = set(vars(Namespace))  # tanh and the like are operations as well
    # a reduction's identity is a word of its own trade
    formulas = {*ACTIVATIONS, *LOSSES, *OPTIMISERS} - operations - {"identity"}
    for path in sorted((SOURCE / "run" / "llvm").rglob("*.py")):
        for word, line in words_of_code(path):
            assert word not in formulas, f"{path.name}:{line} names {word}"


@pytest.mark.parametrize("folder", [SOURCE, TESTS], ids=["src", "tests"])
def test_files_fit_in_a_head(folder):
    lines = {p.name: p.read_text("utf-8").count("\n") for p in folder.rglob("*.py")}
    assert not {name: n for name, n in lines.items() if n > 450}
