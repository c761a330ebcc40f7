"""Fixtures that several rooms share, and how hypothesis looks for examples.

The same examples are tried at every run, so that a red CI can be repeated. To look for new ones:
`HYPOTHESIS_PROFILE=explore make test`.
"""

import os
from collections.abc import Iterator

import dagster as dg
import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
