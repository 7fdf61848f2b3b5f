"""Every check of this repository, one session each: `nox -l` lists them, `nox -s tests` runs one."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / ".ci"))

from release import agreement, building, steps  # noqa: E402
from release import lowest as lowest_supported  # noqa: E402
from release.packages import read_packages  # noqa: E402

PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
OF_OTHERS = "scaffold"  # among the wheels: plugins of other authors
WHEELS = [*PLUGINS, OF_OTHERS]
KINDS = ("rule", "method", "metric", "renderer", "mapping")  # that `xaicore new-plugin` writes
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
TESTS_OF_LOWEST = (
    *sorted(str(folder.relative_to(ROOT)) for folder in ROOT.glob("plugins/*/tests")),
    *("tests/cli", "tests/graph", "tests/plugins", "tests/reports", "tests/visualization"),
)
CHROMIUM = ("chromium", "chromium-browser")  # what the browser is called

# Cards of methods, mappings and metrics are the same from a wheel; that of the plugin itself is not.
NOT_TRIED_BY_TESTS = "not (conforms and (method or mapping or metric))"

nox.options.sessions = ["tests", "lint", "types", "wheels"]
nox.options.reuse_venv = "yes"  # but for `wheels`, which is about clean environments
nox.options.error_on_missing_interpreters = True


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, with every plugin installed. Arguments go to pytest: `nox -s tests -- tests/graph -x`."""
    install_checkout(session, "test")
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs, env=one_thread())


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    lend_dependencies(session)
    install_checkout(session)
    install(session, "mypy", "pytest>=9.0")
    session.run("mypy", *session.posargs)
    with tempfile.TemporaryDirectory(prefix="xaicore-written-") as folder:  # what `xaicore new-plugin` writes, too
        written = write_plugins(session, Path(folder))
        parts = [str(each / part) for each in written for part in ("src", "tests")]
        session.run("mypy", *parts, env={"MYPYPATH": os.pathsep.join(str(each / "src") for each in written)})


@nox.session(reuse_venv=False)
@nox.parametrize("plugin", WHEELS, ids=WHEELS)
def wheels(session: nox.Session, plugin: str) -> None:
    """Build wheels, install the core's and one plugin's, and run the plugin's tests away from the checkout.

    The last are plugins of other authors: one of each kind that `xaicore new-plugin` writes, and the example of one.
    """
    lend_dependencies(session)
    with tempfile.TemporaryDirectory(prefix="xaicore-wheels-") as folder:
        place = Path(folder)
        if plugin == OF_OTHERS:
            install_plugins_of_others(session, place)
        else:
            below = built_on(plugin)
            build_wheels(session, place, ROOT, *(ROOT / "plugins" / name for name in (*below, plugin)))
            core, own = built(place, "xaicore"), built(place, f"xai_{plugin.replace('-', '_')}")
            wheels_below = (str(built(place, f"xai_{name}")) for name in below)
            install(session, str(core), *wheels_below, f"{own}[test]", "pytest-xdist")
            shutil.copytree(ROOT / "plugins" / plugin / "tests", place / "tests")
            shutil.copy(ROOT / "pyproject.toml", place)  # for the settings of pytest
        with session.chdir(place):
            session.run("xaicore", "plugins", env={"XAICORE_STRICT_PLUGINS": "1"})
            chosen = () if plugin == OF_OTHERS else ("-k", NOT_TRIED_BY_TESTS)
            pytest = ("pytest", "tests", "-n", "2", "--dist", "worksteal", *chosen)
            session.run(*pytest, *session.posargs, env=one_thread())


def install_plugins_of_others(session: nox.Session, place: Path) -> None:
    """Write a plugin of each kind outside of the checkout, install all from wheels, and leave nothing but the tests."""
    build_wheels(session, place, ROOT, ROOT / "plugins" / "lrp", ROOT / "examples" / "third_party")
    install(session, str(built(place, "xaicore")), str(built(place, "xai_lrp")), "hatchling", "ruff")
    written = write_plugins(session, place)
    with session.chdir(place):
        session.run("ruff", "check", *map(str, written))
        session.run("ruff", "format", "--check", *map(str, written))
    build_wheels(session, place, *written, isolated=False)
    own = [str(wheel) for wheel in (place / "wheels").glob("xai_a*.whl")]
    install(session, *(f"{wheel}[test]" for wheel in own), "pytest-xdist")
    shutil.copytree(ROOT / "examples" / "third_party" / "tests", place / "tests")
    for folder in written:
        shutil.copytree(folder / "tests", place / "tests", dirs_exist_ok=True)
        shutil.copy(folder / "pyproject.toml", place)  # for the settings of pytest, the same in all
        shutil.rmtree(folder)
    with session.chdir(place):
        session.run("xaicore", "list")
        session.run("xaicore", "check-plugin", f"a_{KINDS[0]}", env=one_thread())  # their tests do the same for all


