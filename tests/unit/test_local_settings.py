"""local.settings.json.example is what `make up HOST=func` writes, but for the addresses, and covers every setting."""

from __future__ import annotations

import dataclasses
import json

from demo.local_settings import example
from demo.topology import ROOT
from shared.config import Settings, setting_name


def test_the_example_in_the_checkout_is_up_to_date() -> None:
    file = ROOT / "local.settings.json.example"
    assert file.read_text() == example(), "run: python -m demo.local_settings"


def test_every_setting_is_there_and_can_be_read() -> None:
    values = json.loads(example())["Values"]
    names = {setting_name(item) for item in dataclasses.fields(Settings)}
    assert names - set(values) == set()
    assert Settings.from_environment(values).azureml_workspace


def test_core_tools_finds_everything_as_text() -> None:
    settings = json.loads(example())
    assert settings["IsEncrypted"] is False
    assert {type(value) for value in settings["Values"].values()} == {str}
    assert "AccountKey" not in example()
