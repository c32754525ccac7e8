import json
from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.datasets.promotion import SmokeExpectations
from shared.datasets.tuning_file import IdleSettings, TuningFile, canonical, parse_tuning_file
from shared.errors import InvalidDatasetError


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidDatasetError) as caught:
        parse_tuning_file(data)
    assert caught.value.code == "InvalidTuningFile"
    assert caught.value.message.isprintable()
    return caught.value.message


HOURS = "Mon–Fri 08:00–18:00 Europe/Berlin"
IDLE = json.dumps({"idle": {"after_minutes": 240, "grace_minutes": 30.5, "keep_hours": HOURS}}).encode()


def test_a_version_may_have_an_idle_time_of_its_own() -> None:
    assert parse_tuning_file(IDLE).idle == IdleSettings(240, 30.5, HOURS)


def test_idle_settings_are_no_part_of_what_a_tuning_stands_for() -> None:
    assert canonical(parse_tuning_file(IDLE)) == canonical(TuningFile())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (b'{"idle": {"after_minutes": 0}}', "idle.after_minutes must be a number above 0"),
        (b'{"idle": {"grace_minutes": "1"}}', "idle.grace_minutes must be a number above 0"),
        (b'{"idle": {"after_minutes": 99999999}}', "at most 43200"),
        (b'{"idle": {"keep_hours": "always"}}', "idle.keep_hours: 'always' is no IANA time zone"),
        (b'{"idle": {"keep_hours": ["Mon 08:00-18:00 UTC"]}}', "idle.keep_hours must be hours of the week"),
        (b'{"idle": {"after": 5}}', "unknown key 'idle.after'"),
        (b'{"idle": 5}', "idle must be an object"),
    ],
)
def test_idle_settings_that_make_no_sense_are_refused(settings: bytes, problem: str) -> None:
    assert problem in refusal(settings)


def test_every_setting_is_read() -> None:
    file = parse_tuning_file(
        b"""\xef\xbb\xbf{
          "base_model": "Phi-4", "base_model_version": "8",
          "parameters": {"num_train_epochs": 2, "learning_rate": 1e-5, "apply_lora": true, "optim": "adafactor"},
          "finetune_instance_type": "Standard_NC24ads_A100_v4",
          "inference_instance_type": "Standard_NC6s_v3",
          "instance_count": 2,
          "smoke": {"max_latency_seconds": 30, "must_contain": ["hello"], "must_not_contain": ["\\u00e4rger"],
                    "min_characters": 1, "max_repetition": 0.4, "samples": 7, "max_failures": 1,
                    "max_latency_p95_seconds": 20, "max_repeated_answers": 2, "min_rouge_l": 0.3,
                    "min_exact_match": 0.1, "not_worse_than_live": 0.05, "max_eval_loss": 2}
        }"""
    )

    assert file == TuningFile(
        base_model="Phi-4",
        base_model_version="8",
        parameters={"num_train_epochs": 2, "learning_rate": 1e-5, "apply_lora": True, "optim": "adafactor"},
        finetune_instance_type="Standard_NC24ads_A100_v4",
        inference_instance_type="Standard_NC6s_v3",
        instance_count=2,
        smoke=SmokeExpectations(30.0, ("hello",), ("ärger",), 1, 0.4, 7, 1, 20.0, 2, 0.3, 0.1, 0.05, 2.0),
    )


@pytest.mark.parametrize("data", [b"{}", b' {"smoke": {}, "parameters": {}, "base_model": null} '])
def test_an_empty_file_leaves_everything_to_the_app(data: bytes) -> None:
    assert parse_tuning_file(data) == TuningFile()


def test_unknown_keys_are_named_all_with_their_path_and_the_nearest_known() -> None:
    message = refusal(b'{"base_modle": "Phi-4", "colour": 1, "smoke": {"must_contains": ["x"]}}')

    assert "unknown key 'base_modle' (did you mean base_model?)" in message
    assert "unknown key 'colour'" in message
    assert "unknown key 'smoke.must_contains' (did you mean must_contain?)" in message


