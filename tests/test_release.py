"""What is released fits together: versions, changelogs, requirements. The checks of a release find what does not."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / ".ci"))

from release import archives, building, index, lowest  # noqa: E402
from release.agreement import disagreements  # noqa: E402
from release.packages import Package, constant, read_package, read_packages  # noqa: E402

PACKAGES = read_packages(ROOT)

CORE = """
[build-system]
requires = ["hatchling>=1.26"]
[project]
name = "xaicore"
dynamic = ["version"]
dependencies = ["numpy>=1.26", "torch>=2.8"]
[project.optional-dependencies]
mine = ["xai-mine>=1.0,<2"]
[tool.hatch.version]
path = "xaicore/__init__.py"
[tool.hatch.build.targets.wheel]
packages = ["xaicore"]
"""
PLUGIN = """
[build-system]
requires = ["hatchling>=1.26"]
[project]
name = "xai-mine"
version = "1.1.0"
dependencies = ["xaicore>=0.2,<1", "numpy>=1.26"]
[project.entry-points."xaicore.plugins"]
mine = "xai_mine._plugin"
[tool.hatch.build.targets.wheel]
packages = ["src/xai_mine"]
"""
FILES = {
    "pyproject.toml": CORE,
    "CHANGELOG.md": "## 0.3.0 (unreleased)\n\n## 0.2.0 (2026-02-01)\n\n## 0.1.0 (2026-01-01)\n",
    "xaicore/__init__.py": '__version__ = "0.3.0"\nAPI_VERSION = "0.3"\n',
    "plugins/mine/pyproject.toml": PLUGIN,
    "plugins/mine/CHANGELOG.md": "## 1.1.0 (2026-03-01)\n\nNew.\n\n## 1.0.0 (2026-02-01)\n",
    "plugins/mine/src/xai_mine/__init__.py": "",
    "plugins/mine/src/xai_mine/_plugin.py": 'XAICORE_API: str = "0.2"\n',
    "plugins/mine/src/xai_mine/py.typed": "",
    "plugins/mine/README.md": "# xai-mine\n",
    "plugins/mine/LICENSE": "Do as you like.\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository in which all fits: a core, and a plugin that asks for an earlier version of it."""
    for name, text in FILES.items():
        file = tmp_path / "checkout" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "checkout"


def test_versions_changelogs_and_what_packages_ask_of_each_other_fit() -> None:
    assert disagreements(PACKAGES) == []


def test_a_dependency_has_one_lower_bound() -> None:
    assert lowest.false_claims(PACKAGES) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_installed_version_is_the_one_that_is_stated(package: Package) -> None:
    assert importlib.metadata.version(package.name) == str(package.version), "install the checkout anew"


def test_all_packages_come_under_the_same_licence_for_the_same_python() -> None:
    assert {(package.folder / "LICENSE").read_bytes() for package in PACKAGES} == {(ROOT / "LICENSE").read_bytes()}
    stated = [(package.folder / "pyproject.toml").read_text(encoding="utf-8") for package in PACKAGES]
    assert all('requires-python = ">=3.11"\n' in text for text in stated)  # which `nox -s lowest` runs


def test_nothing_is_found_where_all_fits(checkout: Path) -> None:
    packages = read_packages(checkout)
    assert [(package.name, str(package.version), package.api) for package in packages] == [
        ("xaicore", "0.3.0", "0.3"),
        ("xai-mine", "1.1.0", "0.2"),
    ]
    assert disagreements(packages) == [] == lowest.false_claims(packages)


