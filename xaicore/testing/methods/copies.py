"""Whether a clone, and an explanation that was saved, are what they were made from."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from xaicore.errors import FileError
from xaicore.explanation import Explanation, load_explanation
from xaicore.testing.checks import interface, require
from xaicore.testing.methods.comparing import found_in, require_same
from xaicore.testing.methods.subject import LEARNT_FROM, MethodSubject


@interface
def clone_explains_the_same(subject: MethodSubject) -> None:
    """A clone by scikit-learn has the same parameters, holds the same model object, and explains the same."""
    from sklearn.base import clone

    example = subject.example
    analyzer = subject.analyzer(example)
    copy = clone(analyzer)
    require(type(copy) is type(analyzer) and copy is not analyzer, f"clone made {copy!r} of {analyzer!r}")
    require(copy.model is analyzer.model, "the clone holds another model; models are shared, never copied")
    given, copied = analyzer.get_params(), copy.get_params()
    others = [name for name in given if copied.get(name) is not given[name]]
    require(not others, f"the clone has other values of {', '.join(others)}")
    subject.fitted(copy, example.inputs(LEARNT_FROM))
    x = example.inputs()
    require_same(
        found_in(copy.analyze(x)),
        found_in(analyzer.analyze(x)),
        f"{example.name}: a clone explains otherwise; whatever matters must be a parameter",
    )


@interface
def result_is_kept_in_a_file(subject: MethodSubject) -> str | None:
    """An explanation says by what it was made, and is the same after it was saved and loaded."""
    analyzer = subject.analyzer(subject.example)
    result = analyzer.analyze(subject.example.inputs())
    require(result.method == analyzer.method, f"the result says {result.method!r} made it; it was {analyzer.method!r}")
    names = set(analyzer.parameter_names())
    require(
        set(result.parameters) == names,
        f"the result says that its parameters are {sorted(result.parameters)}; they are {sorted(names)}",
    )
    json.dumps(result.parameters)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "result.safetensors")
        result.save(path)
        if not isinstance(result, Explanation):
            require(path.stat().st_size > 0, "save wrote nothing")
            return "it was written; a result that is no Explanation is read by its own plugin"
        try:
            loaded = load_explanation(path)
        except FileError as error:
            require(False, f"its own file cannot be loaded: {error}")
    require_same(found_in(loaded), found_in(result), "the relevance is another one after loading", tolerance=0.0)
    for name in ("method", "parameters", "layer"):
        before, after = getattr(result, name), getattr(loaded, name)
        require(before == after, f"after loading, {name} is {after!r}; it was {before!r}")
    require(
        loaded.target["labels"] == result.target["labels"] and loaded.target["index"] == result.target["index"],
        f"after loading, the targets are {loaded.target['labels']}; they were {result.target['labels']}",
    )
    return None
