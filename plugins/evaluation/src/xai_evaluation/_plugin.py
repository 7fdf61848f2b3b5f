"""What xai-evaluation brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MetricSpec, hookimpl

XAICORE_API = "0.2"

XAICORE_EXPECTED_FAILURES = {
    "evaluation.input_invariance": {
        "prefers_the_truth": "input times gradient, exact for a linear model, changes with a shift of the input"
    },
}

_SHARE = (0.0, 1.0)
_POSITIVE = (0.0, None)
_CORRELATION = (-1.0, 1.0)


def _metric(
    name: str,
    target: str,
    summary: str,
    *sources: str,
    better: str,
    bounds: tuple[float | None, float | None] = (None, None),
    needs: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    example: str = "",
) -> MetricSpec:
    return MetricSpec(
        name=f"evaluation.{name}",
        target=f"xai_evaluation.{target}",
        summary=summary,
        higher_is_better=better == "higher",
        sources=sources,
        bounds=bounds,
        needs=needs,
        aliases=aliases,
        example=f"xai_evaluation.examples:{example}" if example else "",
    )


@hookimpl
def xaicore_metrics() -> list[MetricSpec]:
    return [*_faithfulness(), *_robustness(), *_axioms(), *_randomization(), *_localization(), *_complexity()]


def _faithfulness() -> list[MetricSpec]:
    return [
        _metric(
            "pixel_flipping",
            "faithfulness.pixel_flipping:PixelFlipping",
            "Area under the output as patches are replaced, the most relevant first.",
            "Bach et al. 2015, sec. 'Evaluation'",
            "Samek et al. 2017, sec. III",
            better="lower",
            aliases=("PixelFlipping",),
            example="small_patches",
        ),
        _metric(
            "region_perturbation",
            "faithfulness.pixel_flipping:RegionPerturbation",
            "Mean loss of output as regions are replaced, the most relevant first (AOPC).",
            "Samek et al. 2017, eq. 12",
            better="higher",
            aliases=("aopc", "RegionPerturbation"),
            example="small_patches",
        ),
        _metric(
            "selectivity",
            "faithfulness.pixel_flipping:Selectivity",
            "Area under the output as the most relevant patches go, with a new heatmap after each.",
            "Montavon et al. 2018, sec. 7.2",
            better="lower",
            aliases=("Selectivity",),
            example="large_patches",
        ),
        _metric(
            "deletion",
            "faithfulness.insertion_deletion:Deletion",
            "Area under the class probability as pixels are taken away, the most relevant first.",
            "Petsiuk et al. 2018",
            better="lower",
            bounds=_SHARE,
            example="small_patches",
        ),
        _metric(
            "insertion",
            "faithfulness.insertion_deletion:Insertion",
            "Area under the class probability as pixels enter a blurred image, the most relevant first.",
            "Petsiuk et al. 2018",
            better="higher",
            bounds=_SHARE,
            example="small_patches",
        ),
        _metric(
            "sensitivity_n",
            "faithfulness.sensitivity_n:SensitivityN",
            "Correlation of the relevance of random subsets with what the output loses without them.",
            "Ancona et al. 2018, sec. 4",
            better="higher",
            bounds=_CORRELATION,
            aliases=("SensitivityN",),
            example="few_subsets",
        ),
        _metric(
            "infidelity",
            "faithfulness.infidelity:Infidelity",
            "Mean squared error of relevance as a linear model of random perturbations.",
            "Yeh et al. 2019, def. 2.1",
            better="lower",
            bounds=_POSITIVE,
            aliases=("Infidelity",),
            example="few_samples",
        ),
        _metric(
            "faithfulness_correlation",
            "faithfulness.faithfulness_correlation:FaithfulnessCorrelation",
            "Correlation of summed relevance with the loss of output over random subsets of one size.",
            "Bhatt et al. 2020",
            better="higher",
            bounds=_CORRELATION,
            aliases=("FaithfulnessCorrelation",),
            example="few_subsets",
        ),
        _metric(
            "sufficiency",
            "faithfulness.sufficiency:Sufficiency",
            "What the output loses when only the most relevant features are left.",
            "DeYoung et al. 2020, sec. 4",
            better="lower",
            bounds=(-1.0, 1.0),
            example="small_patches",
        ),
    ]


def _robustness() -> list[MetricSpec]:
    return [
        _metric(
            "continuity",
            "robustness.continuity:Continuity",
            "Largest change of relevance by change of input, over neighbours or along a translation.",
            "Montavon et al. 2018, sec. 7.1",
            better="lower",
            bounds=_POSITIVE,
            aliases=("Continuity",),
            example="few_samples",
        ),
        _metric(
            "max_sensitivity",
            "robustness.sensitivity:MaxSensitivity",
            "Largest relative change of relevance within a small ball around the input.",
            "Yeh et al. 2019, sec. 3",
            better="lower",
            bounds=_POSITIVE,
            aliases=("MaxSensitivity",),
            example="few_samples",
        ),
        _metric(
            "average_sensitivity",
            "robustness.sensitivity:AverageSensitivity",
            "Mean relative change of relevance within a small ball around the input.",
            "Yeh et al. 2019",
            better="lower",
            bounds=_POSITIVE,
            aliases=("avg_sensitivity", "AvgSensitivity"),
            example="few_samples",
        ),
        _metric(
            "local_lipschitz",
            "robustness.local_lipschitz:LocalLipschitz",
            "Largest ratio of change of relevance to change of the input nearby.",
            "Alvarez-Melis & Jaakkola 2018",
            better="lower",
            bounds=_POSITIVE,
            aliases=("local_lipschitz_estimate", "LocalLipschitzEstimate"),
            example="few_samples",
        ),
    ]


def _axioms() -> list[MetricSpec]:
    return [
        _metric(
            "completeness",
            "axioms.completeness:Completeness",
            "How far relevance sums from the explained value, or from its difference to a baseline.",
            "Bach et al. 2015, eq. 2",
            "Sundararajan et al. 2017, prop. 1",
            better="lower",
            bounds=_POSITIVE,
            aliases=("conservation", "conservation_gap", "Completeness"),
        ),
        _metric(
            "non_sensitivity",
            "axioms.non_sensitivity:NonSensitivity",
            "Share of features with relevance though the output ignores them, or the other way round.",
            "Nguyen & Rodriguez Martinez 2020",
            better="lower",
            bounds=_SHARE,
            aliases=("NonSensitivity",),
            example="small_patches",
        ),
        _metric(
            "input_invariance",
            "axioms.input_invariance:InputInvariance",
            "Relative change of relevance when inputs are shifted and the model takes it back.",
            "Kindermans et al. 2019",
            better="lower",
            bounds=_POSITIVE,
            aliases=("InputInvariance",),
        ),
    ]


def _randomization() -> list[MetricSpec]:
    return [
        _metric(
            "parameter_randomization",
            "randomization.parameters:ParameterRandomization",
            "How alike heatmaps stay as the layers of the model are randomised.",
            "Adebayo et al. 2018, sec. 3",
            better="lower",
            bounds=_CORRELATION,
            aliases=("mprt", "model_parameter_randomisation", "ModelParameterRandomisation", "MPRT"),
        ),
        _metric(
            "random_logit",
            "randomization.random_logit:RandomLogit",
            "How alike the heatmaps of the explained class and of another class are.",
            "Sixt et al. 2020",
            better="lower",
            bounds=_CORRELATION,
            aliases=("RandomLogit",),
        ),
    ]


def _localization() -> list[MetricSpec]:
    masks = ("masks",)
    return [
        _metric(
            "relevance_mass",
            "localization.mass:RelevanceMass",
            "Share of the relevance that lies on the object.",
            "Arras et al. 2022",
            better="higher",
            bounds=_SHARE,
            needs=masks,
            aliases=("relevance_mass_accuracy", "attribution_localisation", "RelevanceMassAccuracy"),
        ),
        _metric(
            "inside_outside_ratio",
            "localization.mass:InsideOutsideRatio",
            "Mean relevance of a pixel on the object by that of a pixel beside it.",
            "Lapuschkin et al. 2016 (its inverse)",
            better="higher",
            bounds=_POSITIVE,
            needs=masks,
        ),
        _metric(
            "rank_accuracy",
            "localization.ranks:RankAccuracy",
            "Share of the K most relevant pixels that lie on the object of K pixels.",
            "Arras et al. 2022",
            better="higher",
            bounds=_SHARE,
            needs=masks,
            aliases=("relevance_rank_accuracy", "RelevanceRankAccuracy"),
        ),
        _metric(
            "top_k_intersection",
            "localization.ranks:TopKIntersection",
            "Share of the k most relevant pixels that lie on the object.",
            "Theiner et al. 2022",
            better="higher",
            bounds=_SHARE,
            needs=masks,
            aliases=("TopKIntersection",),
        ),
        _metric(
            "pointing_game",
            "localization.ranks:PointingGame",
            "Whether the most relevant pixel lies on the object.",
            "Zhang et al. 2018",
            better="higher",
            bounds=_SHARE,
            needs=masks,
            aliases=("PointingGame",),
        ),
        _metric(
            "localization_auc",
            "localization.ranks:LocalizationAUC",
            "Area under the ROC curve of relevance as a detector of the object's pixels.",
            "Fawcett 2006",
            better="higher",
            bounds=_SHARE,
            needs=masks,
            aliases=("AUC",),
        ),
    ]


def _complexity() -> list[MetricSpec]:
    return [
        _metric(
            "gini",
            "complexity.sparseness:Gini",
            "Gini index of the sizes of relevance: 0 where all are alike, towards 1 where few have all.",
            "Hurley & Rickard 2009, table I",
            "Chalasani et al. 2020",
            better="higher",
            bounds=_SHARE,
            aliases=("sparseness", "Sparseness"),
        ),
        _metric(
            "entropy",
            "complexity.entropy:Entropy",
            "Entropy of how the magnitudes of relevance are distributed over features, in nats.",
            "Bhatt et al. 2020",
            better="lower",
            bounds=_POSITIVE,
            aliases=("complexity", "Complexity"),
        ),
    ]
