"""The settings file of a cloud that somebody starts for code of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.config import PRICES, AdvancedFilter, CloudConfig, Compute, Durations, Ports
from localcloud.settings import DEFAULT_MODEL, SettingsError, configuration, read_settings

PORTS = Ports(1, 2, 3, 4, 5, 6)


def configured(tmp_path: Path, text: str) -> CloudConfig:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return configuration(tmp_path / "state", PORTS, "secret", read_settings(file))


def test_without_settings_there_is_a_model_that_is_built_from_nothing(tmp_path: Path) -> None:
    (model,) = configuration(tmp_path, PORTS, "secret", {}).models
    assert model.name == DEFAULT_MODEL
    assert model.path == f"registry/{DEFAULT_MODEL}/1"


def test_models_are_folders_beside_the_file_or_built(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    config = configured(
        tmp_path,
        '[[models]]\nname = "a"\npath = "mine"\n[[models]]\nname = "b"\nversion = "7"\ntags = {stage = 1}\n',
    )
    assert [(model.name, model.version, model.path) for model in config.models] == [
        ("a", "1", str(tmp_path / "mine")),
        ("b", "7", "registry/b/7"),
    ]
    assert config.models[1].tags == {"stage": "1"}


def test_durations_are_scaled_but_for_those_that_are_named(tmp_path: Path) -> None:
    durations = configured(tmp_path, "[durations]\nscale = 0.5\nendpoint_create = 30\n").durations
    assert durations.endpoint_create == 30
    assert durations.deployment_create == Durations().deployment_create / 2


def test_every_part_of_the_configuration_can_be_set_and_survives_its_file(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        """
        custom_topics = ["news"]
        fast_training = true
        poll_seconds = 1
        event_retry_scale = 1
        prices = {Standard_F2s_v2 = 1}
        scoring = {processes = 2}
        components = [{name = "chat_completion_pipeline", version = "0.0.82", command = ["train"]}]
        computes = [{name = "gpu", max_nodes = 2}]
        limits = {deployments_per_endpoint = 2, roles = {someone = ["Reader"]}}
        [[event_subscriptions]]
        name = "s"
        topic = "news"
        endpoint = "http://127.0.0.1:1/hook"
        event_types = ["a"]
        advanced_filters = [{operator = "StringIn", key = "subject", values = ["x"]}]
        """,
    )
    assert config.computes == (Compute("gpu", max_nodes=2),)
    assert config.prices == {**PRICES, "Standard_F2s_v2": 1}
    assert config.scoring.processes == 2
    assert config.components[0].command == ("train",)
    assert config.limits.roles == {"someone": ("Reader",)}
    assert config.event_subscriptions[0].advanced_filters == (AdvancedFilter("StringIn", "subject", ("x",)),)
    (tmp_path / "state").mkdir()
    config.save()
    assert CloudConfig.load(config.file) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast = true", "fast is no setting"),
        ('poll_seconds = "1"', "poll_seconds: '1' is no int"),
        ("poll_seconds = true", "poll_seconds: True is no int"),
        ("fast_training = 1", "fast_training: 1 is no bool"),
        ("scoring = {process = 1}", "scoring: .*'process'"),
        ('identity_header = "x"', "identity_header is no setting"),
        ("fast_training =", "is not TOML"),
        ('[[models]]\nname = "a"\npath = "nowhere"', "nowhere is not a folder"),
        ("[[models]]\nversion = 1", "models: 'name'"),
        ("[durations]\nendpoint_created = 1", "endpoint_created"),
        ('[durations]\nscale = "fast"', "durations: could not convert"),
        ('[[event_subscriptions]]\nname = "s"', "event_subscriptions: "),
    ],
)
def test_what_can_not_be_set_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        configured(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml can not be read"):
        read_settings(tmp_path / "nowhere.toml")
