"""The methods of this package as data; imports nothing heavy."""

from __future__ import annotations

from xaicore.plugins import MethodSpec


def _method(
    name: str,
    cls: str,
    summary: str,
    *sources: str,
    aliases: tuple[str, ...] = (),
    module: str = "methods",
    inputs: tuple[str, ...] = ("image", "tabular", "text", "series"),
) -> MethodSpec:
    return MethodSpec(
        name=f"gradients.{name}",
        target=f"xai_gradients.{module}:{cls}",
        summary=summary,
        family="gradient",
        aliases=aliases,
        inputs=inputs,
        sources=sources,
    )


METHODS = [
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
    _method(
        "integrated",
        "Integrated",
        "Gradient integrated along the straight path from a baseline, times the difference to it.",
        "Sundararajan et al. 2017",
        aliases=("integrated_gradients", "IntegratedGradients"),
        module="integrated",
    ),
    _method(
        "expected",
        "Expected",
        "Integrated gradients averaged over baselines drawn from data (Expected Gradients, GradientSHAP).",
        "Erion et al. 2021",
        "Lundberg & Lee 2017",
        aliases=("expected_gradients", "gradient_shap", "GradientShap"),
        module="expected",
    ),
    _method(
        "taylor",
        "Taylor",
        "First-order Taylor expansion at a root point near the input (simple Taylor decomposition).",
        "Bach et al. 2015, sec. 2.3",
        "Montavon et al. 2018, sec. 4.1",
        aliases=("simple_taylor", "taylor_decomposition"),
        module="taylor",
    ),
    _method(
        "smooth",
        "Smooth",
        "Gradient averaged over noisy copies of the input; signed, absolute or squared (SmoothGrad).",
        "Smilkov et al. 2017",
        aliases=("smoothgrad", "smooth_grad", "SmoothGrad"),
        module="smooth",
        inputs=("image", "tabular", "series"),
    ),
    _method(
        "variance",
        "Variance",
        "Variance of the gradient over noisy copies of the input (VarGrad).",
        "Adebayo et al. 2018",
        aliases=("vargrad", "var_grad", "VarGrad"),
        module="smooth",
        inputs=("image", "tabular", "series"),
    ),
    _method(
        "grad_cam",
        "GradCam",
        "Feature maps of the last convolution, weighted by their mean gradient (Grad-CAM).",
        "Selvaraju et al. 2017",
        aliases=("gradcam", "GradCAM"),
        module="cam",
        inputs=("image", "series"),
    ),
    _method(
        "grad_cam_plus_plus",
        "GradCamPlusPlus",
        "Grad-CAM with pixel-wise weights of positive gradients (Grad-CAM++).",
        "Chattopadhay et al. 2018",
        aliases=("gradcam_plus_plus", "gradcam++", "GradCAM++"),
        module="cam",
        inputs=("image", "series"),
    ),
    _method(
        "guided_grad_cam",
        "GuidedGradCam",
        "Guided Backprop where Grad-CAM is positive.",
        "Selvaraju et al. 2017, sec. 3.2",
        aliases=("guided_gradcam", "GuidedGradCAM"),
        module="cam",
        inputs=("image", "series"),
    ),
    _method(
        "deeplift",
        "DeepLift",
        "Differences of activations from those of a reference, shared layer by layer (Rescale or RevealCancel).",
        "Shrikumar et al. 2017",
        aliases=("deep_lift", "DeepLIFT"),
        module="deeplift",
    ),
    _method(
        "deep_shap",
        "DeepShap",
        "DeepLIFT averaged over references drawn from data: approximate Shapley values.",
        "Lundberg & Lee 2017, sec. 4.2",
        aliases=("deepshap", "DeepSHAP", "DeepLiftShap"),
        module="deeplift",
    ),
]
