"""Installing small plugins into a folder on `sys.path`, as pip leaves them there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path, namespace: str, files: Mapping[str, str], *, distribution: str, requires: str = ">=0.1,<1"
) -> None:
    """Leave in a folder what pip leaves there of a wheel: a package with a module `_plugin`, and its metadata.

    Parameters
    ----------
    folder, namespace, distribution
        Where, and what it is called.
    files
        Name in the package -> text. Without any, only the metadata is left: as where files were deleted.
    requires
        What the metadata says behind ``Requires-Dist: xaicore``.
    """
    package = distribution.replace("-", "_")
    for name, text in files.items():
        (folder / package).mkdir(exist_ok=True)
        (folder / package / name).write_text(text)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nRequires-Dist: xaicore{requires}\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[xaicore.plugins]\n{namespace} = {package}._plugin\n")


def install_of_usual_size(folder: Path, namespace: str) -> None:
    """A plugin with twenty methods and two mappings, described as those of this repository are."""
    install(folder, namespace, {"_plugin.py": _USUAL.format(namespace=namespace)}, distribution=f"usual-{namespace}")


_USUAL = '''"""What this brings to xaicore."""

from __future__ import annotations

from xaicore.plugins import MappingSpec, MethodSpec, hookimpl

XAICORE_API = "0.1"


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name=f"{namespace}.method_{{number}}",
            target=f"usual_{namespace}.methods:Method{{number}}",
            summary="A sentence of the usual length that says what this method does to a gradient.",
            family="gradient",
            aliases=(f"Method{{number}}Of{namespace}", f"familiar_{{number}}_{namespace}"),
            sources=("Author et al. 2020, eq. 3", "Another & Author 2021"),
        )
        for number in range(20)
    ]


@hookimpl
def xaicore_mappings() -> list[MappingSpec]:
    return [
        MappingSpec(family="relevance", kinds=("other",), ops=(op,), target="usual_{namespace}:f", summary="as it says")
        for op in ("{namespace}_one", "{namespace}_two")
    ]
'''