PLUGIN_FILE = "plugins/mine/pyproject.toml"


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        (PLUGIN_FILE, '"1.1.0"', '"1.2.0"', "xai-mine: its version is 1.2.0, but its CHANGELOG.md begins with 1.1.0."),
        ("CHANGELOG.md", "(2026-02-01)", "(unreleased)", "xaicore: 0.2.0 in its CHANGELOG.md has no date"),
        ("CHANGELOG.md", "2026-02-01", "2025-02-01", "xaicore: 0.1.0 in its CHANGELOG.md is dated after 0.2.0."),
        ("CHANGELOG.md", "## 0.1.0", "## 0.2.1", "xaicore: 0.2.1 stands below 0.2.0"),
        ("xaicore/__init__.py", '"0.3"', '"0.2"', "xaicore: API_VERSION is 0.2; it must be major.minor"),
        (PLUGIN_FILE, "xaicore>=0.2,<1", "xaicore>=0.1,<1", 'XAICORE_API is "0.2", so it depends on "xaicore>=0.2,<1"'),
        (PLUGIN_FILE, "xaicore>=0.2,<1", "xaicore>=0.2", "so it depends on"),
        (PLUGIN_FILE, '"xaicore>=0.2,<1", ', "", "pyproject.toml says nothing."),
        ("pyproject.toml", "xai-mine>=1.0,<2", "xai-mine>=0.9,<2", "begins with no version in the CHANGELOG.md of"),
        ("pyproject.toml", "xai-mine>=1.0,<2", "xai-mine>=1.0,<1.1", "which xai-mine 1.1.0 is not."),
        ("pyproject.toml", "xai-mine>=1.0,<2", "xai-mine>=1.0", "has no upper bound"),
        ("plugins/mine/src/xai_mine/__init__.py", "", '__version__ = "1.1.0"\n', "pyproject.toml does already"),
    ],
)
def test_what_does_not_fit_is_named(checkout: Path, file: str, old: str, new: str, found: str) -> None:
    replace(checkout / file, old, new)
    sentences = disagreements(read_packages(checkout))
    assert len([sentence for sentence in sentences if found in sentence]) == 1, sentences


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("CHANGELOG.md", "(unreleased)", "(soon)", r"CHANGELOG.md: '## 0.3.0 \(soon\)' must end in"),
        ("CHANGELOG.md", "## 0.3.0 (unreleased)", "## News", "CHANGELOG.md: every"),
        ("xaicore/__init__.py", '"0.3"', "VERSION[:3]", "__init__.py: assign API_VERSION a plain string"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(checkout: Path, file: str, old: str, new: str, found: str) -> None:
    replace(checkout / file, old, new)
    with pytest.raises(ValueError, match=found):
        read_packages(checkout)


def test_lowest_versions_are_those_that_packages_state(checkout: Path) -> None:
    replace(checkout / PLUGIN_FILE, '"numpy>=1.26"', '"numpy>=1.27", "Scikit_Learn>=1.4,<2", "click"')
    packages = read_packages(checkout)
    found = lowest.lowest_versions(packages, besides=("torch",))
    assert {name: str(version) for name, version in found.items()} == {"numpy": "1.27", "scikit-learn": "1.4"}
    assert {name: str(version) for name, version in lowest.lowest_to_build(packages).items()} == {"hatchling": "1.26"}
    assert lowest.false_claims(packages) == [
        'xaicore: "numpy>=1.26" should begin with 1.27, as elsewhere.',
        'xai-mine: "click" has no lower bound.',
    ]


METADATA = """Metadata-Version: 2.4
Name: xai-mine
Version: 1.1.0
License-Expression: MIT
Requires-Dist: numpy>=1.26
Requires-Dist: xaicore<1,>=0.2
Requires-Dist: pytest; extra == 'test'

# xai-mine
"""
ABOUT = "xai_mine-1.1.0.dist-info"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("", "", None),
        ("xai_mine/py.typed", None, "xai_mine/py.typed is missing."),
        ("xai_mine/__pycache__/a.pyc", "", "xai_mine/__pycache__/a.pyc is in it, and should not be."),
        ("tests/test_mine.py", "", "tests/test_mine.py is in it, and should not be."),
        (f"{ABOUT}/licenses/LICENSE", None, "LICENSE is missing."),
        (f"{ABOUT}/licenses/LICENSE", "Pay.", "its licence is not LICENSE."),
        (f"{ABOUT}/METADATA", METADATA.replace("# xai-mine", "# other"), "its description is not README.md."),
        (f"{ABOUT}/METADATA", METADATA.replace("1.1.0", "1.0.0"), "its metadata are of xai-mine 1.0.0."),
        (f"{ABOUT}/METADATA", METADATA.replace("<1,", ""), "its metadata state other dependencies"),
        (f"{ABOUT}/METADATA", METADATA.replace("License-Expression: MIT\n", ""), "its metadata name no licence."),
    ],
)
def test_a_wheel_holds_what_it_must_and_nothing_else(checkout: Path, name: str, text: str, found: str | None) -> None:
    package = read_package(checkout / "plugins" / "mine")
    sources = [file.relative_to(package.folder) for file in package.folder.rglob("*") if file.is_file()]
    contents = {f"xai_mine/{file}": "" for file in ("__init__.py", "_plugin.py", "py.typed")}
    contents |= {f"{ABOUT}/{file}": "" for file in ("WHEEL", "RECORD", "entry_points.txt")}
    contents |= {f"{ABOUT}/METADATA": METADATA, f"{ABOUT}/licenses/LICENSE": FILES["plugins/mine/LICENSE"]}
    wheel = checkout / "xai_mine-1.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, content in ({**contents, name: text} if name else contents).items():
            if content is not None:
                archive.writestr(file, content)
    faults = archives.faults_of_wheel(wheel, package, sources)
    if found is None:
        assert faults == []
    else:
        assert any(found in fault and fault.startswith(f"{wheel.name}: ") for fault in faults), faults


