"""Parts of a layer as they are named on the command line: ``layer=channels(3, 5)``. Nothing is evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from xaicore.errors import ParameterError, nearest

if TYPE_CHECKING:
    from xaicore.graph import Part

_WORDS = ("channels", "region", "heads", "neurons")


def layer_filter(text: str) -> tuple[str, Any]:
    """Read ``layer=part``: a channel, a list of channels, or parts as Python writes them, with ``&``, ``|``, ``~``."""
    layer, equals, written = text.partition("=")
    if not equals or not layer.strip():
        raise click.BadParameter(f"{text!r} is not of the form layer=part, as in conv1=channels(3, 5).")
    try:
        tree = ast.parse(written.strip(), mode="eval").body
    except SyntaxError:
        raise _unreadable(written) from None
    try:
        return layer.strip(), _numbers(tree) if isinstance(tree, ast.Constant | ast.List | ast.Tuple) else _part(tree)
    except ParameterError as error:
        raise click.BadParameter(str(error)) from error


def filters_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any] | None:
    """Return the filters by layer; refuse a layer that was named twice."""
    layers = [layer for layer, _ in pairs]
    for layer in layers:
        if layers.count(layer) > 1:
            raise click.BadParameter(
                f"{layer!r} is given more than once; combine parts with & or |.", param_hint="--filter"
            )
    return dict(pairs) or None


def _part(tree: ast.expr) -> Part:
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Invert):
        return ~_part(tree.operand)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitAnd):
        return _part(tree.left) & _part(tree.right)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return _part(tree.left) | _part(tree.right)
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name):
        made: Part = _word(tree.value.id, ("region",))[_slices(tree.slice)]
        return made
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and all(key.arg for key in tree.keywords):
        word: Callable[..., Part] = _word(tree.func.id, _WORDS)
        options = {str(key.arg): _numbers(key.value) for key in tree.keywords}
        try:
            return word(*(_numbers(argument) for argument in tree.args), **options)
        except TypeError as error:
            raise click.BadParameter(f"{ast.unparse(tree)}: {error}.") from None
    raise _unreadable(ast.unparse(tree))


def _word(name: str, known: Sequence[str]) -> Any:
    import xaicore

    if name not in known:
        raise click.BadParameter(f"there is no part {name!r}; there are {', '.join(_WORDS)}.{nearest(name, known)}")
    return getattr(xaicore, name)


def _slices(tree: ast.expr) -> Any:
    if isinstance(tree, ast.Tuple):
        return tuple(_slices(each) for each in tree.elts)
    if isinstance(tree, ast.Slice):
        return slice(*(None if bound is None else _numbers(bound) for bound in (tree.lower, tree.upper, tree.step)))
    return _numbers(tree)


def _numbers(tree: ast.expr) -> Any:
    """Read integers, and lists and tuples of them."""
    try:
        return ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError):
        raise _unreadable(ast.unparse(tree)) from None


def _unreadable(written: str) -> click.BadParameter:
    return click.BadParameter(
        f"{written!r} is no part of a layer; write 3, [3, 5], channels(3, 5), region[10:20, 5:9], heads(0, count=12), "
        "neurons((3, 0, 1)), or combine these with &, | and ~."
    )
