"""azure.yaml: azd deploys the folder that its hook builds, and its hooks run what is there, on every system alike."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest
import yaml

from infra.checks.places import INFRA, ROOT

CONFIGURATION: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())


@pytest.mark.parametrize("hook", CONFIGURATION["hooks"])
def test_a_hook_runs_a_module_that_is_there_on_every_system(hook: str) -> None:
    posix, windows = (CONFIGURATION["hooks"][hook][system]["run"] for system in ("posix", "windows"))
    assert posix.removeprefix("python3") == windows.removeprefix("python")
    (module,) = re.findall(r" -m ([\w.]+)", posix)
    assert importlib.util.find_spec(module) is not None


def test_the_folder_that_is_deployed_is_the_one_that_is_built() -> None:
    (service,) = CONFIGURATION["services"].values()
    built = CONFIGURATION["hooks"]["prepackage"]["posix"]["run"].split()[-1]
    assert service["project"].removeprefix("./") == built
    assert (service["host"], service["language"]) == ("function", "python")


def test_azd_finds_the_template_and_the_app_that_it_makes() -> None:
    assert (INFRA / f"{CONFIGURATION['infra']['module']}.bicep").is_file()
    (name,) = CONFIGURATION["services"]
    assert f"'azd-service-name': '{name}'" in (INFRA / "modules" / "function-app.bicep").read_text()
