"""What a new plugin may be called."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Collection
from dataclasses import dataclass

from xaicore.errors import ParameterError
from xaicore.plugins import KNOWN_PACKAGES, plugin_registry
from xaicore.plugins.known import NAMESPACE_ALIASES

LONGEST = 32
_PREFIX = re.compile(r"xai[-_]", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_OURS = ("core", "xai", "xaicore")
"""Namespaces that would be taken for the core's own."""


@dataclass(frozen=True)
class Names:
    """One name in its three spellings.

    Attributes
    ----------
    namespace : str
        Of what the plugin brings: ``foo_bar`` in ``foo_bar.method``.
    """

    namespace: str

    @property
    def distribution(self) -> str:
        """What pip installs: ``xai-foo-bar``."""
        return f"xai-{self.namespace.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python imports: ``xai_foo_bar``."""
        return f"xai_{self.namespace}"


def names_of(name: str) -> Names:
    """Read a name as a person writes it: "Foo-Bar", "xai-foo-bar" and "xai_foo_bar" are the same.

    Raises
    ------
    ParameterError
        It cannot be a name of a package and of methods, or it is taken.
    """
    plain = _PREFIX.sub("", name, count=1).lower()
    if not _NAME.fullmatch(plain):
        raise ParameterError(
            f"{name!r} cannot be the name of a plugin: it begins with a letter (a to z) and goes on with letters, "
            "digits and single hyphens, such as 'foo' or 'foo-bar'. The package is then called xai-foo-bar."
        )
    names = Names(plain.replace("-", "_"))
    if keyword.iskeyword(names.namespace):
        raise ParameterError(f"{name!r} is a word of Python itself: choose another name, such as '{plain}-rules'.")
    if len(plain) > LONGEST:
        raise ParameterError(f"{name!r} has {len(plain)} characters: choose a name of at most {LONGEST}.")
    _refuse_taken(names)
    return names


def _refuse_taken(names: Names) -> None:
    first_party = {*KNOWN_PACKAGES, *NAMESPACE_ALIASES, *_OURS}
    installed = {info.namespace: info.label for info in plugin_registry().plugins()}
    if names.namespace in first_party:
        raise ParameterError(f"{names.namespace!r} is a name of xaicore's own plugins: choose another{_such(names)}.")
    if names.namespace in installed:
        owner = installed[names.namespace]
        raise ParameterError(
            f"{names.namespace!r} is the namespace of an installed plugin ({owner}): choose another{_such(names)}. "
            "Of two plugins with one namespace, one is not loaded."
        )
    if importlib.util.find_spec(names.package) is not None:
        raise ParameterError(
            f"A module {names.package!r} can already be imported here: choose another name{_such(names)}."
        )


def _such(names: Names) -> str:
    return f", such as 'my-{names.namespace.replace('_', '-')}'"


def check_line(what: str, text: str, *, without: Collection[str] = ()) -> str:
    """Return a line of text as it is to be written, or refuse it: a name, an address.

    Raises
    ------
    ParameterError
        It is empty, has control characters (line breaks are), or some of the characters that it may not have.
    """
    line = text.strip()
    wrong = [character for character in line if not character.isprintable() or character in without]
    if not line or wrong:
        problem = f"it has the character {wrong[0]!r}" if wrong else "it is empty"
        raise ParameterError(f"{what} {text!r} cannot be written into the metadata of a package: {problem}.")
    return line
