"""The group of subcommands, from this package and from plugins; each is imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from xaicore import __version__
from xaicore.errors import PluginError, XaicoreError, nearest
from xaicore.plugins import plugin_registry, resolve
from xaicore.plugins.registry import CORE_COMMANDS

ARGUMENTS = "xaicore.arguments"
"""Under which name the context of click keeps what was typed behind ``xaicore``."""

_SUMMARIES = {
    "audit": "Explain a whole data set: what each class looks at, and strategies that rely on an artefact.",
    "check": "See which mapping handles each layer of a model, before anything runs.",
    "compare": "Explain inputs by several methods, for several classes or models, side by side, and judge them.",
    "demo": "Train a small network on digits and explain its mistakes with every method.",
    "explain": "Explain a model's output for images or arrays.",
    "info": "Show what a method, a metric or a renderer does, its parameters, its sources and an example.",
    "list": "List what is installed: methods, metrics, renderers, mappings for layers, commands of plugins.",
    "check-plugin": "Try a plugin and all that it brings by the conformance kit.",
    "new-plugin": "Write a package for a rule, a method, a metric, a renderer or a mapping of your own.",
    "plugins": "List the installed plugins, whether they work, and if not, why and what to do.",
    "tune": "Find the method and the parameters that explain a model best by a metric.",
}
assert set(_SUMMARIES) == set(CORE_COMMANDS)


class LazyGroup(click.Group):
    """A click group that knows its commands by import string, and shows an `XaicoreError` without traceback."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **extra: Any) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments  # understood before the subcommand and after it
        arguments = [argument for argument in arguments if argument != "--debug"]
        try:
            return super().main(arguments, *others, **extra)
        except XaicoreError as error:
            if debug or not extra.get("standalone_mode", True):
                raise
            click.echo(f"Error: {error}", err=True)
            sys.exit(2)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = list(args)  # for reports, which tell how to make them again
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _SUMMARIES:
            target = f"xaicore.cli.{cmd_name.replace('-', '_')}:command"
        else:
            brought = {spec.name: spec.target for spec in plugin_registry().commands()}
            if cmd_name not in brought:
                return None
            target = brought[cmd_name]
        command = resolve(target)
        if not isinstance(command, click.Command):
            raise PluginError(f"The command {cmd_name!r} is at {target!r}, which is {command!r} and no click.Command.")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            raise click.UsageError(
                f"No such command {name!r}.{nearest(name, known)} Commands are {', '.join(known)}.", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands for `--help` from their summaries, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(self._summaries().items()))

    def _summaries(self) -> dict[str, str]:
        return {**{spec.name: spec.summary for spec in plugin_registry().commands()}, **_SUMMARIES}


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="xaicore")
def cli() -> None:
    """Explain PyTorch models. The methods come from plugins: pip install xai-lrp xai-gradients."""


def main() -> None:
    """Entry point of the `xaicore` command."""
    cli(prog_name="xaicore")
