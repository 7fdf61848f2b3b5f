"""The kinds of plugins that can be written, and what each example needs."""

from __future__ import annotations

from dataclasses import dataclass

_TORCH = "torch>=2.8"
_LRP = "xai-lrp>=0.1,<1"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of plugin.

    Parameters
    ----------
    brings : str
        What the example is, for descriptions.
    api : str
        The oldest interface of xaicore that the example works with: a test has the conformance kit compute it.
    dependencies : tuple of str
        What it imports beside xaicore.
    for_tests : tuple of str
        What its tests import beside that.
    exports : dict of str to str
        The public names of the package, and the module that each is in.
    """

    brings: str
    api: str
    dependencies: tuple[str, ...]
    for_tests: tuple[str, ...] = ()
    exports: dict[str, str]


KINDS = {
    "rule": Kind(
        brings="a rule of layer-wise relevance propagation, and the method that uses it",
        api="0.1",
        dependencies=(_LRP, _TORCH),
        exports={"Power": "rules"},
    ),
    "method": Kind(
        brings="a method of explanation that runs the model many times",
        api="0.1",
        dependencies=(_TORCH,),
        exports={"PerturbedGradient": "methods"},
    ),
    "metric": Kind(
        brings="a metric that judges explanations",
        api="0.1",
        dependencies=(_TORCH,),
        exports={"Hoyer": "metrics"},
    ),
    "renderer": Kind(
        brings="a renderer, which draws relevance",
        api="0.1",
        dependencies=("matplotlib>=3.8", "numpy>=1.26", _TORCH),
        exports={"concentration": "renderers"},
    ),
    "mapping": Kind(
        brings="a layer of its own, and how relevance passes it",
        api="0.2",
        dependencies=(_TORCH,),
        for_tests=(_LRP,),
        exports={"MovingAverage": "layers"},
    ),
}
"""By the word that the user types; the first is the default."""

KIT_SINCE = "0.2"
"""The interface that brought `xaicore.testing`, which the tests of every plugin use."""
