"""What became of an installed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from xaicore.plugins.cores import core_range, disagreement


class Status(StrEnum):
    """What became of an installed plugin."""

    OK = "ok"
    DISABLED = "disabled"  # by an environment switch; not imported
    INCOMPATIBLE = "incompatible"  # written for another version of the plugin interface
    CONFLICT = "conflict"  # claims a namespace or command that is taken
    BROKEN = "broken"  # fails to import, raises, exits, or returns what no hook returns

    @property
    def in_words(self) -> str:
        """What a sentence says that a plugin is: "in conflict"."""
        return "in conflict" if self is Status.CONFLICT else str(self)


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """An installed plugin and what became of it.

    Parameters
    ----------
    namespace, distribution, version : of the entry point and its distribution.
    status, cause, fix : what became of it; why it is not `ok`, and what to do about it.
    module, folder : the module that holds its hooks, and where its distribution is installed.
    api : the interface version that its module states; "" where it was not imported.
    requires : the versions of xaicore that its metadata asks for, ">=0.1,<1"; "" where it does not say.
    brings : how many methods, mappings, metrics, renderers and commands it brings, of what it brings any.
    load_time : seconds.
    """

    namespace: str
    distribution: str
    version: str
    status: Status
    cause: str = ""
    fix: str = ""
    module: str = ""
    folder: str = ""
    api: str = ""
    requires: str = ""
    brings: Mapping[str, int] = field(default_factory=dict, hash=False)
    load_time: float = 0.0
    error: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def label(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def cause_and_fix(self) -> str:
        """Both as sentences: "... is broken: " goes before them."""
        return " ".join(f"{text.rstrip('.')}." for text in (self.cause, self.fix) if text)

    @property
    def contents(self) -> str:
        """What it brings, in words: "23 methods, 1 mapping"."""
        counted = ((number, noun if number > 1 else noun.removesuffix("s")) for noun, number in self.brings.items())
        return ", ".join(f"{number} {noun}" for number, noun in counted)

    @property
    def cores(self) -> str:
        """The versions of xaicore that it fits, ">=0.1,<1"; "" where that is not known."""
        return core_range(self.api) or self.requires

    @property
    def warning(self) -> str:
        """What speaks against a plugin that works: its metadata asks for another xaicore; "" where nothing does."""
        return disagreement(self.requires) if self.status is Status.OK else ""
