"""The house keeps its shape: rooms in the order of the loop, arrows one way, sizes, names."""

from __future__ import annotations

import ast
import re
import statistics
from functools import cache
from pathlib import Path

import pytest

import oneloop
from oneloop.tasks import ALIASES, TASKS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "oneloop"
FILES = sorted(PACKAGE.rglob("*.py"))
LOOP = "diagnose → read → check → encode → model → train → evaluate → report → ship"
FOUNDATION = {"errors", "keyed", "commit", "lock", "fingerprint", "safeyaml", "recipe", "recipe_values", "recipe_aliases", "__version__"}
# a room -> the rooms it may use besides itself and the foundation
MAY_USE = {
    "diagnose": {"tasks", "read", "encode", "model", "measure"},  # its checks count tokens and read tags as these rooms do
    "read": {"tasks"},
    "encode": {"tasks", "read", "measure"},
    "model": {"tasks"},
    "measure": {"tasks", "model"},
    "tasks": {"read", "encode", "model", "measure"},
    "engines": {"loop", "parts", "model", "measure"},
    "ship": {"diagnose", "read", "encode", "model", "measure", "tasks"},
    "search": {"read", "encode", "model", "measure", "tasks"},
    "samples": set(),
    "loop": {"model", "parts"},
    "parts": {"loop", "measure", "model"},
}
USES_SHIP = {"cli", "run", "finish", "seeds", "demo", "testing", "ship", "oneloop"}
AMBIGUOUS = {"summarization", "translation", "retrieval", "chunking", "pos", "ner", "qa", "mlm", "clm"}  # words of their own too


