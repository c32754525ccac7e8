"""host.json, app settings, keys, connections and binding expressions of the local Functions host."""

from __future__ import annotations

import json
import socket
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from localcloud.functions.app_settings import SettingsError, UnresolvedSettingError, expand, load_settings
from localcloud.functions.binding_expressions import UnresolvedExpressionError, fill, path_parameters
from localcloud.functions.blob_trigger import split_blob_url
from localcloud.functions.connections import Endpoint, MissingConnectionError, Service, find_endpoint
from localcloud.functions.host_json import HostJson, load_host_json
from localcloud.functions.keys import load_keys
from localcloud.functions.output_bindings import queue_bodies
from localcloud.functions.queue_listener import next_delay, poison_queue_name
from localcloud.functions.queue_trigger import body_properties
from localcloud.functions.server import bind
from localcloud.functions.typed_data import Binary, InputData, JsonText, Text

if TYPE_CHECKING:
    from pathlib import Path


def host_json(tmp_path: Path, document: object, **settings: str) -> HostJson:
    file = tmp_path / "host.json"
    file.write_text(json.dumps(document))
    return load_host_json(file, settings)


def test_host_json_has_the_defaults_of_azure(tmp_path: Path) -> None:
    config = host_json(tmp_path, {"version": "2.0"})
    assert (config.route_prefix, config.function_timeout) == ("api", 1800.0)
    assert (config.queues.batch_size, config.queues.max_dequeue_count) == (16, 5)
    assert (config.queues.visibility_timeout, config.queues.max_polling_interval) == (0.0, 60.0)
    assert config.queues.base64


def test_host_json_is_read_and_app_settings_override_it(tmp_path: Path) -> None:
    queues = {"batchSize": 4, "newBatchThreshold": 0, "visibilityTimeout": "00:00:30", "messageEncoding": "none"}
    document = {
        "version": "2.0",
        "functionTimeout": "-1",
        "extensions": {"http": {"routePrefix": ""}, "queues": queues},
    }
    override = {"AzureFunctionsJobHost__extensions__Queues__batchSize": "2"}
    config = host_json(tmp_path, document, **override)
    assert (config.route_prefix, config.function_timeout) == ("", None)
    assert (config.queues.batch_size, config.queues.new_batch_threshold) == (2, 0)
    assert (config.queues.visibility_timeout, config.queues.base64) == (30.0, False)


@pytest.mark.parametrize(
    ("parallelism", "batch", "threshold"), [(100, 32, 68), (64, 32, 32), (16, 9, 7), (2, 2, 0), (1, 1, 0)]
)
def test_blob_parallelism_is_split_as_the_blob_extension_does(parallelism: int, batch: int, threshold: int) -> None:
    options = HostJson(blob_parallelism=parallelism).blob_queue
    assert (options.batch_size, options.new_batch_threshold) == (batch, threshold)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"version": "1.0"},
        {"version": "2.0", "functionTimeout": "5 minutes"},
        {"version": "2.0", "extensions": {"queues": {"batchSize": 33}}},
        {"version": "2.0", "extensions": {"queues": {"batchSize": "many"}}},
    ],
)
def test_a_wrong_host_json_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(SettingsError):
        host_json(tmp_path, document)


def test_app_settings_are_flat_and_become_strings(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"A": "x", "B": 1, "C": true}')
    assert load_settings(file) == {"A": "x", "B": "1", "C": "true"}
    file.write_text('{"Values": {"A": "x"}}')
    with pytest.raises(SettingsError, match="Values"):
        load_settings(file)


def test_settings_are_expanded_or_missed_by_name() -> None:
    assert expand("a-%B%-%C%", {"B": "1", "C": "2"}) == "a-1-2"
    with pytest.raises(UnresolvedSettingError, match="%B%"):
        expand("%B%", {})


