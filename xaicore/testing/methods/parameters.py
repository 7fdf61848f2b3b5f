"""Whether parameters follow scikit-learn's conventions: given by keyword, kept as given, read and changed by name."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.analyzers import Analyzer
from xaicore.errors import ParameterError, XaicoreError
from xaicore.plugins.docstrings import documented_parameters
from xaicore.testing.checks import Failure, interface, require
from xaicore.testing.methods.subject import MethodSubject
from xaicore.testing.watching import changes, state_of

NO_PARAMETER = "no_such_parameter"


class NeverCalled(nn.Module):
    """A model that nobody may run yet; a Python list beside its attributes counts who does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def forward(self, *inputs: Tensor) -> Tensor:
        self.calls.append(len(inputs))
        return torch.zeros(2, 4)


@interface
def parameters_are_kept(subject: MethodSubject) -> None:
    """Parameters are given by keyword, each is stored unchanged under its own name, and nothing is computed."""
    for each in _own_arguments(subject.cls):
        require(
            each.kind in (each.KEYWORD_ONLY, each.VAR_KEYWORD),
            f"the parameter {each.name!r} can be given by position: write __init__(self, model, *, {each.name}=...)",
        )
    model = NeverCalled()
    before = state_of(model)
    analyzer = subject.made(model)
    require(
        not model.calls, "the constructor runs the model; it must compute nothing: leave that to `analyze`, or to `fit`"
    )
    require(
        analyzer.model is model and not changes(before, state_of(model)),
        "the constructor must store the model as it is, under the name 'model'",
    )
    for name, value in _expected_values(subject).items():
        require(hasattr(analyzer, name), f"the parameter {name!r} is not stored: write self.{name} = {name}")
        stored = getattr(analyzer, name)
        require(
            stored is value,
            f"the parameter {name}={value!r} is stored as {stored!r}: store it as it is given, and make of it what "
            "the method needs in `analyze`, else `set_params` and `clone` change what the user has said",
        )
    known = {"model", *subject.cls.parameter_names()}
    others = [name for name in vars(analyzer) if name not in known and not name.startswith("_") and name[-1] != "_"]
    require(
        not others,
        f"the constructor sets {', '.join(others)}, which is no parameter: make it a parameter, a property, or give "
        "it a leading underscore; what `fit` learns ends in one",
    )


@interface
def parameters_are_changed_by_name(subject: MethodSubject) -> None:
    """`get_params` returns what was given, and `set_params` changes all that it is given or nothing."""
    model = NeverCalled()
    analyzer = subject.made(model)
    given = analyzer.get_params()
    taken = {"model", *(each.name for each in _own_arguments(subject.cls) if each.kind is not each.VAR_KEYWORD)}
    require(
        given.keys() == taken, f"get_params has {', '.join(given)}; the constructor takes {', '.join(sorted(taken))}"
    )
    wrong = [name for name, value in given.items() if getattr(analyzer, name, None) is not value]
    require(not wrong, f"get_params returns another value for {', '.join(wrong)} than is stored")
    own = {name: value for name, value in given.items() if name != "model"}
    require(analyzer.set_params(**own) is analyzer, "set_params must return the analyzer itself")
    _require_unchanged(analyzer, given, "set_params with the values that get_params returned")
    for asked in ({NO_PARAMETER: 1}, {**own, NO_PARAMETER: 1}):
        try:
            analyzer.set_params(**asked)
        except ParameterError as error:
            require(NO_PARAMETER in str(error), f"set_params({NO_PARAMETER}=1): the error does not name it: {error}")
        else:
            raise Failure(f"set_params({NO_PARAMETER}=1) is accepted; it must be refused by a ParameterError")
        _require_unchanged(analyzer, given, "set_params with a parameter that there is not")
    for name, default in _defaults(subject.cls).items():
        _check_change(subject, name, default)


@interface
def parameters_are_documented(subject: MethodSubject) -> None:
    """Every parameter is explained in the "Parameters" section of the class's docstring."""
    documented = documented_parameters(subject.cls)
    missing = [name for name in subject.cls.parameter_names() if name not in documented or not documented[name].meaning]
    require(
        not missing,
        f"not documented: {', '.join(missing)}. Add it to the docstring of {subject.cls.__name__}, under Parameters, "
        'as "name : type" over an indented line: `xaicore info` shows it',
    )


@interface
def unknown_parameters_are_refused(subject: MethodSubject) -> None:
    """A parameter that there is not is refused by name, and never ignored."""
    try:
        subject.cls.check_parameter_names([NO_PARAMETER])
    except ParameterError as error:
        require(NO_PARAMETER in str(error), f"the error does not name the unknown parameter: {error}")
    else:
        raise Failure(f"create_analyzer(..., {NO_PARAMETER}=1) is accepted; it must be refused by a ParameterError")
    subject.made(NeverCalled())
    try:
        subject.cls(NeverCalled(), **subject.parameters, **{NO_PARAMETER: 1})
    except (ParameterError, TypeError):
        return
    raise Failure(
        f"the constructor takes {NO_PARAMETER}=1, so that a slip in a name goes unnoticed: list the parameters instead "
        "of **options"
    )


def _own_arguments(cls: type[Analyzer]) -> list[inspect.Parameter]:
    return [each for each in inspect.signature(cls).parameters.values() if each.name != "model"]


def _defaults(cls: type[Analyzer]) -> dict[str, Any]:
    own = {each.name: each.default for each in _own_arguments(cls)}
    return {name: own[name] for name in cls.parameter_names() if own[name] is not inspect.Parameter.empty}


def _expected_values(subject: MethodSubject) -> dict[str, Any]:
    return _defaults(subject.cls) | dict(subject.parameters)


def _require_unchanged(analyzer: Analyzer, before: dict[str, Any], what: str) -> None:
    after = analyzer.get_params()
    changed = [name for name in before if after[name] is not before[name]]
    require(not changed, f"{what} changed {', '.join(changed)}")


def _check_change(subject: MethodSubject, name: str, value: Any) -> None:
    """`set_params` does with a parameter what the constructor does; where that refuses it, nothing is changed."""
    analyzer = subject.made(NeverCalled())
    before = analyzer.get_params()
    try:
        made = subject.cls(**(before | {name: value}))
    except XaicoreError:
        with contextlib.suppress(XaicoreError):
            analyzer.set_params(**{name: value})
            raise Failure(f"the constructor refuses {name}={value!r}, and set_params takes it") from None
        _require_unchanged(analyzer, before, f"set_params({name}={value!r}), which was refused,")
    else:
        analyzer.set_params(**{name: value})
        _require_unchanged(analyzer, before | {name: getattr(made, name)}, f"set_params({name}={value!r})")
