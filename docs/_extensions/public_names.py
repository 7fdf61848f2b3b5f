"""Pages of the public names of each package: what their modules list in `__all__`, with their docstrings.

A name that several modules offer is described once, where it is at home: `xaicore.Composite` on the page of
`xaicore.propagation`. The page of `xaicore` itself says where each of its names is described, and links to them as
`xaicore.Composite` lead there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.environment import BuildEnvironment
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

import xaicore
from xaicore.plugins import plugin_registry

MADE = Path(__file__).resolve().parents[1] / "_generated" / "api"
ROOMS = (
    "errors", "plugins", "graph", "propagation", "engine", "explanation", "analyzers", "scoring", "visualization",
    "reports", "studies", "testing", "cli.commands",
)  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("public", name_in_text)
    app.connect("builder-inited", make_pages)
    app.connect("missing-reference", find_at_home)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make_pages(app: Sphinx) -> None:
    """Write a page for each module with public names, and a page that lists these."""
    described: dict[int, str] = {}
    core = [f"xaicore.{room}" for room in ROOMS]
    pages = dict(_pages([*core, *_packages()], described))
    front = _front_page(xaicore, described)
    index = _index(["xaicore", *pages])
    MADE.mkdir(parents=True, exist_ok=True)
    written = {f"{name}.rst": text for name, text in {**pages, "xaicore": front, "index": index}.items()}
    for page in MADE.glob("*.rst"):
        if page.name not in written:
            page.unlink()
    for name, text in written.items():
        page = MADE / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:  # else Sphinx would read it again
            page.write_text(text, encoding="utf-8")


def name_in_text(
    role: str, raw: str, text: str, line: int, inliner: Inliner, options: Any = None, content: Any = ()
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Link `package.name` and `Class` in a docstring; a bare `word` is a parameter or an option, and just code."""
    if "." in text or text[:1].isupper():
        return PyXRefRole()("py:obj", raw, text, line, inliner, options, content)
    return [nodes.literal(text, text)], []


def find_at_home(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.TextElement
) -> nodes.reference | None:
    """Resolve a link to a name of `xaicore` itself, such as `xaicore.Composite`, which is described elsewhere."""
    package, _, name = str(node.get("reftarget", "")).partition(".")
    if node.get("refdomain") != "py" or package != "xaicore" or name not in xaicore.__all__:
        return None
    value = getattr(xaicore, name)
    homes = (f"{module}.{name}" for module in env.domains.python_domain.modules)
    for home in homes:
        found = env.domains.python_domain.objects.get(home)
        if found is not None and _is_shared(value):
            return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contents, home)
    return None


def _packages() -> list[str]:
    """Return the import names of the installed plugins of this repository."""
    infos = [info for info in plugin_registry().plugins() if info.distribution.startswith("xai-")]
    return sorted(info.distribution.replace("-", "_") for info in infos)


def _pages(modules: list[str], described: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Yield the page of each module, and then of the modules that are themselves public names."""
    waiting = list(modules)
    for name in waiting:  # grows
        module = import_module(name)
        lines = [_title(name), f".. automodule:: {name}", "   :no-members:", "", f".. currentmodule:: {name}", ""]
        for public in _public(module):
            value = getattr(module, public)
            if inspect.ismodule(value):
                if value.__name__ not in waiting and _public(value):
                    waiting.append(value.__name__)
            elif _is_shared(value) and id(value) in described:
                lines += [f"* ``{public}`` is `{described[id(value)]}`.", ""]
            else:
                if _is_shared(value):
                    described[id(value)] = f"{name}.{public}"
                lines += _directive(module, public, value)
        yield name, "\n".join(lines) + "\n"


def _public(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", ()))


def _is_shared(value: Any) -> bool:
    """Whether the same object under another name is the same thing: not so for numbers and strings."""
    return inspect.isclass(value) or inspect.isroutine(value)


def _directive(module: ModuleType, name: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        bases = ["   :show-inheritance:"] if value.__base__ is not object else []
        return [f".. autoclass:: {name}", "   :members:", *bases, ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name}", ""]
    return [f".. py:data:: {name}", "", *(f"   {line}" for line in _said_of(module, name)), ""]


def _said_of(module: ModuleType, name: str) -> list[str]:
    """Return the docstring below a constant, from the file of the package that defines it."""
    folder = Path(module.__file__ or "").parent
    for path in sorted(folder.glob("*.py")):
        home = module.__name__ if path.stem == "__init__" else f"{module.__name__}.{path.stem}"
        try:
            said = ModuleAnalyzer.for_module(home).find_attr_docs().get(("", name))
        except PycodeError:
            continue
        if said:
            return said
    return []


def _front_page(module: ModuleType, described: dict[int, str]) -> str:
    lines = [_title("xaicore"), ".. automodule:: xaicore", "   :no-members:", ""]
    lines += [".. list-table::", "   :widths: 30 70", ""]
    for name in _public(module):
        value = getattr(module, name)
        home = value.__name__ if inspect.ismodule(value) else described.get(id(value), "")
        said = (inspect.getdoc(value) or "").partition("\n")[0] if home else " ".join(_said_of(module, name))
        link = f":py:obj:`{name} <{home}>`" if home else f"``{name}``"
        lines += [f"   * - {link}", f"     - {said}"]
    return "\n".join(lines) + "\n"


def _index(modules: list[str]) -> str:
    entries = [f"   {name}" for name in modules]
    return "\n".join([_title("Public names"), ".. toctree::", "   :maxdepth: 1", "", *entries]) + "\n"


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"
