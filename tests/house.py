"""The rules of the house, as functions from a file's text to its violations. tests/test_house.py applies them."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent

SOURCES = {".py", ".pyi", ".cpp", ".hpp", ".cu", ".cuh", ".cmake"}
CPP = {".cpp", ".hpp", ".cu", ".cuh"}
MAX_LINES = 400
MAX_MODULE_LINES = 40

CPP_FLOORS = {"metric": 1, "rips": 2, "persistence": 3}
BINDINGS, FACE, NN, TOP, ROOF = 4, 5, 6, 7, 8
HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "ripser", "pandas"}
LAZY_MARK = "# house: lazy"
# The roof imports these lazily; each is for one library's users, whose base class it needs.
MAY_IMPORT = {"python/adabet_fast/transformer.py": "sklearn"}

# No file may speak of one machine's folders, or of where packages are fetched from.
MACHINE_PATH = r"(?<![\w.:/~<\[\]*+)}-])/(?!(?:usr|bin|proc|sys|dev|path)/)\w+/[\w.-]+"
PACKAGE_INDEX = r"(?i)--(?:extra-)?index[-]url|--find[-]links|/simpl[e]/"
FORBIDDEN_CPP = {
    r"#\s*include\s*<(iostream|cstdio|stdio\.h|print)>": "printing",
    r"\b(std::(cout|cerr|clog)|printf|fprintf|puts|fputs|putchar|perror)\b": "printing",
    r"\b(exit|_exit|_Exit|quick_exit|abort|terminate|assert)\s*\(": "ending the process",
    r"#\s*pragma\s+omp\b": "OpenMP",
    r"\btarget_clones\b": "target_clones",
}
INTRINSICS = r"\b_mm(256|512)?_(?!getcsr\b|setcsr\b)\w+|#\s*include\s*<arm_neon\.h>"
MAY_USE_INTRINSICS = {"cpp/adabet/metric/fused_emulation.hpp"}  # a fused multiply-add by SSE2: compilers do not find it
CUDA_CHOICE = r"#\s*(if|ifdef|ifndef|elif)\b.*(CUDA|NVCC)"
CUDA_CODE = r"(#\s*include\s*<(cuda|cub/|thrust/)|\bcuda[A-Z]\w+\s*\(|\b__global__\b|<<<)"
PYTHON_IN_CPP = r"#\s*include\s*[<\"](pybind11/|Python\.h|numpy/)"


def files() -> list[str]:
    """Paths of all files that are tracked or about to be, from the root; without git (an sdist), of all sources."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        trees = (ROOT / tree for tree in ("bench", "cmake", "cpp", "python", "tests"))
        found = [
            path.relative_to(ROOT).as_posix() for tree in trees for path in tree.rglob("*") if path.suffix in SOURCES
        ]
    return sorted(name for name in found if (ROOT / name).is_file())


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def violations(path: str, text: str) -> list[str]:
    """Everything in the file that the house does not allow, each as `path:line: what`."""
    pure = PurePosixPath(path)
    found = [*words(path, text)]
    if pure.suffix in SOURCES:
        found += sizes(path, text)
    if pure.parts[0] == "cpp" and pure.suffix in CPP:
        found += cpp(path, text)
    if pure.parts[:2] == ("python", "adabet_fast") and pure.suffix in {".py", ".pyi"}:
        found += python(path, text)
    return found


