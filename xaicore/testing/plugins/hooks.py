"""Whether what the hooks of a plugin return holds: statuses, targets, commands, names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

from xaicore.plugins import CommandSpec, MethodSpec, MetricSpec, RendererSpec, Status, resolve
from xaicore.plugins.hooks import call_hooks
from xaicore.testing.checks import interface, require
from xaicore.testing.plugins.subject import PluginSubject


@interface
def loads(subject: PluginSubject) -> str:
    """The plugin is in order, and brings something."""
    info = subject.info
    require(info.status is Status.OK, f"it is {info.status.in_words}: {info.cause_and_fix}")
    require(bool(subject.specs), f"no hook of {subject.module} returns anything.")
    return f"{len(subject.specs)} descriptions"


@interface
def hooks_repeat(subject: PluginSubject) -> None:
    """Asked again, the hooks return the same."""
    module = import_module(subject.module)
    first, second = call_hooks(module), call_hooks(module)
    changed = [hook for hook in first if first[hook] != second[hook]]
    require(not changed, f"asked twice, {', '.join(changed)} returned different lists: return constant data.")


@interface
def targets_resolve(subject: PluginSubject) -> str:
    """Every import string leads to something."""
    strings = [getattr(spec, field, "") for spec in subject.specs for field in ("target", "example", "measure")]
    for string in filter(None, strings):
        resolve(string)
    return f"{len(set(filter(None, strings)))} targets"


@interface
def commands_help(subject: PluginSubject) -> None:
    """Each command is a click command, and says what it does."""
    for spec in subject.specs:
        if isinstance(spec, CommandSpec):
            command = resolve(spec.target)
            require(isinstance(command, click.Command), f"the command {spec.name!r} is {command!r}: no click.Command.")
            require(bool((command.help or "").strip()), f"the command {spec.name!r} has no help: write a docstring.")


@interface
def names_are_free(subject: PluginSubject) -> None:
    """No alias is that of another installed plugin, where it would only make both ambiguous."""
    registry = subject.registry
    every: Sequence[MethodSpec | MetricSpec | RendererSpec]
    for every in (registry.methods(), registry.metrics(), registry.renderers()):
        for spec in (each for each in every if each in subject.specs):
            for other in (each for each in every if each.namespace != spec.namespace):
                shared = {*spec.aliases} & {*other.aliases, other.name}
                require(
                    not shared,
                    f"{spec.name} has the alias {', '.join(sorted(shared))}, and so has {other.name}: by that name "
                    "neither is found. Choose another.",
                )
