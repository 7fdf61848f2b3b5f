"""Audits as files: arrays and a JSON header in the safetensors format, which cannot run code on loading."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from xaicore import __version__
from xaicore.errors import FileError
from xaicore.explanation.plain import from_json, plain, to_json
from xaicore.studies.auditing.examples import Example
from xaicore.studies.auditing.records import ClassRecord, ClusterRecord
from xaicore.studies.auditing.result import Audit
from xaicore.studies.auditing.samples import Samples
from xaicore.studies.auditing.spool import Thumbnail

FORMAT_VERSION = 1
_HEADER_KEY = "xaicore audit"


def save_audit(audit: Audit, path: str | PathLike[str]) -> Path:
    """Write an audit to one file, all or nothing; see `Audit.save`."""
    goal = Path(os.path.realpath(path))
    if goal.is_dir() or not goal.parent.is_dir():
        problem = "it is a folder" if goal.is_dir() else f"the folder {goal.parent} does not exist"
        raise FileError(f"Cannot save an audit to {goal}: {problem}.")
    part = goal.with_name(f".{goal.name}.{uuid.uuid4().hex}.part")
    try:
        part.touch()  # with the rights that new files have here
        rights = part.stat().st_mode
        save_file(_arrays(audit), part, metadata={_HEADER_KEY: json.dumps(_header(audit), allow_nan=False)})
        part.chmod(rights)
        os.replace(part, goal)
    except (OSError, SafetensorError) as error:
        raise FileError(f"Cannot save an audit to {goal}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return goal


def load_audit(path: str | PathLike[str]) -> Audit:
    """Read what `save_audit` wrote; see `Audit.load`."""
    place = Path(path)
    if not place.is_file():
        raise FileError(f"Cannot load {place}: {'it is a folder' if place.is_dir() else 'there is no such file'}.")
    try:
        with safe_open(place, framework="np") as file:
            metadata = file.metadata() or {}
            if _HEADER_KEY not in metadata:
                raise FileError(f"Cannot load {place}: it is a safetensors file, but no audit that xaicore saved.")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        header = json.loads(metadata[_HEADER_KEY])
        if header["format"] > FORMAT_VERSION:
            raise FileError(
                f"Cannot load {place}: it has format {header['format']}, written by xaicore {header['xaicore']}; this "
                f"xaicore ({__version__}) reads formats up to {FORMAT_VERSION}. Update xaicore."
            )
        return _assembled(from_json(header), arrays)
    except SafetensorError as error:
        raise FileError(f"Cannot load {place}: it is no audit that xaicore saved, or damaged ({error}).") from error
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"Cannot load {place}: its contents are damaged or incomplete ({error!r}).") from error


def _header(audit: Audit) -> dict[str, Any]:
    clusters = [{name: value for name, value in asdict(each).items() if name != "mean_map"} for each in audit.clusters]
    header: dict[str, Any] = to_json(
        plain(
            {
                "format": FORMAT_VERSION,
                "xaicore": __version__,
                "method": audit.method,
                "parameters": audit.parameters,
                "target": audit.target,
                "labels": audit.labels,
                "settings": audit.settings,
                "facts": audit.facts,
                "notes": audit.notes,
                "names": audit.samples.names,
                "classes": [asdict(each) for each in audit.classes],
                "clusters": clusters,
                "examples": [{"place": each.place} for each in audit.examples],
            }
        )
    )
    return header


def _arrays(audit: Audit) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {f"samples/{name}": each for name, each in audit.samples.arrays().items()}
    arrays |= {f"clusters/{number}": each.mean_map for number, each in enumerate(audit.clusters)}
    for number, example in enumerate(audit.examples):
        arrays[f"maps/{number}"] = example.thumbnail.map
        if example.thumbnail.picture is not None:
            arrays[f"pictures/{number}"] = example.thumbnail.picture
    return {name: np.ascontiguousarray(each) for name, each in arrays.items()}


def _assembled(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Audit:
    names = [each.name for each in fields(Samples) if each.name != "names"]
    return Audit(
        classes=[ClassRecord(**{**each, "eigenvalues": tuple(each["eigenvalues"])}) for each in header["classes"]],
        clusters=[
            ClusterRecord(**{**each, "why": tuple(each["why"]), "mean_map": arrays[f"clusters/{number}"]})
            for number, each in enumerate(header["clusters"])
        ],
        samples=Samples(names=header["names"], **{name: arrays[f"samples/{name}"] for name in names}),
        examples=[
            Example(each["place"], Thumbnail(arrays.get(f"pictures/{number}"), arrays[f"maps/{number}"]))
            for number, each in enumerate(header["examples"])
        ],
        method=header["method"],
        parameters=header["parameters"],
        target=header["target"],
        labels=header["labels"],
        settings=header["settings"],
        facts=[(name, text) for name, text in header["facts"]],
        notes=header["notes"],
    )
