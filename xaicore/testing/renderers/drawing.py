"""Whether a renderer draws where it is told, whatever it is given, and leaves everything else alone."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaicore.errors import XaicoreError
from xaicore.plugins import resolve
from xaicore.testing.checks import Failure, Skip, interface, require
from xaicore.testing.methods.descriptions import check_summary
from xaicore.testing.renderers.subject import SHAPES, RendererSubject
from xaicore.testing.watching import changes, process_put_back, state_of_process


@interface
def as_described(subject: RendererSubject) -> None:
    """It takes relevance and axes by name, and has what its description says of it."""
    check_summary(subject.spec.summary)
    spec, parameters = subject.spec, inspect.signature(subject.function).parameters
    for name in ("relevance", "ax"):
        require(name in parameters, f"{spec.target} has no parameter {name!r}: renderers are called by these names.")
    require(parameters["ax"].default is None, "ax has no default None: without axes a renderer makes its own.")
    require(
        not spec.given_as or spec.given_as in parameters,
        f"its description says given_as={spec.given_as!r}, and {spec.target} has no such parameter.",
    )
    require(not spec.measure or callable(resolve(spec.measure)), f"measure {spec.measure!r} is no function.")
    unknown = [each for each in spec.inputs if each not in SHAPES]
    require(not unknown and bool(spec.inputs), f"inputs {spec.inputs!r}; what there is: {', '.join(SHAPES)}.")


@interface
def draws_on_given_axes(subject: RendererSubject) -> None:
    """It draws on the axes that it is given, returns them, and leaves the axes beside them alone."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    title = right.get_title()
    found = subject.draw(subject.relevance(), left)
    require(found is left, "given axes, it returns others: draw on `ax`, and return it.")
    drawn = [*left.images, *left.lines, *left.patches, *left.collections, *left.texts, *left.child_axes]
    require(bool(drawn), "it draws nothing on the axes that it is given.")
    others = [*right.images, *right.lines, *right.patches, *right.collections, *right.texts]
    require(not others and right.get_title() == title, "it draws on axes beside those that it is given.")


@interface
def makes_axes_of_its_own(subject: RendererSubject) -> None:
    """Without axes it makes a figure of its own, which pyplot does not know of and nothing pops up."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = [] if pyplot is None else pyplot.get_fignums()
    found = subject.draw(subject.relevance())
    require(isinstance(found, Axes), f"without axes it returns {found!r}: return the axes that were made.")
    pyplot = sys.modules.get("matplotlib.pyplot")
    opened = [] if pyplot is None else [number for number in pyplot.get_fignums() if number not in before]
    for number in opened:
        pyplot.close(number)  # type: ignore[union-attr]  # or it would stay open in the process of the kit, too
    require(not opened, "it opens a figure of pyplot, which stays open: use matplotlib.figure.Figure.")


@interface
def any_relevance(subject: RendererSubject) -> None:
    """It draws relevance that is zero, constant, of one sign, tiny, huge, or not finite in places."""
    usual = subject.relevance()
    partly = usual.copy()
    partly.flat[:2] = np.nan, np.inf
    for what, relevance in {
        "zero": np.zeros(subject.shape),
        "constant": np.full(subject.shape, 0.3),
        "negative": -np.abs(usual),
        "tiny": 1e-30 * usual,
        "huge": 1e30 * usual,
        "NaN in places": partly,
        "NaN everywhere": np.full(subject.shape, np.nan),
    }.items():
        try:
            subject.picture(relevance)
        except Exception as error:
            raise Failure(f"relevance that is {what}: {type(error).__name__}: {error}") from error


@interface
def tensors_and_arrays(subject: RendererSubject) -> None:
    """Tensors of any floating-point type are drawn as arrays are."""
    right = subject.picture(subject.relevance().astype(np.float32))
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        drawn = subject.picture(torch.tensor(subject.relevance(), dtype=dtype))
        same = dtype is torch.bfloat16 or float(np.abs(drawn.astype(float) - right).mean()) < 1
        require(same, f"a tensor in {dtype} is drawn otherwise than the array of the same values.")
    graded = torch.tensor(subject.relevance(), requires_grad=True)
    subject.picture(graded)


@interface
def refuses_bad_input(subject: RendererSubject) -> None:
    """Relevance of a wrong shape, none at all, and text are refused by an error of xaicore."""
    for what, relevance in {
        "one number": np.float64(1.0),
        "nothing": np.zeros((0,)),
        "five dimensions": np.zeros((2, 2, 2, 2, 2)),
        "a text": "relevance",
    }.items():
        try:
            subject.picture(relevance)
        except XaicoreError:
            continue
        except Exception as error:
            raise Failure(
                f"given {what} as relevance it raised {type(error).__name__}: {error}. Raise InputError, and say what "
                "is taken."
            ) from error
        raise Failure(f"given {what} as relevance it drew something: raise InputError, and say what is taken.")


@interface
def says_what_it_needs(subject: RendererSubject) -> None:
    """Without what was explained it draws, unless its description says that it needs that."""
    if not subject.spec.given_as or subject.spec.needs_input:
        raise Skip("it is always given what was explained" if subject.spec.needs_input else "it draws relevance alone")
    subject.draw(subject.relevance(), Figure().subplots(), given=False)


@interface
def inputs_untouched(subject: RendererSubject) -> None:
    """Relevance and what was explained are the same afterwards."""
    relevance = subject.relevance()
    before = relevance.copy()
    subject.draw(relevance, Figure().subplots())
    require(np.array_equal(relevance, before), "it writes to the relevance that it is given: work on a copy.")


@interface
def no_global_state(subject: RendererSubject) -> None:
    """Nothing that belongs to the whole process is changed, matplotlib's settings least of all."""
    with process_put_back():
        before = state_of_process()
        subject.draw_freely(subject.relevance(), Figure().subplots())
        changed = changes(before, state_of_process())
    require(not changed, f"it changes {', '.join(changed)}; `matplotlib.rc_context` puts settings back.")


@interface
def repeatable(subject: RendererSubject) -> None:
    """The same relevance gives the same picture."""
    same = np.array_equal(subject.picture(subject.relevance()), subject.picture(subject.relevance()))
    require(same, "drawn twice, the pictures differ: seed what is random.")
