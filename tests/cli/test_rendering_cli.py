"""`xaicore explain --render`: figures drawn by any renderer."""

from __future__ import annotations

from pathlib import Path

import pytest
from explaining import folder_of, here, run, run_json
from PIL import Image

__all__ = ["here"]  # a fixture for all tests


def picture(report: dict) -> bytes:  # type: ignore[type-arg]
    (figure,) = [name for name in report["samples"][0]["files"] if name.endswith(".png")]
    return Image.open(figure).tobytes()


def test_figures_are_drawn_by_the_renderer_that_is_named() -> None:
    image = folder_of(8) / "0.png"
    drawn = [
        picture(run_json("own_models:of_one_size", image, *options))
        for options in ([], ["--render", "graymap"], ["--render", "core.graymap"], ["--render", "contours"])
    ]
    assert drawn[0] != drawn[1] == drawn[2] != drawn[3]


def test_options_of_a_renderer_are_given_by_name() -> None:
    image = folder_of(8) / "0.png"
    few, many = (
        picture(run_json("own_models:of_one_size", image, "--render", "pattern", "--render-param", f"keep={keep}"))
        for keep in (0.1, 0.9)
    )
    assert few != many


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--render", "contuors"], "Did you mean 'contours'?"),
        (["--render", "contours", "--render-param", "levles=3"], "core.contours has no option 'levles'"),
        (["--render-param", "levels=3"], "name it with --render"),
        (["--render", "contours", "--overlaid"], "--overlaid is the renderer core.overlay"),
    ],
)
def test_a_renderer_that_cannot_draw_is_refused_before_work_starts(arguments: list[str], message: str) -> None:
    result = run("own_models:of_one_size", folder_of(8) / "0.png", *arguments)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert not Path("explanations").exists()
