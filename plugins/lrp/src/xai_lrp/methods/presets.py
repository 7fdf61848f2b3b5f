"""Published configurations: composites with other defaults."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from xai_lrp.methods.composites import ByKind, EpsilonAlpha2Beta1, EpsilonPlus


class EpsilonPlusFlat(EpsilonPlus):
    """Flat in the first layer, z-plus in convolutions, epsilon in linear layers (Lapuschkin et al. 2019)."""

    flat_by_default = 1


class EpsilonAlpha2Beta1Flat(EpsilonAlpha2Beta1):
    """Flat in the first layer, alpha2-beta1 in convolutions, epsilon in linear layers (Lapuschkin et al. 2019)."""

    flat_by_default = 1


class Preset(ByKind):
    """The presets of iNNvestigate take a larger epsilon."""

    def __init__(
        self,
        model: nn.Module,
        *,
        epsilon: float = 0.1,
        bias: str = "absorb",
        epsilon_relative: float = 0.0,
        flat_until: int | str | None = None,
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            model,
            epsilon=epsilon,
            bias=bias,
            epsilon_relative=epsilon_relative,
            flat_until=flat_until,
            structure=structure,
        )


class PresetA(Preset, EpsilonPlus):
    """Preset A of iNNvestigate: alpha1-beta0 in convolutions, a large epsilon in linear layers (Alber et al. 2019)."""


class PresetAFlat(PresetA):
    """Preset A of iNNvestigate with the flat rule in the first layer (Alber et al. 2019)."""

    flat_by_default = 1


class PresetB(Preset, EpsilonAlpha2Beta1):
    """Preset B of iNNvestigate: alpha2-beta1 in convolutions, a large epsilon in linear layers (Alber et al. 2019)."""


class PresetBFlat(PresetB):
    """Preset B of iNNvestigate with the flat rule in the first layer (Alber et al. 2019)."""

    flat_by_default = 1