def room(path: Path) -> str:
    """`oneloop/read/table.py` -> read; `oneloop/loop.py` -> loop; `oneloop/__init__.py` -> oneloop."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "oneloop" if parts[0] == "__init__" else parts[0]


@cache
def imported(tree: ast.Module) -> tuple[str, ...]:
    """Dotted names of this package that a module imports, anywhere but under TYPE_CHECKING."""
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    typing_only = {id(inner) for node in guarded for inner in ast.walk(node)}
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == "oneloop"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "oneloop":
            found += [f"oneloop.{alias.name}" for alias in node.names] if node.module == "oneloop" else [str(node.module)]
    return tuple(found)


@cache
def parsed() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in FILES]


# ---- the same order everywhere ------------------------------------------------------------------------
def test_readme_docstring_and_docs_name_the_rooms_in_the_order_of_the_loop() -> None:
    words = LOOP.split(" → ")
    assert LOOP in (ROOT / "README.md").read_text(encoding="utf-8")
    assert LOOP in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"# (\w+) {2,}", oneloop.__doc__ or "") == words


def test_the_docstring_is_the_loop_in_twelve_lines() -> None:
    assert len((oneloop.__doc__ or "").split("\n\n")[1].splitlines()) <= 12


def test_every_room_stands_in_the_architecture_page_and_every_name_there_exists() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    named = re.findall(r"^  (\S+?)/?  ", tree, re.M)
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(named) == there
    rooms = [name for name in named if (PACKAGE / name).is_dir()]
    assert [name for name in rooms if name in {"diagnose", "read", "encode", "model", "measure", "tasks", "ship"}] == [
        "diagnose",
        "read",
        "encode",
        "model",
        "measure",
        "tasks",
        "ship",
    ]


def test_tests_mirror_the_package() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    tested = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert tested <= rooms | {"faults", "toys", "examples"}


# ---- arrows point one way -------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MAY_USE)
def test_a_room_uses_only_what_stands_before_it(name: str) -> None:
    wrong = []
    for path, tree in parsed():
        if room(path) == name:
            used = {module.split(".")[1] for module in imported(tree) if "." in module}
            wrong += [f"{path.relative_to(ROOT)} imports {other}" for other in used - FOUNDATION - MAY_USE[name] - {name}]
    assert not wrong


def test_the_foundation_knows_no_room() -> None:
    known = FOUNDATION | {"tasks"}  # the recipe asks the table of tasks for their names and fields
    for path, tree in parsed():
        if room(path) in FOUNDATION:
            assert {module.split(".")[1] for module in imported(tree) if "." in module} <= known, path


def test_only_the_run_and_the_command_line_use_ship_and_nobody_uses_the_command_line() -> None:
    for path, tree in parsed():
        used = {module.split(".")[1] for module in imported(tree) if "." in module}
        assert "ship" not in used or room(path) in USES_SHIP, path
        assert "cli" not in used or room(path) == "__main__", path


def test_the_loop_knows_no_task_and_touches_no_file() -> None:
    tree = ast.parse((PACKAGE / "loop.py").read_text(encoding="utf-8"))
    assert not [module for module in imported(tree) if "tasks" in module]
    calls = {ast.unparse(node.func).split(".")[-1] for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"open", "print", "write", "save", "save_pretrained", "write_text", "write_bytes", "dump"}


def test_outside_tasks_nothing_asks_which_task_it_is() -> None:
    names = set(TASKS) | set(ALIASES)
    wrong = []
    for path, tree in parsed():
        if room(path) == "tasks":
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Compare, ast.MatchValue)):
                text = ast.unparse(node)
                values = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
                if values & (names - AMBIGUOUS) or (values & names and "task" in text):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
    assert not wrong


def test_every_task_is_one_file_named_as_the_task() -> None:
    for name, target in TASKS.items():
        module = target.partition(":")[0]
        assert module == f"oneloop.tasks.{name.replace('-', '_')}"
        assert (ROOT / (module.replace(".", "/") + ".py")).exists()


# ---- sizes and habits -----------------------------------------------------------------------------------
def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_sizes_of_files_and_functions() -> None:
    long_files = [
        f"{path.relative_to(ROOT)}: {text} lines" for path in FILES if (text := path.read_text(encoding="utf-8").count("\n")) > 400
    ]
    sizes = [
        (node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
        for path, tree in parsed()
        for node in functions(tree)
    ]
    assert not long_files
    assert not [where for size, where in sizes if size > 60]
    assert statistics.median(size for size, _ in sizes) <= 15


def test_task_files_stay_short() -> None:
    for target in TASKS.values():
        path = ROOT / (target.partition(":")[0].replace(".", "/") + ".py")
        assert path.read_text(encoding="utf-8").count("\n") <= 250, path


def test_no_file_has_a_name_that_says_nothing() -> None:
    everything = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    assert not [path for path in everything if path.stem in {"utils", "util", "helpers", "helper", "misc", "common"}]


def test_every_module_says_what_it_is_and_every_public_function_what_it_does() -> None:
    wrong = [str(path.relative_to(ROOT)) for path, tree in parsed() if not ast.get_docstring(tree)]
    for path, tree in parsed():
        outer = [node for top in tree.body for node in ([top] if not isinstance(top, ast.ClassDef) else top.body)]
        for node in outer:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                if node.returns is None:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has no return annotation")
                if not ast.get_docstring(node) and node.end_lineno - node.lineno >= 6:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has no docstring")
    assert not wrong


def test_nothing_is_left_over() -> None:
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError")
    assert not [
        f"{path}:{n}" for path in FILES for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if pattern.search(line)
    ]


def test_X13_no_text_reaches_a_shell() -> None:
    for path, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert not [word for word in node.keywords if word.arg == "shell"], f"{path}:{node.lineno}"
                assert ast.unparse(node.func) not in {"os.system", "os.popen", "eval", "exec"}, f"{path}:{node.lineno}"


def test_X3_no_file_is_read_or_written_as_a_pickle() -> None:
    """Batches from a worker of the same run come through a pipe, not a file; everything else is forbidden."""
    forbidden = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
    for path, tree in [(path, tree) for path, tree in parsed() if room(path) != "parts"]:
        for node in ast.walk(tree):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not forbidden & {name.split(".")[0] for name in names}, f"{path}:{node.lineno}"
            assert not (isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "torch.save"}), f"{path}:{node.lineno}"


# ---- the pages a stranger sees first ----------------------------------------------------------------------
def test_readme_is_short_and_its_first_command_comes_early() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert min(i for i, line in enumerate(lines, 1) if line.startswith("make ")) <= 25


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_the_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest and newest[1] == oneloop.__version__


def test_every_dependency_is_pinned() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[<>=!\[; ]", one)[0].lower().replace("_", "-") for one in wanted} - {"oneloop"}
    assert names <= pinned
