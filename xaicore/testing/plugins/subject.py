"""A plugin on trial: what the registry knows of it, its distribution, and its sources."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from importlib_metadata import PackageNotFoundError, distribution

from xaicore.errors import PluginError, nearest
from xaicore.plugins import Descriptor, PluginInfo, PluginRegistry, plugin_registry
from xaicore.plugins.discovery import CORE, normalized
from xaicore.plugins.surface import surface
from xaicore.testing.checks import Skip
from xaicore.testing.plugins.usage import Usage, usage_of


@dataclass(eq=False)
class PluginSubject:
    """An installed plugin: what the registry knows of it."""

    info: PluginInfo
    registry: PluginRegistry

    @classmethod
    def of(cls, name: str) -> PluginSubject:
        """The installed plugin of this namespace, or of the distribution of this name.

        Raises
        ------
        PluginError
            If there is none.
        """
        registry = plugin_registry()
        names = {info: {normalized(info.namespace), normalized(info.distribution)} for info in registry.plugins()}
        found = [info for info, own in names.items() if normalized(name) in own]
        if not found:
            known = sorted({known for info in registry.plugins() for known in (info.namespace, info.distribution)})
            raise PluginError(
                f"No installed plugin is called {name!r}.{nearest(name, known)} `xaicore plugins` lists what is "
                "installed; one that is being written is installed by `pip install --editable FOLDER`."
            )
        return cls(found[0], registry)

    @property
    def title(self) -> str:
        return f"plugin {self.info.namespace}"

    @property
    def module(self) -> str:
        """The module of its entry point."""
        return self.info.module

    @functools.cached_property
    def specs(self) -> Sequence[Descriptor]:
        """All that it brings."""
        return [spec for spec, info in self.registry.brought() if info is self.info]

    @functools.cached_property
    def folder(self) -> Path:
        """Where its package is."""
        package = self.module.partition(".")[0]
        spec = importlib.util.find_spec(package)
        places = list(spec.submodule_search_locations or []) if spec else []
        if not places or not Path(places[0]).is_dir():
            raise Skip(f"the sources of {package} are in no folder that could be read")
        return Path(places[0])

    @functools.cached_property
    def usage(self) -> Usage:
        """What its sources use of xaicore."""
        if self.info.distribution == CORE:
            raise Skip("this is the core itself")
        return usage_of(self.folder, surface())

    @functools.cached_property
    def distribution(self) -> Any:
        """Its installed distribution."""
        try:
            return distribution(self.info.distribution)
        except PackageNotFoundError as error:
            raise PluginError(f"the metadata of {self.info.distribution} are gone: install it anew") from error

    @property
    def metadata(self) -> Any:
        """Of its distribution: a mapping of fields, `get_all` for those that are repeated."""
        return self.distribution.metadata