def test_missing_keys_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "state" / "keys.json"
    keys = load_keys(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_keys(file) == keys
    assert keys.opens_webhook(keys.by_name["blobs_extension"], "blobs")
    assert not keys.opens_webhook("", "nobody")
    assert not keys.opens_admin("")


@pytest.mark.parametrize(
    ("settings", "service", "endpoint"),
    [
        ({"C": "conn"}, "blob", Endpoint(connection_string="conn")),
        ({"AzureWebJobsC": "conn"}, "queue", Endpoint(connection_string="conn")),
        ({"C": "conn", "C__serviceUri": "u"}, "blob", Endpoint(connection_string="conn")),
        ({"C__blobServiceUri": "b", "C__queueServiceUri": "q"}, "blob", Endpoint(url="b")),
        ({"C__blobServiceUri": "b", "C__queueServiceUri": "q"}, "queue", Endpoint(url="q")),
        ({"C__serviceUri": "u", "C__clientId": "i"}, "queue", Endpoint(url="u", client_id="i")),
    ],
)
def test_a_connection_is_a_string_or_an_identity(
    settings: dict[str, str], service: Service, endpoint: Endpoint
) -> None:
    assert find_endpoint("C", service, settings) == endpoint


def test_only_the_host_storage_may_be_an_account_name() -> None:
    settings = {"AzureWebJobsStorage__accountName": "acc", "C__accountName": "acc"}
    found = find_endpoint("AzureWebJobsStorage", "queue", settings)
    assert found == Endpoint(url="https://acc.queue.core.windows.net")
    with pytest.raises(MissingConnectionError, match="'C'"):
        find_endpoint("C", "queue", settings)


def test_binding_expressions_are_filled_from_binding_data() -> None:
    metadata: dict[str, InputData] = {"name": Text("a"), "data": JsonText('{"run": {"id": 7}}'), "raw": Binary(b"x")}
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    filled = fill("{Name}/{data.run.id}/{rand-guid}/{DateTime}", metadata, lambda: "guid", lambda: moment)
    assert filled == "a/7/guid/2026-11-22T10:00:00Z"
    with pytest.raises(UnresolvedExpressionError, match="raw"):
        fill("{raw}", metadata)


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("c/{name}", "c/a/b.txt", {"name": "a/b.txt"}),
        ("c/{a}/{b}.txt", "c/x/y.txt", {"a": "x", "b": "y"}),
        ("c/{name}.txt", "c/a.json", {}),
        ("{container}/{name}", "c/n", {"container": "c", "name": "n"}),
        ("c/x.txt", "c/x.txt", {}),
    ],
)
def test_a_blob_path_yields_its_parameters(pattern: str, path: str, values: dict[str, str]) -> None:
    assert path_parameters(pattern, path) == values


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://acc.blob.core.windows.net/c/a/b%20c.txt", ("c", "a/b c.txt")),
        ("http://127.0.0.1:10000/devstoreaccount1/c/b", ("c", "b")),
        ("http://localhost:10000/devstoreaccount1/c/b", ("c", "b")),
    ],
)
def test_a_blob_url_is_split(url: str, parts: tuple[str, str]) -> None:
    assert split_blob_url(url) == parts


@pytest.mark.parametrize("url", ["", "https://acc.blob.core.windows.net/c", "http://127.0.0.1/acc/c"])
def test_a_url_without_a_blob_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no blob"):
        split_blob_url(url)


def test_a_json_message_yields_its_simple_properties() -> None:
    properties = body_properties('{"a": "x", "b": 1, "c": {"d": 2}, "e": [1], "f": null}')
    assert properties == {"a": Text("x"), "b": JsonText("1"), "c": JsonText('{"d": 2}')}
    assert body_properties("[1]") == body_properties("text") == {}


def test_a_list_is_one_message_per_element() -> None:
    assert queue_bodies(JsonText('["a", {"b": 1}]')) == [b"a", b'{"b": 1}']
    assert queue_bodies(Text("x")) == queue_bodies(Binary(b"x")) == [b"x"]


def test_polling_backs_off_while_there_is_nothing_and_never_beyond_its_limit() -> None:
    delays = [0.1]
    for _ in range(10):
        delays.append(next_delay(delays[-1], found=0, longest=5.0, jitter=0.5))
    assert delays[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert delays[-1] == 5.0
    assert next_delay(5.0, found=1, longest=5.0, jitter=0.5) == 0.0
    assert next_delay(0.0, found=0, longest=5.0, jitter=0.5) == 0.1


def test_answers_are_not_held_back_by_nagles_algorithm() -> None:
    """asyncio sets TCP_NODELAY only for sockets whose protocol says TCP."""
    with bind(0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(("queue", "poison"), [("work", "work-poison"), ("work-poison", None), ("q" * 57, None)])
def test_a_poison_queue_has_no_poison_queue_of_its_own(queue: str, poison: str | None) -> None:
    assert poison_queue_name(queue) == poison
