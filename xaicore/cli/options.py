"""What several commands take: how parameters, targets, sizes and shapes are written."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from xaicore.errors import TargetError

_CONTRAST = re.compile(r"\s*(-?\d+)\s+vs\s+(-?\d+)\s*")


def parameter(text: str) -> tuple[str, Any]:
    """Read ``name=value``; the value is a Python literal, or else a string."""
    name, equals, written = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not of the form name=value, as in epsilon=0.25.")
    return name, _literal(written)


def target(text: str) -> Any:
    """Read a class, one class a sample, an index into several dimensions, or a contrast."""
    from xaicore.analyzers.targets import Contrast, resolve_target

    contrast = _CONTRAST.fullmatch(text)
    written = Contrast(int(contrast[1]), int(contrast[2])) if contrast else _literal(text)
    try:
        resolve_target(written)
    except TargetError as error:
        raise click.BadParameter(
            f"{error} Write 3 for a class, [3, 1] for one class a sample, (1, 3) for an index, '3 vs 8' for the "
            "difference of two classes; leave it out for the predicted class."
        ) from error
    return written


def size(text: str) -> tuple[int, int]:
    """Read ``224`` or ``HEIGHTxWIDTH``."""
    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no size; write 224, or 224x160 for height x width.")
    return int(found[1]), int(found[2] or found[1])


def numbers(text: str) -> tuple[float, ...]:
    """Read ``0.5`` or ``0.485,0.456,0.406``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of numbers; write 0.5 or 0.485,0.456,0.406.") from None


def shape(text: str) -> Any:
    """Read ``1,3,224,224``, or ``1,16:int64`` for an input that is not floating-point, as a tensor."""
    import torch

    written, _, name = text.partition(":")
    dtype = getattr(torch, name or "float32", None)
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", written) or not isinstance(dtype, torch.dtype):
        raise click.BadParameter(f"{text!r} is no shape; write 1,3,224,224, or 1,16:int64 for an integer input.")
    sizes = [int(part) for part in written.split(",")]
    return torch.full(sizes, 0.5, dtype=dtype) if dtype.is_floating_point else torch.zeros(sizes, dtype=dtype)


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument MODEL and the options that say which method explains it, and how images become inputs."""
    decorators: list[Callable[[Callable[..., None]], Callable[..., None]]] = [
        model_argument,
        click.option("--method", "-m", required=True, help="Name of a method; see `xaicore list`."),
        click.option(
            "--param",
            "-p",
            "parameters",
            type=parameter,
            metavar="NAME=VALUE",
            multiple=True,
            help="A parameter of the method; repeat it.",
        ),
        image_options,
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def model_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument MODEL and ``--weights``."""
    weights = click.option("--weights", type=click.Path(path_type=Path), help="Weights: safetensors or a state dict.")
    return click.argument("model")(weights(command))


def image_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--size``, ``--mean`` and ``--std``, which say how images become inputs."""
    decorators = [
        click.option(
            "--size", type=size, metavar="SIZE", help="Scale and crop images to this size: 224, or HEIGHTxWIDTH."
        ),
        click.option(
            "--mean",
            type=numbers,
            metavar="NUMBERS",
            default="0",
            help="Subtracted from pixels in [0, 1], per channel.",
        ),
        click.option(
            "--std", type=numbers, metavar="NUMBERS", default="1", help="What pixels are divided by then, per channel."
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def called(text: str) -> tuple[str, dict[str, Any]]:
    """Read a name with parameters, ``lrp.epsilon(epsilon=0.25)``, or a name alone; values are Python literals."""
    if "(" not in text:
        return text.strip(), {}
    try:
        found = ast.parse(text.strip(), mode="eval").body
        if not isinstance(found, ast.Call) or found.args:
            raise ValueError
        values = {str(each.arg): ast.literal_eval(each.value) for each in found.keywords if each.arg}
        if len(values) < len(found.keywords):
            raise ValueError
    except (ValueError, SyntaxError):
        raise click.BadParameter(
            f"{text!r} is not understood: write a name, or a name with parameters, as in 'lrp.epsilon(epsilon=0.25)'; "
            "texts stand in quotes."
        ) from None
    return ast.unparse(found.func), values


def parameters_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the parameters by name; refuse one that was given twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.BadParameter(f"{name!r} is given more than once.", param_hint="--param")
    return dict(pairs)


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    stripped = text.strip()
    if stripped.lower() in words:
        return words[stripped.lower()]
    try:
        return ast.literal_eval(stripped)
    except (ValueError, SyntaxError):
        return stripped
