"""The methods of xai-lrp as plain data; nothing heavy is imported."""

from __future__ import annotations

from xaicore.plugins import MethodSpec

BACH = "Bach et al. 2015"
DEEP_TAYLOR = "Montavon et al. 2017"
PRESETS = "Lapuschkin et al. 2017"
CLEVER_HANS = "Lapuschkin et al. 2019"
OVERVIEW = "Montavon et al. 2019"
INNVESTIGATE = "Alber et al. 2019"
BEST_PRACTICE = "Kohlbrenner et al. 2020"
GENERALIZED = "Andeol et al. 2021"


def _method(
    name: str, cls: str, summary: str, *sources: str, aliases: tuple[str, ...] = (), example: str = ""
) -> MethodSpec:
    return MethodSpec(
        name=f"lrp.{name}",
        target=f"xai_lrp.methods:{cls}",
        summary=summary,
        family="relevance",
        aliases=aliases,
        sources=sources,
        example=f"xai_lrp.examples:{example}" if example else "",
    )


SINGLE_RULES = [
    _method("zero", "Zero", "Shares relevance in proportion to contributions.", f"{BACH}, eq. 56", aliases=("z",)),
    _method("epsilon", "Epsilon", "LRP-0 with a stabilizer that absorbs weak contributions.", f"{BACH}, eq. 58"),
    _method("gamma", "Gamma", "Favours positive contributions by raising positive weights.", f"{OVERVIEW}, sec. 10.2"),
    _method(
        "generalized_gamma",
        "GeneralizedGamma",
        "Favours contributions that have the sign of the output.",
        GENERALIZED,
    ),
    _method(
        "alpha_beta",
        "AlphaBeta",
        "Weighs positive contributions by alpha, negative by -beta.",
        f"{BACH}, eq. 60",
    ),
    _method(
        "alpha_1_beta_0",
        "Alpha1Beta0",
        "Alpha-beta that keeps positive contributions only.",
        f"{BACH}, eq. 60",
        aliases=("alpha1_beta0",),
    ),
    _method(
        "alpha_2_beta_1",
        "Alpha2Beta1",
        "Alpha-beta that shows negative contributions too.",
        f"{BACH}, eq. 60",
        aliases=("alpha2_beta1",),
    ),
    _method(
        "z_plus",
        "ZPlus",
        "Shares relevance in proportion to positive contributions.",
        DEEP_TAYLOR,
        aliases=("z_plus_fast",),
    ),
    _method(
        "excitation_backprop",
        "ExcitationBackprop",
        "Along positive weights, from inputs that are active.",
        "Zhang et al. 2016",
        aliases=("ExcitationBackprop",),
    ),
    _method("flat", "Flat", "Spreads relevance evenly over the inputs of each neuron.", CLEVER_HANS),
    _method("w_square", "WSquare", "Shares relevance in proportion to squared weights.", DEEP_TAYLOR),
]
"""One rule in every convolution and linear layer."""

COMPOSITES = [
    _method(
        "z_box",
        "ZBox",
        "For inputs between two bounds, such as pixels: z-box first, z-plus after.",
        DEEP_TAYLOR,
        example="bounds",
    ),
    _method(
        "epsilon_plus",
        "EpsilonPlus",
        "Epsilon in linear layers, z-plus in convolutions.",
        PRESETS,
        BEST_PRACTICE,
        aliases=("EpsilonPlus",),
    ),
    _method(
        "epsilon_plus_flat",
        "EpsilonPlusFlat",
        "Epsilon-plus with the flat rule in the first layer.",
        CLEVER_HANS,
        BEST_PRACTICE,
        aliases=("EpsilonPlusFlat",),
    ),
    _method(
        "epsilon_gamma_box",
        "EpsilonGammaBox",
        "Epsilon in linear layers, gamma in convolutions, z-box in the first layer.",
        f"{OVERVIEW}, sec. 10.3",
        aliases=("EpsilonGammaBox",),
        example="bounds",
    ),
    _method(
        "epsilon_alpha2_beta1",
        "EpsilonAlpha2Beta1",
        "Epsilon in linear layers, alpha-2-beta-1 in convolutions.",
        PRESETS,
        BEST_PRACTICE,
        aliases=("EpsilonAlpha2Beta1",),
    ),
    _method(
        "epsilon_alpha2_beta1_flat",
        "EpsilonAlpha2Beta1Flat",
        "Epsilon-alpha-2-beta-1 with the flat rule in the first layer.",
        CLEVER_HANS,
        BEST_PRACTICE,
        aliases=("EpsilonAlpha2Beta1Flat",),
    ),
    _method(
        "preset_a",
        "PresetA",
        "A large epsilon in linear layers, alpha-1-beta-0 in convolutions.",
        PRESETS,
        INNVESTIGATE,
        aliases=("sequential_preset_a", "composite_a"),
    ),
    _method(
        "preset_a_flat",
        "PresetAFlat",
        "Preset A with the flat rule in the first layer.",
        CLEVER_HANS,
        INNVESTIGATE,
        aliases=("sequential_preset_a_flat", "composite_a_flat"),
    ),
    _method(
        "preset_b",
        "PresetB",
        "A large epsilon in linear layers, alpha-2-beta-1 in convolutions.",
        PRESETS,
        INNVESTIGATE,
        aliases=("sequential_preset_b", "composite_b"),
    ),
    _method(
        "preset_b_flat",
        "PresetBFlat",
        "Preset B with the flat rule in the first layer, or until a chosen one.",
        CLEVER_HANS,
        INNVESTIGATE,
        aliases=("sequential_preset_b_flat", "composite_b_flat", "sequential_preset_b_flat_until_idx"),
    ),
    _method(
        "cmp",
        "Cmp",
        "LRP-CMP: epsilon in linear layers, alpha-beta in convolutions.",
        BEST_PRACTICE,
        aliases=("lrp_cmp",),
    ),
    _method(
        "composite",
        "UserComposite",
        "Rules of your own choice, as an xaicore.Composite.",
        OVERVIEW,
        example="composite",
    ),
]
"""Different rules in different layers."""
