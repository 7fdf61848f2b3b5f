"""What xai-gradients brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.1"


def _method(name: str, cls: str, summary: str, *sources: str, aliases: tuple[str, ...] = ()) -> MethodSpec:
    return MethodSpec(
        name=f"gradients.{name}",
        target=f"xai_gradients.methods:{cls}",
        summary=summary,
        family="gradient",
        aliases=aliases,
        sources=sources,
    )


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        _method(
            "saliency",
            "Saliency",
            "Gradient of the output with respect to the input; signed, absolute or squared.",
            "Baehrens et al. 2010",
            "Simonyan et al. 2014, sec. 3",
            aliases=("gradient", "vanilla_gradient"),
        ),
        _method(
            "sensitivity",
            "Sensitivity",
            "Squared gradient: how strongly the output reacts to each input (sensitivity analysis).",
            "Baehrens et al. 2010",
            "Simonyan et al. 2014, sec. 3",
            aliases=("sensitivity_analysis", "squared_gradient"),
        ),
        _method(
            "input_x_gradient",
            "InputXGradient",
            "Gradient times input: the contributions of a model that is linear around the input.",
            "Shrikumar et al. 2016",
            aliases=("input_t_gradient", "gradient_x_input", "lrp.z_baseline"),
        ),
        _method(
            "guided_backprop",
            "GuidedBackprop",
            "Gradient that passes a ReLU only where both its input and the gradient are positive.",
            "Springenberg et al. 2015, sec. 3.4",
            aliases=("guided_backpropagation", "GuidedBackprop"),
        ),
        _method(
            "deconvnet",
            "Deconvnet",
            "Gradient that passes a ReLU only where the gradient itself is positive.",
            "Zeiler & Fergus 2014, sec. 2.1",
            aliases=("deconvolution", "DeconvNet"),
        ),
    ]
