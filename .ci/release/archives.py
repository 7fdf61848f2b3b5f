"""Does a wheel or an sdist hold what it must, and nothing else?"""

from __future__ import annotations

import email
import email.message
import email.policy
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.packages import Package

ADDED_TO_SDISTS = frozenset({"PKG-INFO", ".gitignore"})
"""What the build backend adds. It leaves out what the .gitignore names, and must do so in an sdist as well."""


def faults_of_wheel(wheel: Path, package: Package, sources: Collection[Path]) -> list[str]:
    """Return a sentence for each fault of a wheel.

    Parameters
    ----------
    wheel : the file.
    package : what it is built from.
    sources : the files of the checkout, relative to the package's folder.
    """
    inside = package.sources.relative_to(package.folder)
    expected = {_posix(path.relative_to(inside.parent)) for path in sources if path.is_relative_to(inside)}
    about = f"{package.file_name}-{package.version}.dist-info"
    expected |= {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        read = {PurePosixPath(name).relative_to(about).as_posix(): archive.read(name)
                for name in names if name.startswith(f"{about}/")}  # fmt: skip
    faults = [*_unlike(names, required=expected, allowed=expected)]
    faults += [*_of_texts(read.get("METADATA", b""), read.get("licenses/LICENSE", b""), package)]
    return [f"{wheel.name}: {fault}" for fault in faults]


def faults_of_sdist(sdist: Path, package: Package, sources: Collection[Path]) -> list[str]:
    """Return a sentence for each fault of an sdist; parameters as for a wheel."""
    top = f"{package.file_name}-{package.version}/"
    inside = package.sources.relative_to(package.folder)
    files = {_posix(path) for path in sources}
    required = {_posix(path) for path in sources if path.is_relative_to(inside)}
    required |= {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO"}
    with tarfile.open(sdist) as archive:
        names = {member.name.removeprefix(top) for member in archive.getmembers() if member.isfile()}
        read = {name: archive.extractfile(top + name) for name in names & {"PKG-INFO", "LICENSE"}}
        texts = {name: file.read() for name, file in read.items() if file is not None}
    faults = [*_unlike(names, required=required, allowed=files | ADDED_TO_SDISTS)]
    faults += [*_of_texts(texts.get("PKG-INFO", b""), texts.get("LICENSE", b""), package)]
    return [f"{sdist.name}: {fault}" for fault in faults]


def _unlike(names: Collection[str], *, required: Collection[str], allowed: Collection[str]) -> Iterator[str]:
    for name in sorted(set(required) - set(names)):
        yield f"{name} is missing."
    for name in sorted(set(names) - set(allowed)):
        yield f"{name} is in it, and should not be."


def _of_texts(metadata: bytes, licence: bytes, package: Package) -> Iterator[str]:
    message = email.message_from_bytes(metadata, policy=email.policy.EmailPolicy(utf8=True, max_line_length=None))
    if (message["Name"], message["Version"]) != (package.name, str(package.version)):
        yield f"its metadata are of {message['Name']} {message['Version']}."
    if _description(message) != (package.folder / "README.md").read_text(encoding="utf-8").strip():
        yield "its description is not README.md."
    if licence != (package.folder / "LICENSE").read_bytes():
        yield "its licence is not LICENSE."
    if message["License-Expression"] is None:
        yield "its metadata name no licence."
    stated = {_plain(each) for each in map(Requirement, message.get_all("Requires-Dist", [])) if not each.marker}
    if stated != {_plain(each) for each in package.dependencies}:
        yield "its metadata state other dependencies than pyproject.toml."


def _description(message: email.message.Message) -> str:
    payload = message.get_payload(decode=True)
    return payload.decode("utf-8").strip() if isinstance(payload, bytes) else ""


def _plain(requirement: Requirement) -> tuple[str, str]:
    return canonicalize_name(requirement.name), str(requirement.specifier)


def _posix(path: Path) -> str:
    return path.as_posix()