def words(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in ((MACHINE_PATH, "a machine's folder"), (PACKAGE_INDEX, "a package index")):
            if found := re.search(pattern, line):
                yield f"{path}:{number}: speaks of {what}: {found[0]}"


def sizes(path: str, text: str) -> Iterator[str]:
    limit = MAX_MODULE_LINES if path == "cpp/bindings/module.cpp" else MAX_LINES
    lines = len(text.splitlines())
    if lines > limit:
        yield f"{path}:{lines}: has {lines} lines, at most {limit} are allowed"


def without_comments(text: str) -> str:
    """C++ with comments and the insides of string literals blanked; lines keep their numbers."""
    token = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'", re.DOTALL)

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        if found[0] in "\"'":
            before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            return found if re.match(r"\s*#\s*include", before) else found[0] * 2
        return "\n" * found.count("\n")

    return token.sub(blank, text)


def cpp_floor(path: str) -> int | None:
    """The floor of a file, or of an include, by its folder below cpp/; None where there is no such folder."""
    parts = PurePosixPath(path).parts
    if parts[0] == "bindings":
        return BINDINGS
    if parts[0] != "adabet" or len(parts) < 2:
        return None
    return 0 if len(parts) == 2 else CPP_FLOORS.get(parts[1])


def cpp(path: str, text: str) -> Iterator[str]:
    inside = PurePosixPath(path).relative_to("cpp").as_posix()
    floor = cpp_floor(inside)
    if floor is None:
        yield f"{path}:1: stands on no floor"
        return
    may_cuda = floor in (CPP_FLOORS["metric"], CPP_FLOORS["rips"])
    if PurePosixPath(path).suffix in {".cu", ".cuh"} and not may_cuda:
        yield f"{path}:1: CUDA only in metric and rips"

    for number, line in enumerate(without_comments(text).splitlines(), 1):
        where = f"{path}:{number}"
        for pattern, what in FORBIDDEN_CPP.items():
            if re.search(pattern, line):
                yield f"{where}: {what}"
        if path not in MAY_USE_INTRINSICS and re.search(INTRINSICS, line):
            yield f"{where}: intrinsics (write plain loops, see isa.hpp)"
        if floor != BINDINGS and re.search(PYTHON_IN_CPP, line):
            yield f"{where}: Python only in cpp/bindings"
        if PurePosixPath(path).name != "host_device.hpp" and re.search(CUDA_CHOICE, line):
            yield f"{where}: CUDA is chosen by file, not by #if"
        if not may_cuda and re.search(CUDA_CODE, line):
            yield f"{where}: CUDA only in metric and rips"
        if include := re.match(r"\s*#\s*include\s*\"([^\"]+)\"", line):
            yield from include_violations(where, inside, floor, include.group(1))


def include_violations(where: str, inside: str, floor: int, target: str) -> Iterator[str]:
    if floor == BINDINGS and not target.startswith(("adabet/", "bindings/")):
        target = (PurePosixPath(inside).parent / target).as_posix()
    target_floor = cpp_floor(target)
    if target_floor is None:
        yield f'{where}: includes "{target}", which is on no floor (paths start at cpp/: "adabet/...")'
    elif target_floor > floor:
        yield f'{where}: includes "{target}" of floor {target_floor} from floor {floor}'


def python_floor(module: str) -> int:
    """The floor of a module of the package, by its full dotted name."""
    parts = module.split(".")
    if parts[0] in {"bench", "tests"}:
        return TOP
    if len(parts) == 1:
        return ROOF
    return {"_core": BINDINGS, "nn": NN, "__main__": TOP, "cli": TOP}.get(parts[1], FACE)


def module_name(path: str) -> str:
    parts = PurePosixPath(path).relative_to("python").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: str, tree: ast.AST) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Each import with the full dotted name that it takes; `from x import y` gives x.y."""
    module = module_name(path)
    package = module if path.endswith(("__init__.py", "__init__.pyi")) else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node, f"{base}.{alias.name}"


def is_module(name: str) -> bool:
    """Whether a dotted name of the package is a file or a folder in it (and not something that a module defines)."""
    below = ROOT / "python" / Path(*name.split("."))
    return name == "adabet_fast._core" or below.is_dir() or below.with_suffix(".py").is_file()


def runs_at_import(tree: ast.Module) -> set[ast.AST]:
    """The nodes that run when the module is imported: outside functions, and outside `if TYPE_CHECKING`."""
    running: set[ast.AST] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        running.add(node)
        if not is_type_checking(node):
            waiting += [
                child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.FunctionDef | ast.Lambda)
            ]
        elif isinstance(node, ast.If):
            waiting += node.orelse
    return running


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def python(path: str, text: str) -> Iterator[str]:
    module = module_name(path)
    floor = python_floor(module)
    if floor == ROOF:  # adabet_fast/__init__.py may name everything; tests/test_import.py sees that it is lazy
        return
    tree = ast.parse(text)
    running = runs_at_import(tree)
    only_types = {inner for node in ast.walk(tree) if is_type_checking(node) for inner in ast.walk(node)}
    lines = text.splitlines()

    for node, name in imports(path, tree):
        where = f"{path}:{node.lineno}"
        top = name.split(".")[0]
        if top in {"bench", "tests"}:
            yield f"{where}: imports {name} from the package"
        if top == "adabet_fast":
            target = name if is_module(name) else name.rpartition(".")[0]
            if python_floor(target) > floor:
                yield f"{where}: imports {name} of floor {python_floor(target)} from floor {floor}"
        if top in HEAVY and not path.endswith(".pyi"):
            if top == "torch" and floor not in (NN, TOP):
                if node not in only_types and LAZY_MARK not in lines[node.lineno - 1]:
                    yield f"{where}: torch only in nn/ (or lazily, marked `{LAZY_MARK}`)"
            elif top not in ("torch", MAY_IMPORT.get(path)) and node in running:
                yield f"{where}: {top} is imported when the module is; import it where it is used"