def test_files_that_differ_and_files_that_are_missing_are_found(tmp_path: Path) -> None:
    for folder, contents in (("one", {"a": "1", "b": "1", "c": "1"}), ("two", {"a": "1", "b": "2"})):
        (tmp_path / folder).mkdir()
        for name, text in contents.items():
            (tmp_path / folder / name).write_text(text)
    assert building.differing(tmp_path / "one", tmp_path / "two") == ["b", "c"]


def test_an_index_leads_from_a_name_to_the_file_and_a_stranger_under_our_name_is_found(tmp_path: Path) -> None:
    wheel = tmp_path / "xai_mine-1.1.0-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    address = index.write_index(tmp_path / "index", [wheel])
    with urlopen(f"{address}/xai-mine/index.html") as page:
        assert f'href="{wheel.name}#sha256={building.checksum(wheel)}"' in page.read().decode()
    with urlopen(f"{address}/xai-mine/{wheel.name}") as file:
        assert file.read() == b"a wheel"

    def installed(name: str, digest: str) -> dict[str, object]:
        download = {"url": "https://elsewhere/x.whl", "archive_info": {"hashes": {"sha256": digest}}}
        return {"metadata": {"name": name, "version": "1.1.0"}, "download_info": download}

    report = tmp_path / "report.json"
    report.write_text(
        json.dumps({"install": [installed("xai_mine", building.checksum(wheel)), installed("numpy", "0")]})
    )
    assert index.strangers(report, [wheel]) == []
    report.write_text(json.dumps({"install": [installed("xai-mine", "0")]}))
    assert index.strangers(report, [wheel]) == ["xai-mine 1.1.0 from https://elsewhere/x.whl"]


def test_indexes_that_a_user_has_configured_are_kept() -> None:
    listed = "global.cert='/a'\nglobal.extra-index-url='file:///a\\nfile:///b'\n:env:.extra-index-url='file:///c'\n"
    assert index.extra_indexes(listed) == ["file:///a", "file:///b", "file:///c"]


def test_a_constant_is_read_without_importing_its_module(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('raise SystemExit\nXAICORE_API = "0.2"\n')
    assert constant(module, "XAICORE_API") == "0.2"


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new) if old else new, encoding="utf-8")
