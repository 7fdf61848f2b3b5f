"""What xai-lrp brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MappingSpec, MethodSpec, hookimpl

XAICORE_API = "0.1"

BACH = "Bach et al. 2015"
DEEP_TAYLOR = "Montavon et al. 2017"
OVERVIEW = "Montavon et al. 2019"
BEST_PRACTICE = "Kohlbrenner et al. 2020"


def _method(name: str, cls: str, summary: str, *sources: str, aliases: tuple[str, ...] = ()) -> MethodSpec:
    return MethodSpec(
        name=f"lrp.{name}",
        target=f"xai_lrp.methods:{cls}",
        summary=summary,
        family="relevance",
        aliases=aliases,
        sources=sources,
    )


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [*_single_rules(), *_composites()]


def _single_rules() -> list[MethodSpec]:
    """One rule in every linear layer."""
    return [
        _method("zero", "Zero", "Shares relevance in proportion to contributions.", f"{BACH}, eq. 56", aliases=("z",)),
        _method("epsilon", "Epsilon", "LRP-0 with a stabilizer that absorbs weak contributions.", f"{BACH}, eq. 58"),
        _method(
            "gamma", "Gamma", "Favours positive contributions by raising positive weights.", f"{OVERVIEW}, sec. 10.2"
        ),
        _method(
            "alpha_beta", "AlphaBeta", "Weighs positive contributions by alpha, negative by -beta.", f"{BACH}, eq. 60"
        ),
        _method(
            "alpha_1_beta_0", "Alpha1Beta0", "Alpha-beta that keeps positive contributions only.", f"{BACH}, eq. 60"
        ),
        _method(
            "alpha_2_beta_1", "Alpha2Beta1", "Alpha-beta that shows negative contributions too.", f"{BACH}, eq. 60"
        ),
        _method("z_plus", "ZPlus", "Shares relevance in proportion to positive contributions.", DEEP_TAYLOR),
        _method("flat", "Flat", "Spreads relevance evenly over the inputs of each neuron.", "Lapuschkin et al. 2019"),
        _method("w_square", "WSquare", "Shares relevance in proportion to squared weights.", DEEP_TAYLOR),
        _method("z_box", "ZBox", "For inputs between two bounds, such as pixels.", DEEP_TAYLOR),
    ]


def _composites() -> list[MethodSpec]:
    """Different rules in different layers."""
    return [
        _method(
            "epsilon_plus",
            "EpsilonPlus",
            "Epsilon in dense layers, z-plus in convolutions.",
            "Lapuschkin et al. 2017",
            BEST_PRACTICE,
            aliases=("EpsilonPlus",),
        ),
        _method(
            "epsilon_gamma_box",
            "EpsilonGammaBox",
            "Epsilon in dense layers, gamma in convolutions, z-box in the first layer.",
            f"{OVERVIEW}, sec. 10.3",
            aliases=("EpsilonGammaBox",),
        ),
        _method(
            "epsilon_alpha2_beta1",
            "EpsilonAlpha2Beta1",
            "Epsilon in dense layers, alpha-2-beta-1 in convolutions.",
            "Lapuschkin et al. 2017",
            BEST_PRACTICE,
            aliases=("EpsilonAlpha2Beta1",),
        ),
        _method("composite", "UserComposite", "Rules of your own choice, as an xaicore.Composite.", OVERVIEW),
    ]


@hookimpl
def xaicore_mappings() -> list[MappingSpec]:
    """How every relevance method passes through layers that have no weights to choose a rule for."""
    return [
        MappingSpec(
            family="relevance",
            kinds=("activation",),
            target="xai_lrp.structure:pass_through",
            summary="element-wise: relevance passes unchanged",
        ),
        MappingSpec(
            family="relevance",
            kinds=("max_pool", "concat", "reshape", "select", "pad", "cast"),
            target="xai_lrp.structure:route",
            summary="relevance follows each value to where it came from",
        ),
        MappingSpec(
            family="relevance",
            kinds=("add", "average_pool", "reduction", "interpolate", "scale"),
            target="xai_lrp.structure:proportional",
            summary="relevance is shared in proportion to contributions",
        ),
        MappingSpec(
            family="relevance",
            kinds=("batch_norm",),
            target="xai_lrp.structure:batch_norm",
            summary="a batch norm that stands alone: epsilon, its shift keeps a share",
        ),
    ]
