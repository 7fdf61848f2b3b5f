"""An example of use, on the command line and in Python, of what `xaicore info` describes."""

from __future__ import annotations

import re
import shlex
from typing import Any

from xaicore.plugins import resolve

Record = dict[str, Any]

_TYPED = re.compile(r"\b(bool|float|int|number|str)\b|\{")
"""In the documented type of a parameter: its value can be typed on the command line."""

_MODEL = "torchvision:resnet18"
_IMAGE = f"{_MODEL} photo.jpg"
_ARRAY = "package.module:factory samples.npy"


class _Words:
    """What stands in an example for a value that only the user has."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


_YOURS, _DATA = _Words("..."), _Words("xaicore.baselines.Data(data)")


def usage(record: Record, method: str) -> dict[str, str]:
    """Return "command_line" and "python" for a record of `describe`; `method` is one that is installed."""
    made = {"method": _of_method, "metric": _of_metric, "renderer": _of_renderer, "mapping": _of_mapping}
    command, python = made[record["kind"]](record, method)
    return {"command_line": f"xaicore {command}" if command else "", "python": python}


def _of_method(record: Record, _: str) -> tuple[str, str]:
    name, chosen = record["name"], _chosen(record)
    if record["family"] == "prototype":
        command = f"prototype {_MODEL} --class 3{_options('-p', chosen)}"
        return command, f'xaicore.create_analyzer("{name}", model{_keywords(chosen)}).analyze(x, target=3)'
    # For what samples are compared with, the command line has an option of its own.
    compared = {key: _DATA for key in ("baseline", "fill") if chosen.get(key) is _YOURS}
    typed = {key: value for key, value in chosen.items() if key not in compared}
    command = f"explain {_IMAGE if 'image' in record['inputs'] else _ARRAY} -m {name}{_options('-p', typed)}"
    command += " --data training.npy" if record["learns"] or compared else ""
    types = {each["name"]: each["type"] for each in record["parameters"]}
    if any(value is _YOURS and not _TYPED.search(types[key]) for key, value in typed.items()):
        command = ""  # an object: it can be given from Python only
    keywords = _keywords(chosen | compared)
    if record["learns"]:
        return command, f'xaicore.create_analyzer("{name}", model{keywords}).fit(data).analyze(x)'
    return command, f'xaicore.explain(model, x, method="{name}"{keywords})'


def _of_metric(record: Record, method: str) -> tuple[str, str]:
    name, chosen = record["name"], _chosen(record)
    masks = "masks" in record["needs"]
    called = f"{name}({_keywords(chosen).removeprefix(', ')})" if chosen else name
    command = f"compare {_IMAGE} -m {method} --metric {shlex.quote(called)}{' --masks masks.npy' if masks else ''}"
    keywords = ", ".join(f'"{key}": {_written(value)}' for key, value in chosen.items())
    python = f'xaicore.evaluate(analyzer, x, {{"{name}": {{{keywords}}}}}{", masks=masks" if masks else ""})'
    return command, python


def _of_renderer(record: Record, method: str) -> tuple[str, str]:
    name, chosen = record["name"], _chosen(record)
    if record["all_samples"]:
        return "", f'xaicore.visualization.render(explanation, "{name}"{_keywords(chosen)})'
    files = _IMAGE if "image" in record["inputs"] else _ARRAY
    command = f"explain {files} -m {method} --render {name}{_options('--render-param', chosen)}"
    return command, f'explanation.plot(kind="{name}"{_keywords(chosen)})'


def _of_mapping(record: Record, method: str) -> tuple[str, str]:
    command = f"check {_MODEL} --method {method} --shape 1,3,224,224"
    return command, f'print(xaicore.create_analyzer("{method}", model).match(x))'


def _chosen(record: Record) -> Record:
    """Parameters for an example: those that the user has to decide; where there are none, the first with a default."""
    asked = [each for each in record["parameters"] if each["name"] != record.get("given_as")]
    undecided = [each for each in asked if each["required"] or each["default"] is None]
    known = resolve(record["example"])() if undecided and record["example"] else {}
    chosen = {each["name"]: known[each["name"]] for each in undecided if _is_plain(known.get(each["name"]))}
    chosen |= {each["name"]: _YOURS for each in undecided if each["required"] and each["name"] not in chosen}
    one = next((each for each in asked if not each["required"] and _is_plain(each["default"])), None)
    return chosen if chosen or one is None else {one["name"]: one["default"]}


def _is_plain(value: Any) -> bool:
    """Whether a value can be typed as it is; what JSON does not know stands as its text, in brackets of some sort."""
    return isinstance(value, bool | int | float) or (isinstance(value, str) and value.isidentifier())


def _options(option: str, chosen: Record) -> str:
    shown = ((key, key.upper() if value is _YOURS else value) for key, value in chosen.items())
    return "".join(f" {option} {key}={value}" for key, value in shown)


def _keywords(chosen: Record) -> str:
    return "".join(f", {key}={_written(value)}" for key, value in chosen.items())


def _written(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
