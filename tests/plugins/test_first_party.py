"""What this repository's own plugins promise to the registry."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from xaicore.plugins import PluginRegistry, Status, find_method, resolve
from xaicore.plugins.known import KNOWN_PACKAGES

REGISTRY = PluginRegistry.discover()
METHODS = [
    *("gradients.saliency", "gradients.sensitivity", "gradients.input_x_gradient"),
    *("gradients.guided_backprop", "gradients.deconvnet"),
    *("lrp.zero", "lrp.epsilon", "lrp.gamma", "lrp.alpha_beta", "lrp.alpha_1_beta_0", "lrp.alpha_2_beta_1"),
    *("lrp.z_plus", "lrp.flat", "lrp.w_square", "lrp.z_box", "lrp.epsilon_plus", "lrp.epsilon_gamma_box"),
    *("lrp.epsilon_alpha2_beta1", "lrp.composite"),
    *("deeptaylor.unbounded", "deeptaylor.bounded", "deeptaylor.nonnegative"),
    *("lstm.lrp_all", "lstm.lrp_prop", "lstm.lrp_half"),
    *("patternnet.signal", "patternnet.attribution", "activation_max.prototype"),
]


RENDERERS = [
    *("heatmap", "graymap", "overlay", "gated", "segments", "pattern", "blend", "contours", "projection"),
    *("bars", "waterfall", "summary", "tokens", "series", "channels_time"),
]


@pytest.mark.parametrize("namespace", KNOWN_PACKAGES)
def test_a_first_party_plugin_loads(namespace: str) -> None:
    (info,) = [info for info in REGISTRY.plugins() if info.namespace == namespace]
    assert (info.status, info.cause) == (Status.OK, "")
    assert info.distribution == KNOWN_PACKAGES[namespace]


@pytest.mark.parametrize("name", METHODS)
def test_a_promised_method_exists_and_its_class_can_be_imported(name: str) -> None:
    spec = REGISTRY.find_method(name)
    assert spec.name == name
    assert isinstance(resolve(spec.target), type)
    assert spec.sources
    assert 0 < len(spec.summary) <= 90


@pytest.mark.parametrize("name", RENDERERS)
def test_a_renderer_of_the_core_exists_and_takes_relevance_and_axes(name: str) -> None:
    spec = REGISTRY.find_renderer(name)
    assert spec.name == f"core.{name}" and REGISTRY.provider(spec).distribution == "xaicore"
    parameters = inspect.signature(resolve(spec.target)).parameters
    assert {"relevance", "ax"} <= set(parameters)
    assert not spec.given_as or spec.given_as in parameters
    assert spec.inputs and 0 < len(spec.summary) <= 90
    assert not spec.measure or callable(resolve(spec.measure))


@pytest.mark.parametrize(
    "spec",
    [spec for family in ("relevance", "gradient") for spec, _ in REGISTRY.mappings(family)],
    ids=lambda s: s.target,
)
def test_a_mapping_can_be_imported_and_names_kinds_of_the_graph(spec: object) -> None:
    from xaicore.graph import Kind

    assert callable(resolve(spec.target))  # type: ignore[attr-defined]
    assert set(spec.kinds) <= {str(kind) for kind in Kind}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("familiar", "name"),
    [
        ("input_t_gradient", "gradients.input_x_gradient"),
        ("gradient", "gradients.saliency"),
        ("deep_taylor", "deeptaylor.unbounded"),
        ("deep_taylor.bounded", "deeptaylor.bounded"),
        ("EpsilonPlus", "lrp.epsilon_plus"),
        ("EpsilonGammaBox", "lrp.epsilon_gamma_box"),
        ("EpsilonAlpha2Beta1", "lrp.epsilon_alpha2_beta1"),
        ("lrp.z", "lrp.zero"),
        ("epsilon", "lrp.epsilon"),
        ("pattern.attribution", "patternnet.attribution"),
        ("pattern.net", "patternnet.signal"),
        ("activation_maximization", "activation_max.prototype"),
    ],
)
def test_a_familiar_name_finds_its_method(familiar: str, name: str) -> None:
    assert find_method(familiar).name == name


def test_importing_the_core_its_registry_and_its_plugins_descriptions_imports_nothing_heavy() -> None:
    code = (
        "import sys, xaicore, xaicore.errors, xaicore.plugins; assert xaicore.methods(); "
        "print([name for name in ('torch', 'numpy', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
