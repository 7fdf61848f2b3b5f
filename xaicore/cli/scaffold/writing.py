"""A package made of templates: rendered first, then written beside its place, then moved there as a whole."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaicore.cli.scaffold.kinds import KINDS, KIT_SINCE
from xaicore.cli.scaffold.names import Names
from xaicore.errors import FileError

if TYPE_CHECKING:
    from jinja2 import Environment

_SUFFIX = ".jinja"
_LICENCES = "licences"
_TEMPLATES = files("xaicore.cli.scaffold") / "templates"


def licences() -> list[str]:
    """The licences that there are texts of, by their SPDX names."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in (_TEMPLATES / _LICENCES).iterdir())


def render_package(
    names: Names, kind: str, *, author: str | None, email: str | None, licence: str, today: datetime.date
) -> dict[str, str]:
    """Return the files of a package: their texts by their paths, with forward slashes.

    Parameters
    ----------
    names : Names
    kind : str
        One of `KINDS`.
    author, email : str, optional
        Without an author, the licence names "the authors of xai-foo" and the metadata nobody.
    licence : str
        One of `licences`.
    today : datetime.date
        Its year is that of the licence.
    """
    chosen = KINDS[kind]
    environment = _environment()
    facts = {
        **{name: getattr(names, name) for name in ("namespace", "distribution", "package")},
        **{name: getattr(chosen, name) for name in ("brings", "api", "dependencies", "for_tests", "exports")},
        "kind": kind,
        "kit_since": KIT_SINCE,
        "author": author,
        "email": email,
        "licence": licence,
        "year": today.year,
    }
    sources = {path: f"{folder}/{path}" for folder in ("common", kind) for path in _paths(_TEMPLATES / folder)}
    sources["LICENSE" + _SUFFIX] = f"{_LICENCES}/{licence}{_SUFFIX}"
    return {
        _own_path(path, names): environment.get_template(source).render(facts)
        for path, source in sorted(sources.items())
    }


def write_package(texts: Mapping[str, str], target: Path) -> None:
    """Write files into a new folder, all of them or none.

    Raises
    ------
    FileError
        The folder is there already and not empty, or cannot be written.
    """
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise FileError(f"{target} is there already, and nothing is overwritten: choose another name, or --folder.")
    try:
        # Beside its place, so that moving it there is one step. Whatever happens before, the context clears it away.
        with tempfile.TemporaryDirectory(prefix=".new-plugin-", dir=target.parent) as beside:
            made = Path(beside) / target.name
            for path, text in texts.items():
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
            if target.exists():
                target.rmdir()  # it is empty; not every system moves a folder onto one
            made.rename(target)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {error.strerror or error}.") from error


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("xaicore.cli.scaffold"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = _quoted
    return environment


def _quoted(value: Any) -> str:
    """A string as TOML and Python write it."""
    return json.dumps(str(value), ensure_ascii=False)


def _paths(folder: Traversable, prefix: str = "") -> list[str]:
    """The files below a folder of templates."""
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _paths(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            found.append(prefix + entry.name)
    return found


def _own_path(path: str, names: Names) -> str:
    # "dot_": a file .gitignore among the templates would be obeyed.
    own = path.removesuffix(_SUFFIX).replace("PACKAGE", names.package).replace("NAMESPACE", names.namespace)
    return "/".join(part.replace("dot_", ".", 1) if part.startswith("dot_") else part for part in own.split("/"))