@nox.session
def build(session: nox.Session) -> None:
    """Build all wheels and sdists twice, compare and check them, install them as users do, put them into dist/."""
    with tempfile.TemporaryDirectory(prefix="xaicore-build-") as folder:
        place = Path(folder)
        snapshot = steps.Snapshot.of(ROOT, place / "snapshot")
        steps.stop_at(session, agreement.disagreements(snapshot.packages))
        install(session, "build", "hatchling", "twine")
        one, other = (steps.build_in(session, snapshot, place, around) for around in building.UNLIKE)
        steps.stop_at(session, [f"{name} differs when built elsewhere." for name in building.differing(one, other)])
        steps.check_built(session, snapshot, one)
        steps.install_as_users_do(session, snapshot.packages, one, place, torch_pins())
        building.write_checksums(one)
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        shutil.copytree(one, ROOT / "dist")
    session.log(f"Wheels, sdists and SHA256SUMS are in {ROOT / 'dist'}")
    if building.uncommitted(ROOT):
        session.warn("This checkout differs from its last commit: do not publish these files.")


@nox.session(python="3.11")  # the lowest, too
def lowest(session: nox.Session) -> None:
    """Test with the lowest versions of dependencies that the packages state, torch excepted. Arguments go to pytest."""
    packages = read_packages(ROOT)
    steps.stop_at(session, lowest_supported.false_claims(packages))
    pins = lowest_supported.lowest_versions(packages, besides=("torch", "torchvision"))
    tools = lowest_supported.lowest_to_build(packages)
    to_run, to_build = (Path(session.create_tmp(), name) for name in ("run.txt", "build.txt"))
    to_run.write_text("\n".join([*torch_pins(), *(f"{name}=={version}" for name, version in pins.items())]))
    to_build.write_text("\n".join(f"{name}=={version}" for name, version in tools.items()))
    projects = [f"{ROOT}[segmentation,torchvision,transformers]"]
    projects += [f"{ROOT / 'plugins' / name}[test]" for name in PLUGINS]
    editable = [part for project in projects for part in ("--editable", project)]
    settings = {"PIP_CONSTRAINT": str(to_build), "PIP_NO_COMPILE": "1"}  # the variable reaches where packages are built
    session.install("--constraint", str(to_run), "pytest-xdist", *editable, env=settings)
    # What libraries as old call in newer ones may be deprecated there: matplotlib 3.8 in pyparsing, for one.
    options = ("-W", "ignore::DeprecationWarning", "-n", "2", "--dist", "worksteal")
    session.run("pytest", *options, *(session.posargs or TESTS_OF_LOWEST), env=one_thread())


