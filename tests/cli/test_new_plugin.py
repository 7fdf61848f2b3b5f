"""`xaicore new-plugin`: what it refuses, what it writes, and that what it writes works at once."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

import xaicore
from xaicore.cli.main import cli
from xaicore.cli.scaffold.kinds import KINDS
from xaicore.cli.scaffold.names import LONGEST, names_of
from xaicore.errors import ParameterError
from xaicore.plugins import find_metric, find_renderer, reset_registry, resolve
from xaicore.plugins.surface import surface
from xaicore.scoring import Case
from xaicore.testing.plugins.usage import usage_of
from xaicore.visualization import render


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@dataclass(frozen=True)
class Installed:
    """A package that was written, and what is on `sys.path` of it."""

    kind: str
    folder: Path

    @property
    def namespace(self) -> str:
        return f"written_{self.kind}"

    @property
    def metadata(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())


@pytest.fixture(params=KINDS)
def installed(request: pytest.FixtureRequest, tmp_path: Path, site: Any) -> Iterator[Installed]:
    """A package of each kind, as pip would install it."""
    kind = request.param
    result = run("new-plugin", f"written-{kind}", "--kind", kind, "--folder", tmp_path)
    assert result.exit_code == 0, result.output
    written = Installed(kind, tmp_path / f"xai-written-{kind}")
    package = f"xai_written_{kind}"
    shutil.copytree(written.folder / "src" / package, site.folder / package)
    (points,) = written.metadata["project"]["entry-points"].values()
    ((name, module),) = points.items()
    site.install(f"xai-written-{kind}", name, entry_points=f"[xaicore.plugins]\n{name} = {module}\n")
    reset_registry()
    yield written
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[module]


def test_what_is_written_loads_lists_and_works(installed: Installed) -> None:
    records = {record["namespace"]: record for record in json.loads(run("plugins", "--json").stdout)}
    assert (records[installed.namespace]["status"], records[installed.namespace]["cause"]) == ("ok", "")
    _USES[installed.kind](installed.namespace)


def check_rule_is_used(namespace: str) -> None:
    assert f"{namespace}.power" in run("list", "--family", "relevance").stdout
    torch.manual_seed(0)
    model, x = nn.Linear(4, 3).double(), torch.randn(1, 4, dtype=torch.float64)
    shares = resolve(f"xai_{namespace}:Power")(2.0).jacobian_form(model.weight, model.bias, x[0])
    sizes = (x * model.weight).square()
    torch.testing.assert_close(shares, sizes / (sizes.sum(1) + model.bias.square())[:, None])
    explanation = xaicore.explain(model, x, method=f"{namespace}.power", power=2.0, target=1)
    torch.testing.assert_close(explanation.relevance, (model(x)[0, 1] * shares[1])[None].detach())


def check_method_is_used(namespace: str) -> None:
    assert f"{namespace}.perturbed_gradient" in run("list", "--family", "perturbation").stdout

    def model(x: Tensor) -> Tensor:
        return 3 * x

    explanation = xaicore.explain(model, torch.ones(2, 1), method=f"{namespace}.perturbed_gradient", samples=1)
    torch.testing.assert_close(explanation.relevance, torch.full((2, 1), 3.0))


def check_metric_is_used(namespace: str) -> None:
    assert f"{namespace}.hoyer" in run("list", "--metrics").stdout
    given = xaicore.GivenRelevance(nn.Linear(4, 2), relevance=torch.tensor([[0.0, 0, 7, 0], [1, 1, -1, 1]]))
    scores = resolve(find_metric(f"{namespace}.hoyer").target)().score(Case(given, torch.ones(2, 4), 0))
    assert list(scores) == pytest.approx([1, 0]) and scores.metric == f"{namespace}.hoyer"


def check_renderer_is_used(namespace: str) -> None:
    assert f"{namespace}.concentration" in run("list", "--renderers").stdout
    assert find_renderer("concentration").name == f"{namespace}.concentration"
    axes = render(torch.tensor([[0.0, -2.0], [0.0, 2.0]]), f"{namespace}.concentration")
    assert axes.lines[0].get_ydata() == pytest.approx([0, 0, 0.5, 0.5, 0.5])


def check_mapping_is_used(namespace: str) -> None:
    layer = resolve(f"xai_{namespace}:MovingAverage")(0.5)
    x = torch.tensor([[8.0, 4.0, 2.0]], dtype=torch.float64)
    explanation = xaicore.explain(layer, x, method="lrp.zero", target=2)
    # 8 is halved three times until the last mean, 4 twice, 2 once.
    torch.testing.assert_close(explanation.relevance, torch.tensor([[1.0, 1, 1]], dtype=x.dtype), rtol=1e-5, atol=0)


_USES = {
    "rule": check_rule_is_used,
    "method": check_method_is_used,
    "metric": check_metric_is_used,
    "renderer": check_renderer_is_used,
    "mapping": check_mapping_is_used,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_metadata_claims_what_the_code_needs(kind: str, tmp_path: Path) -> None:
    run("new-plugin", "claims", "--kind", kind, "--folder", tmp_path)
    folder = tmp_path / "xai-claims"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    usage = usage_of(folder / "src" / "xai_claims", surface())
    lowest, _ = usage.lowest()
    assert not usage.private and not usage.deprecated
    assert f"xaicore>={lowest},<1" in project["dependencies"]
    assert f'XAICORE_API = "{lowest}"' in (folder / "src" / "xai_claims" / "_plugin.py").read_text()
    kit = min(surface().names["xaicore.testing"].values())
    assert f"xaicore>={kit}" in project["optional-dependencies"]["test"]
    imported = {line.split()[1].partition(".")[0] for file in folder.glob("src/*/*.py") for line in imports_of(file)}
    stated = {requirement.partition(">")[0].replace("-", "_") for requirement in project["dependencies"]}
    assert imported - {"xai_claims"} - sys.stdlib_module_names == stated


def imports_of(file: Path) -> list[str]:
    return [line for line in map(str.strip, file.read_text().splitlines()) if line.startswith(("import ", "from "))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", "b" * LONGEST])
def test_every_file_is_complete_whatever_the_name(kind: str, name: str, tmp_path: Path) -> None:
    author = 'Zoë "Z" O\'Neil \\ Söhne'
    who = ("--author", author, "--email", "zoe@example.org")
    result = run("new-plugin", name, "--kind", kind, "--folder", tmp_path, *who, "--licence", "mit")
    assert result.exit_code == 0, result.output
    folder = tmp_path / f"xai-{name}"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    for expected in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "noxfile.py", ".gitignore"):
        assert expected in files
    assert {".github/workflows/tests.yml", f"src/xai_{name}/py.typed", f"src/xai_{name}/_plugin.py"} <= files
    assert author in (folder / "LICENSE").read_text(encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == [{"name": author, "email": "zoe@example.org"}] and project["license"] == "MIT"
    for file in folder.rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        compile(source, str(file), "exec")
        assert max(map(len, source.splitlines())) <= 120
        assert "{{" not in source and "{%" not in source and "PACKAGE" not in source


def test_it_says_where_the_package_is_and_three_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = run("new-plugin", "Foo").stdout.splitlines()
    assert lines[0].startswith("Wrote xai-foo: a rule of layer-wise relevance propagation")
    commands = [line.strip() for line in lines[1:] if line]
    assert commands == ["cd xai-foo", 'python -m pip install --editable ".[test]"', "python -m pytest"]
    assert "the authors of xai-foo" in (tmp_path / "xai-foo" / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["foo-bar", "Foo_Bar", "xai-foo-bar", "xai_foo_bar", "XAI-FOO-BAR"])
def test_a_name_is_the_same_however_it_is_written(name: str) -> None:
    names = names_of(name)
    assert (names.distribution, names.package, names.namespace) == ("xai-foo-bar", "xai_foo_bar", "foo_bar")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        *[
            (name, "cannot be the name")
            for name in ("", "xai-", "2d", "a b", "a.b", "a/b", "../a", "a\\b", "-a", "a--b")
        ],
        *[(name, "cannot be the name") for name in ("a-", "größe", "ａ", "a\n", "a-_b")],
        ("class", "word of Python"),
        ("xai-lambda", "word of Python"),
        ("b" * (LONGEST + 1), "at most"),
        *[(name, "xaicore's own") for name in ("core", "xaicore", "lrp", "xai-lrp", "deep_taylor", "Activation-Max")],
    ],
)
def test_names_that_cannot_be_are_refused(name: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=cause):
        names_of(name)
    result = run("new-plugin", "--folder", tmp_path, "--", name)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_taken_here_are_refused(site: Any) -> None:
    site.install("somebodys-paint", "paint")
    (site.folder / "xai_brush.py").write_text("")
    reset_registry()
    with pytest.raises(ParameterError, match=r"installed plugin \(somebodys-paint 1\.0\)"):
        names_of("paint")
    with pytest.raises(ParameterError, match="'xai_brush' can already be imported"):
        names_of("brush")


@pytest.mark.parametrize(
    ("option", "text"),
    [("--author", "  "), ("--author", "A\nB"), ("--email", "a b@c"), ("--email", "A <a@b>"), ("--email", "nowhere")],
)
def test_authors_that_cannot_be_written_down_are_refused(option: str, text: str, tmp_path: Path) -> None:
    result = run("new-plugin", "foo", "--folder", tmp_path, option, text)
    assert result.exit_code == 2 and option in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "xai-foo"
    target.mkdir()
    assert run("new-plugin", "foo", "--folder", tmp_path).exit_code == 0  # an empty folder is no loss
    (target / "README.md").write_text("mine")
    before = sorted(target.rglob("*"))
    result = run("new-plugin", "foo", "--folder", tmp_path, "--kind", "metric")
    assert result.exit_code == 2 and "nothing is overwritten" in result.stderr
    assert sorted(target.rglob("*")) == before and (target / "README.md").read_text() == "mine"


@pytest.mark.parametrize("make", [lambda path: path.write_text("a file"), lambda path: path.symlink_to("nowhere")])
def test_neither_files_nor_links_are_replaced(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "xai-foo")
    assert "nothing is overwritten" in run("new-plugin", "foo", "--folder", tmp_path).stderr


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stopped"]
)
def test_what_fails_half_way_leaves_nothing(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, written = Path.write_text, []

    def failing(self: Path, *arguments: Any, **options: Any) -> int:
        written.append(self)
        if len(written) == 5:
            raise error
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", failing)
    result = run("new-plugin", "foo", "--folder", tmp_path)
    assert result.exit_code != 0 and len(written) == 5
    assert "Wrote" not in result.output
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, OSError):
        assert f"{tmp_path / 'xai-foo'} cannot be written: No space left on device." in result.stderr


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    result = run("new-plugin", "foo", "--folder", tmp_path / "nowhere")
    assert result.exit_code == 2 and "nowhere" in result.stderr
