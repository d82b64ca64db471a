"""The hand-written stub of the native module against the signatures in the module's own docstrings.

stubtest alone passes wrong names, defaults and types here, since pybind11's functions have no `__signature__`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adabet_fast import _core

STUB = Path(__file__).resolve().parent.parent / "python" / "adabet_fast" / "_core.pyi"


def typed_dicts(stub: Path) -> list[str]:
    classes = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if any("TypedDict" in ast.unparse(base) for base in node.bases)]


# What pybind11 writes for an argument that it converts.
CONVERTED = [
    (re.compile(r"(typing\.)?SupportsInt \| (typing\.)?SupportsIndex"), "int"),
    (re.compile(r"(typing\.)?SupportsFloat \| (typing\.)?SupportsIndex"), "float"),
    (re.compile(r"(typing\.)?Supports(Int|Index)\b"), "int"),
    (re.compile(r"(typing\.)?SupportsFloat\b"), "float"),
]
VAGUE = {"object", "Any"}

# What a stub may say more exactly than pybind11 does.
LOOSE = {"NDArray": "ndarray", **dict.fromkeys(typed_dicts(STUB), "dict")}

Signatures = dict[str, list[ast.FunctionDef]]


def parse_line(line: str) -> ast.FunctionDef:
    """`f(x: int = 1) -> float` as a function without a body."""
    for pattern, name in CONVERTED:
        line = pattern.sub(name, line)
    node = ast.parse(f"def {line}: ...").body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def lines_of(item: Any, name: str) -> list[str]:
    """The signature lines that pybind11 puts at the head of a docstring; one for each overload."""
    doc = item.__doc__ or ""
    numbered = re.findall(rf"^\d+\. ({re.escape(name)}\(.*)$", doc, re.MULTILINE)
    first = doc.partition("\n")[0]
    return numbered or ([first] if first.startswith(f"{name}(") else [])


def native_signatures(module: ModuleType) -> Signatures:
    found: Signatures = {}

    def look(owner: Any, prefix: str) -> None:
        for name, item in vars(owner).items():
            inner = item.__func__ if isinstance(item, staticmethod) else item
            if isinstance(inner, type):
                if not issubclass(inner, BaseException):
                    look(inner, f"{name}.")
            elif isinstance(inner, property):
                if lines := re.match(r"\(.*", inner.fget.__doc__ or ""):
                    found[prefix + name] = [parse_line(name + lines.group())]
            elif callable(inner) and (many := lines_of(inner, name)):
                found[prefix + name] = [parse_line(line) for line in many]

    look(module, "")
    return found


def stub_signatures(text: str) -> Signatures:
    found: Signatures = {}

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                found.setdefault(prefix + node.name, []).append(node)

    look(ast.parse(text).body, "")
    return found


def parameters(function: ast.FunctionDef, method: bool) -> list[tuple[str, str, ast.expr | None, ast.expr | None]]:
    """Each parameter as (kind, name, type, default)."""
    args = function.args
    positional = [("positional-only", a) for a in args.posonlyargs] + [("positional", a) for a in args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    found = [(kind, a.arg, a.annotation, d) for (kind, a), d in zip(positional, defaults, strict=True)]
    if method and found and found[0][1] == "self":
        found = found[1:]
    if args.vararg:
        found.append(("*args", args.vararg.arg, None, None))
    found += [("keyword-only", a.arg, a.annotation, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    if args.kwarg:
        found.append(("**kwargs", args.kwarg.arg, None, None))
    return found


def plain(type_: ast.expr) -> str:
    """A type without the modules of its names: numpy.typing.NDArray[numpy.float32] is NDArray[float32]."""
    return re.sub(r"\b(\w+\.)+(?=\w)", "", ast.unparse(type_))


def same_type(native: ast.expr | None, stub: ast.expr | None) -> bool:
    if native is None or stub is None:
        return native is stub
    a, b = plain(native), plain(stub)
    if a in VAGUE or a == b:
        return True
    if "[" not in a:  # pybind11 says no more than `tuple`, `dict`, `ndarray`
        head = b.partition("[")[0]
        return a == LOOSE.get(head, head) and "|" not in b
    return sorted(a.split(" | ")) == sorted(b.split(" | "))


def same_default(native: ast.expr | None, stub: ast.expr | None) -> bool:
    if native is None or stub is None:
        return native is stub
    try:
        return bool(ast.literal_eval(native) == ast.literal_eval(stub))
    except ValueError:  # no literal: inf, an enumerator
        return ast.unparse(native) == ast.unparse(stub) or ast.unparse(stub) == "..."


def differences(native: Signatures, stub: Signatures) -> list[str]:
    found = [f"{name}: in the module, not in the stub" for name in native.keys() - stub.keys()]
    # A class without constructors has pybind11's, which raises and has no signature of its own.
    unknown = {name for name in stub.keys() - native.keys() if not name.endswith(".__init__")}
    found += [f"{name}: in the stub, not in the module" for name in unknown]
    for name in sorted(native.keys() & stub.keys()):
        if len(native[name]) != len(stub[name]):
            found.append(f"{name}: {len(native[name])} overloads in the module, {len(stub[name])} in the stub")
        for there, here in zip(native[name], stub[name], strict=False):
            mine, theirs = parameters(here, "." in name), parameters(there, "." in name)
            if [p[:2] for p in theirs] != [p[:2] for p in mine]:
                found.append(f"{name}: the module has ({describe(theirs)}), the stub ({describe(mine)})")
                continue
            for (_, parameter, type_a, default_a), (_, _, type_b, default_b) in zip(theirs, mine, strict=True):
                if not same_type(type_a, type_b):
                    found.append(f"{name}: {parameter} is {show(type_a)} in the module, {show(type_b)} in the stub")
                if not same_default(default_a, default_b):
                    found.append(
                        f"{name}: {parameter} = {show(default_a)} in the module, {show(default_b)} in the stub"
                    )
            if not same_type(there.returns, here.returns):
                found.append(f"{name}: returns {show(there.returns)} in the module, {show(here.returns)} in the stub")
    return sorted(found)


def describe(found: list[tuple[str, str, ast.expr | None, ast.expr | None]]) -> str:
    return ", ".join(f"{kind} {name}" for kind, name, _, _ in found)


def show(node: ast.expr | None) -> str:
    return "absent" if node is None else ast.unparse(node)


def test_the_stub_says_what_the_module_does() -> None:
    native = native_signatures(_core)
    assert {"betti1", "betti1_batch", "h1", "pairwise_distances"} <= native.keys()
    found = differences(native, stub_signatures(STUB.read_text(encoding="utf-8")))
    assert not found, "\n" + "\n".join(found)


NATIVE = "f(x: object, *, n: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float32]"
GOOD = "def f(x: Points, *, n: int = 1) -> npt.NDArray[np.float32]: ..."


@pytest.mark.parametrize(
    ("stub", "expected"),
    [
        (GOOD, []),
        (GOOD.replace("x:", "y:"), ["the stub (positional y"]),
        (GOOD.replace("*, ", ""), ["positional n"]),
        (GOOD.replace("x: Points, *", "*, x: Points"), ["keyword-only x"]),
        (GOOD.replace("n: int = 1", "n: int = 2"), ["n = 1 in the module, 2 in the stub"]),
        (GOOD.replace("n: int = 1", "n: int"), ["n = 1 in the module, absent in the stub"]),
        (GOOD.replace("n: int", "n: float"), ["n is int in the module, float in the stub"]),
        (GOOD.replace("float32", "float64"), ["returns"]),
        (GOOD.replace("f(", "g("), ["f: in the module, not in the stub", "g: in the stub, not in the module"]),
        (f"@overload\n{GOOD}\n@overload\n{GOOD}", ["1 overloads in the module, 2 in the stub"]),
    ],
)
def test_a_wrong_stub_is_found(stub: str, expected: list[str]) -> None:
    found = differences({"f": [parse_line(NATIVE)]}, stub_signatures(stub))
    assert len(found) == len(expected), found
    assert all(part in line for part, line in zip(expected, found, strict=True)), found