@nox.session
def demo(session: nox.Session) -> None:
    """Explain the mistakes of a small network with every installed method, and write a folder of figures."""
    install_checkout(session)
    folder = ROOT / "demo-output"
    session.run("xaicore", "demo", "-o", str(folder), *session.posargs)
    session.log(f"The figures and their index page are in {folder}")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into docs/_build/html, warnings being errors; run the code of docstrings, guides and examples."""
    install_checkout(session, "test")
    install(session, "--editable", f"{ROOT}[docs]")
    places = ("docs", "docs/_build/html", "-d", "docs/_build/doctrees")
    session.run("sphinx-build", "-W", "--keep-going", "-E", "-b", "html", *places, env=one_thread())
    session.run("pytest", "--doctest-modules", "xaicore", *session.posargs)
    session.run("pytest", "tests/test_docs.py", "tests/test_examples.py", *session.posargs, env=one_thread())


@nox.session
def browser(session: nox.Session) -> None:
    """Test reports in Chromium, which is installed by apt-get where there is none. Playwright brings no browser."""
    if not any(map(shutil.which, CHROMIUM)):
        if shutil.which("apt-get") is None:
            session.error("These tests need Chromium, and there is no apt-get to install it with: install it yourself.")
        session.run("apt-get", "update", external=True)
        session.run("apt-get", "install", "--yes", "--no-install-recommends", "chromium", external=True)
    install(session, "--editable", f"{ROOT}[browser]", "pytest>=9.0")
    required = {"XAICORE_BROWSER_TESTS": "required"}
    session.run("pytest", "tests/browser", *session.posargs, env=one_thread() | required)


@nox.session
def bench(session: nox.Session) -> None:
    """Time rules, methods of many runs, recurrent networks, metrics, comparisons beside what they cost at least."""
    install_checkout(session, "test")
    for script in ("propagation", "many_runs", "recurrent", "comparison", "evaluation", "listing"):
        session.run("python", f"benchmarks/{script}.py", *session.posargs)


@nox.session
def architectures(session: nox.Session) -> None:
    """Write docs/architectures.md anew: coverage, conservation and time on each torchvision model, in about an hour."""
    install_checkout(session, "test")
    page = Path("docs", "architectures.md")
    session.run("python", "benchmarks/architectures.py", "--all", "--output", str(page), *session.posargs)


def install(session: nox.Session, *packages: str) -> None:
    """Install packages in the versions that the checks run with, also where pip builds them."""
    settings = {"PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_NO_COMPILE": "1"}  # most of torch is never imported
    session.install("--constraint", str(CONSTRAINTS), *packages, env=settings)


def install_checkout(session: nox.Session, *extras: str) -> None:
    """Install the core and all plugins from the checkout, editable."""
    suffix = f"[{','.join(extras)}]" if extras else ""
    projects = [str(ROOT) + suffix, *(str(ROOT / "plugins" / name) + suffix for name in PLUGINS)]
    install(session, *(part for project in projects for part in ("--editable", project)))


def lend_dependencies(session: nox.Session) -> None:
    """Let a session's environment see what the core depends on, which is unpacked and compiled once for all.

    In each environment that takes longer than many tests do. No more is lent than the core asks for: what a package
    uses and neither it nor the core asks for is as missing as in a clean environment.
    """
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies: list[str] = tomllib.load(file)["project"]["dependencies"]
    asked = "\n".join([*dependencies, CONSTRAINTS.read_text(encoding="utf-8")])
    home = ROOT / ".nox" / "lent"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # sessions may run side by side
        installed = home / "asked.txt"
        if not installed.exists() or installed.read_text(encoding="utf-8") != asked:
            session.run("python", "-m", "venv", "--clear", str(home))
            pip = (str(home / "bin" / "python"), "-m", "pip", "install", "--constraint", str(CONSTRAINTS))
            session.run(*pip, *dependencies, external=True, env={"PIP_NO_COMPILE": "1"})
            installed.write_text(asked, encoding="utf-8")
    (lent,) = home.glob("lib/python*/site-packages")
    (own,) = Path(session.virtualenv.location).glob("lib/python*/site-packages")
    (own / "lent.pth").write_text(f"{lent}\n")


def torch_pins() -> list[str]:
    """Return the lines of the constraints that pin torch: only its CPU build can be had everywhere."""
    return [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line.startswith("torch")]


def built_on(plugin: str) -> list[str]:
    """Return the other plugins of this repository that a plugin depends on."""
    with (ROOT / "plugins" / plugin / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    return [name for name in PLUGINS if any(each.startswith(f"xai-{name}>") for each in dependencies)]


def write_plugins(session: nox.Session, place: Path) -> list[Path]:
    """Write a plugin of each kind into a folder, and return the folders that they are in."""
    for kind in KINDS:
        session.run("xaicore", "new-plugin", f"a-{kind}", "--kind", kind, "--folder", str(place))
    return [place / f"xai-a-{kind}" for kind in KINDS]


def build_wheels(session: nox.Session, place: Path, *projects: Path, isolated: bool = True) -> None:
    """Build the wheel of each project in a folder below a place; not isolated, hatchling must be installed."""
    pip_wheel = ["pip", "wheel", "--no-deps", "--wheel-dir", str(place / "wheels")]
    pip_wheel += [] if isolated else ["--no-build-isolation"]
    session.run(*pip_wheel, *map(str, projects), env={"PIP_CONSTRAINT": str(CONSTRAINTS)})


def built(place: Path, name: str) -> Path:
    """Return the one wheel of a distribution."""
    (wheel,) = (place / "wheels").glob(f"{name}-*.whl")
    return wheel


def one_thread() -> dict[str, str]:
    """Tests are many and small: they run side by side, each on one core."""
    return {"OMP_NUM_THREADS": "1"}
