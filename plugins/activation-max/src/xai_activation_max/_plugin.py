"""What xai-activation-max brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import CommandSpec, MethodSpec, hookimpl

XAICORE_API = "0.2"


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="activation_max.prototype",
            target="xai_activation_max.search:PrototypeSearch",
            summary="Inputs for which a class, unit, channel or layer is most active, under a prior.",
            family="prototype",
            aliases=("activation_maximization", "ActivationMaximization", "deep_dream"),
            inputs=("image", "series", "tabular"),
            sources=(
                "Erhan et al. 2009",
                "Simonyan et al. 2014, sec. 2",
                "Nguyen et al. 2016",
                "Montavon et al. 2018, sec. 3",
                "Mahendran & Vedaldi 2015",
                "Olah et al. 2017",
            ),
            example="xai_activation_max.examples:short_search",
        )
    ]


@hookimpl
def xaicore_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="prototype",
            target="xai_activation_max.command:prototype",
            summary="Draw what a class, channel or layer of a model looks for.",
        )
    ]
