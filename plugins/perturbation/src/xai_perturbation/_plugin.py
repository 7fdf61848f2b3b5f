"""What xai-perturbation brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.2"


def _method(
    name: str,
    target: str,
    summary: str,
    *sources: str,
    aliases: tuple[str, ...] = (),
    inputs: tuple[str, ...] = ("image", "tabular", "text", "series"),
    example: str = "",
) -> MethodSpec:
    return MethodSpec(
        name=f"perturbation.{name}",
        target=f"xai_perturbation.{target}",
        summary=summary,
        family="perturbation",
        aliases=aliases,
        inputs=inputs,
        sources=sources,
        example=f"xai_perturbation.examples:{example}" if example else "",
    )


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        _method(
            "occlusion",
            "occlusion:Occlusion",
            "What the output loses when a window, a superpixel or a feature is covered.",
            "Zeiler & Fergus 2014, sec. 4.2",
            aliases=("feature_ablation", "Occlusion", "FeatureAblation"),
        ),
        _method(
            "lime",
            "lime:Lime",
            "Weights of a linear model fitted to the output around the sample (LIME).",
            "Ribeiro et al. 2016",
            aliases=("LIME", "Lime"),
            example="few_samples",
        ),
        _method(
            "kernel_shap",
            "kernel_shap:KernelShap",
            "Shapley values by weighted linear regression on coalitions (Kernel SHAP).",
            "Lundberg & Lee 2017, sec. 4.1",
            aliases=("kernelshap", "KernelShap", "shap"),
            example="few_samples",
        ),
        _method(
            "shapley_sampling",
            "shapley_sampling:ShapleySampling",
            "Shapley values by random orders in which features appear.",
            "Strumbelj & Kononenko 2010",
            "Castro et al. 2009",
            aliases=("shapley_values", "shapley_value_sampling", "ShapleyValueSampling"),
            example="few_orders",
        ),
        _method(
            "permutation",
            "permutation:Permutation",
            "What the output loses when a feature is exchanged between samples.",
            "Breiman 2001",
            "Fisher et al. 2019",
            aliases=("feature_permutation", "permutation_importance", "FeaturePermutation"),
        ),
        _method(
            "prediction_difference",
            "prediction_difference:PredictionDifference",
            "How much evidence the output loses when a patch is replaced by what it could have been.",
            "Robnik-Sikonja & Kononenko 2008",
            "Zintgraf et al. 2017",
            aliases=("prediction_difference_analysis", "pda"),
            example="few_fillings",
        ),
        _method(
            "rise",
            "rise:Rise",
            "Mean of random smooth masks, weighted by the output that each of them leaves (RISE).",
            "Petsiuk et al. 2018",
            aliases=("RISE",),
            example="few_masks",
            inputs=("image", "series"),
        ),
        _method(
            "mask",
            "learned_mask:LearnedMask",
            "The smallest smooth mask that destroys or keeps the output, learnt by gradient descent.",
            "Fong & Vedaldi 2017",
            "Fong et al. 2019",
            aliases=("meaningful_perturbation", "extremal_perturbation", "learned_mask"),
            example="few_steps",
            inputs=("image", "series"),
        ),
    ]
