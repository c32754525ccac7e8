"""A pytest plugin: which tests stay together when the run is spread over several worker processes.

A cloud is started once for all tests that share it, and an environment points the SDKs at one cloud at a time: tests
of one cloud run one after the other in one worker. All others stay together file by file, for their module's fixtures,
or as their own mark `xdist_group` says.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_END_TO_END = "tests/e2e/"
_CLOUDS = frozenset({"e2e", "integration", "contract"})
_SHARED_CLOUD = "azureml_cloud"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Before pytest-xdist reads the groups, which it does before any other plugin may change the collected items."""
    if item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The end-to-end tests first: they take longest, the other workers do the rest meanwhile."""
    items.sort(key=lambda item: _END_TO_END not in item.nodeid)


def pytest_collection_finish(session: pytest.Session) -> None:
    """pytest-xdist writes the group into the id of a test, which not every pytest lets it: 9.2 does not."""
    in_groups = session.config.getoption("loadgroup", default=False)
    if in_groups and session.items and not any("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("this pytest and this pytest-xdist do not keep groups of tests together")


def _group(item: pytest.Item) -> str:
    if _END_TO_END in item.nodeid:
        return "e2e"
    if _SHARED_CLOUD in getattr(item, "fixturenames", ()):
        return _SHARED_CLOUD
    return item.nodeid.partition("::")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """After a file that talks to a local cloud. SDKs leave clients to the garbage collector, which would find their
    open sockets in whatever test it happens to run next, and fail that one."""
    yield
    if _CLOUDS & set(item.path.parts) and (nextitem is None or nextitem.path != item.path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", lambda _: None)
            gc.collect()
