"""One cloud and one browser for all tests of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import browser
from tests.e2e.dashboard.site import QUIET, Site
from tests.e2e.playground import running
from tests.e2e.stub_cloud import stub_topology


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    topology = stub_topology(tmp_path_factory.mktemp("dashboard"), settings=QUIET)
    with browser() as found, running(topology) as playground:
        yield Site(playground, found)
