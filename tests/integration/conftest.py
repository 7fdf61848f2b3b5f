"""Fixtures for tests of published models."""

from __future__ import annotations

import pytest
import zoo
from published import Published


@pytest.fixture(scope="session")
def published(request: pytest.FixtureRequest) -> Published:
    """The model that a test names: ``@pytest.mark.parametrize("published", names, indirect=True)``."""
    return Published.of(request.param)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of one model follow each other, whatever files they are in, so that the fixture makes it once."""
    order = zoo.names()
    models = {item: name for item in items if (name := _model_of(item))}
    following = iter(sorted(models, key=lambda item: order.index(models[item])))
    items[:] = [next(following) if item in models else item for item in items]


def _model_of(item: pytest.Item) -> str:
    called = getattr(item, "callspec", None)
    return str(called.params.get("published", "")) if called is not None else ""