def test_all_mistakes_are_named_at_once() -> None:
    message = refusal(b'{"instance_count": "2", "smoke": {"min_characters": 0}, "parameters": [1], "x": 1}')

    assert "instance_count must be an integer from 1 to 50, not the string '2'" in message
    assert "smoke.min_characters must be an integer from 1 to 10000, not 0" in message
    assert "parameters must be an object, not a list of 1" in message
    assert "unknown key 'x'" in message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not JSON at line 1, column 1"),
        (b"[]", "must hold one JSON object"),
        (b"null", "must hold one JSON object"),
        (b'{"base_model": "a",}', "not JSON at line 1"),
        (b'{"instance_count": 1, "instance_count": 2}', "the key 'instance_count' stands there twice"),
        (b'{"parameters": {"seed": 1, "seed": 1}}', "the key 'seed' stands there twice"),
        (b'{"parameters": {"seed": NaN}}', "NaN is not a JSON number"),
        (b'{"parameters": {"seed": -Infinity}}', "-Infinity is not a JSON number"),
        (b'{"parameters": {"seed": 1e999}}', "parameters.'seed' must be a number"),
        (b'{"parameters": {"seed": ' + b"9" * 5000 + b"}}", "too many digits"),
        (b'{"parameters": {"seed": null}}', "parameters.'seed' must be a number"),
        (b'{"parameters": {"seed": [1]}}', "parameters.'seed' must be a number"),
        (b'{"parameters": {"seed": "\\ud800"}}', "parameters.'seed' must be a number"),
        (b'{"parameters": {"seed": "' + b"x" * 1001 + b'"}}', "at most 1000 characters"),
        (b'{"base_model": "\xff"}', "byte 17 is not UTF-8"),
        (b'{"base_model": 4}', "base_model must be a model name like Phi-4, not 4"),
        (b'{"base_model": "../../etc"}', "base_model must be a model name"),
        (b'{"base_model": "azureml://registries/x"}', "base_model must be a model name"),
        (b'{"base_model_version": 8}', 'a version in quotes like "8"'),
        (b'{"finetune_instance_type": "Standard NC6"}', "must be an instance type"),
        (b'{"instance_count": true}', "instance_count must be an integer"),
        (b'{"instance_count": 1.0}', "instance_count must be an integer"),
        (b'{"instance_count": 51}', "from 1 to 50"),
        (b'{"smoke": []}', "smoke must be an object"),
        (b'{"smoke": {"max_latency_seconds": 0}}', "above 0 and at most 180"),
        (b'{"smoke": {"must_contain": "hello"}}', "must be a list of at most 20 strings"),
        (b'{"smoke": {"must_contain": ["a", ""]}}', "smoke.must_contain[1] must be a string of 1 to 200"),
        (
            b'{"smoke": {"must_contain": ["Hello"], "must_not_contain": ["x", "hell"]}}',
            "smoke.must_contain[0] contains smoke.must_not_contain[1]",
        ),
        (b'{"smoke": {"samples": 0}}', "smoke.samples must be an integer from 1 to 50, not 0"),
        (b'{"smoke": {"min_rouge_l": 30}}', "smoke.min_rouge_l must be a number above 0 and at most 1, not 30"),
        (b"[" * 60_000, "nested deeper than 8 levels"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "nested deeper than 8 levels"),
        (b" " * 65_537, "at most 65536 are allowed"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(data: bytes, expected: str) -> None:
    assert expected in refusal(data)


def test_brackets_in_a_string_are_not_nesting() -> None:
    assert parse_tuning_file(b'{"smoke": {"must_contain": ["\\"[[[[[[[[[[[["]}}').smoke.must_contain == (
        '"' + "[" * 12,
    )


def test_the_same_settings_written_differently_have_the_same_canonical_bytes() -> None:
    one = parse_tuning_file(b'{"base_model": "Phi-4", "parameters": {"seed": 3, "learning_rate": 1e-5}}')
    other = parse_tuning_file(
        b'{"smoke": {}, "parameters": {"learning_rate": 0.00001, "seed": 3.0}, "base_model": "Phi-4"}'
    )

    assert canonical(one) == canonical(other)


def test_what_is_not_set_is_not_part_of_a_tunings_identity() -> None:
    assert canonical(parse_tuning_file(b'{"smoke": {"min_characters": 3}}')) == (
        b'{"parameters":{},"smoke":{"min_characters":3}}'
    )


@pytest.mark.parametrize(
    "other",
    [
        b'{"parameters": {"seed": "3"}}',
        b'{"parameters": {"seed": 4}}',
        b'{"parameters": {"apply_lora": true}}',
        b'{"instance_count": 3}',
        b'{"smoke": {"must_contain": ["3"]}}',
        b"{}",
    ],
)
def test_other_settings_have_other_canonical_bytes(other: bytes) -> None:
    assert canonical(parse_tuning_file(b'{"parameters": {"seed": 3}}')) != canonical(parse_tuning_file(other))


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_keys = st.sampled_from(
    ["base_model", "base_model_version", "parameters", "instance_count", "smoke", "idle", "finetune_instance_type", "x"]
)
_smoke_keys = st.sampled_from([*(item.name for item in fields(SmokeExpectations)), "y"])


@given(
    st.one_of(
        st.binary(max_size=200),
        _json_values.map(lambda value: json.dumps(value).encode()),
        st.dictionaries(_keys, _json_values | st.dictionaries(_smoke_keys, _json_values)).map(
            lambda value: json.dumps(value).encode()
        ),
    )
)
@example(b'{"parameters": {"x": -0.0}}')
def test_whatever_the_file_holds_it_is_read_or_refused(data: bytes) -> None:
    found = parsed_or_refused(data)

    if isinstance(found, TuningFile):
        assert parse_tuning_file(canonical(found)) == replace(found, idle=IdleSettings())
    else:
        assert found.code == "InvalidTuningFile"
        assert found.message.isprintable()


def parsed_or_refused(data: bytes) -> TuningFile | InvalidDatasetError:
    try:
        return parse_tuning_file(data)
    except InvalidDatasetError as error:
        return error
