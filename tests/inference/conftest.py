from __future__ import annotations

import pytest

from promptops.errors import PromptopsError
from promptops.inference import local, weights


@pytest.fixture(scope="session")
def embedded():
    """The endpoint of the embedded model, fetched if need be."""
    pytest.importorskip("xllamacpp", reason="the embedded model's runtime is not installed")
    try:
        weights.fetch()
    except PromptopsError as error:
        pytest.skip(f"the embedded model's weights cannot be fetched: {error}")
    with local.serving() as endpoint:
        yield endpoint
