import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidDatasetError, PermanentError
from shared.finetuning.component_input import CoercionError, coerce
from shared.finetuning.parameters import ComponentInput, Dropped, build_parameters


def declared(
    name: str,
    type: str = "string",
    *,
    optional: bool = True,
    default: str | None = None,
    enum: tuple[str, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> ComponentInput:
    return ComponentInput(name, type, optional, default, enum, minimum, maximum)


BOOLEAN = ("true", "false")
INPUTS = {
    component_input.name: component_input
    for component_input in (
        declared("num_train_epochs", "integer", minimum=1),
        declared("per_device_train_batch_size", "integer", minimum=1),
        declared("per_device_eval_batch_size", "integer", minimum=1),
        declared("learning_rate", "number"),
        declared("lr_scheduler_type", enum=("linear", "cosine")),
        declared("apply_lora", enum=BOOLEAN),
        declared("apply_deepspeed", enum=BOOLEAN),
        declared("deepspeed_stage", enum=("2", "3")),
        declared("precision", enum=("32", "16")),
        declared("max_seq_length", "integer"),
        declared("lora_dropout", "number", minimum=0, maximum=1),
        declared("shm_size_finetune"),
        declared("optim", optional=False, default="adamw_torch"),
        declared("task_name", optional=False, default="ChatCompletion", enum=("ChatCompletion",)),
        declared("mlflow_model_path", "mlflow_model"),
        declared("train_file_path", "uri_file", optional=False),
        declared("deepspeed", "uri_file"),
        declared("compute_finetune"),
        declared("instance_type_finetune"),
        declared("instance_type_preprocess"),
        declared("number_of_gpu_to_use_finetuning", "integer", minimum=1),
    )
}
NOTEBOOK = {
    "num_train_epochs": "3",
    "per_device_train_batch_size": "1",
    "per_device_eval_batch_size": "1",
    "learning_rate": "5e-06",
    "lr_scheduler_type": "cosine",
    "apply_lora": "true",
    "apply_deepspeed": "true",
    "deepspeed_stage": "2",
}


def test_without_any_wishes_the_notebooks_parameters_are_submitted() -> None:
    built = build_parameters(INPUTS, model_defaults={}, overrides={})

    assert built.values == NOTEBOOK
    assert built.dropped == ()


def test_the_models_defaults_win_over_the_notebooks_and_the_users_over_both() -> None:
    built = build_parameters(
        INPUTS,
        model_defaults={"deepspeed_stage": 3, "precision": 16, "learning_rate": "2e-5", "num_train_epochs": 1},
        overrides={"learning_rate": 1e-4, "max_seq_length": "2048"},
    )

    assert built.values == {
        **NOTEBOOK,
        "deepspeed_stage": "3",
        "precision": "16",
        "num_train_epochs": "1",
        "learning_rate": "0.0001",
        "max_seq_length": "2048",
    }


def test_defaults_that_the_component_does_not_take_are_dropped_and_reported() -> None:
    built = build_parameters(
        INPUTS,
        model_defaults={
            "learning_rate_min": "5e-7",
            "precision": "4",
            "num_train_epochs": [1],
            "compute_finetune": "my-cluster",
            "deepspeed": "./ds.json",
        },
        overrides={},
    )

    assert built.values == NOTEBOOK
    assert built.dropped == (
        Dropped("learning_rate_min", "'5e-7'", "model", "the component has no such input"),
        Dropped("precision", "'4'", "model", "must be one of 32, 16"),
        Dropped("num_train_epochs", "[1]", "model", "must be an integer of at least 1"),
        Dropped("compute_finetune", "'my-cluster'", "model", "droptune sets it; the compute is an app setting"),
        Dropped("deepspeed", "'./ds.json'", "model", "it is a path (uri_file), and only uploaded files are used"),
    )


def test_a_component_without_an_input_of_the_notebook_does_not_get_it() -> None:
    inputs = {name: value for name, value in INPUTS.items() if name != "apply_deepspeed"}

    built = build_parameters(inputs, model_defaults={}, overrides={})

    assert "apply_deepspeed" not in built.values
    assert [(item.name, item.source) for item in built.dropped] == [("apply_deepspeed", "droptune")]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"learning_rat": 1}, "'learning_rat' is not a parameter of the pipeline (did you mean learning_rate?)"),
        ({"xyz": 1}, "'xyz' is not a parameter of the pipeline."),
        ({"num_train_epochs": 0}, "num_train_epochs must be an integer of at least 1, not '0'"),
        ({"num_train_epochs": 3.5}, "num_train_epochs must be an integer of at least 1, not '3.5'"),
        ({"lora_dropout": 1.5}, "lora_dropout must be a number from 0 to 1, not '1.5'"),
        ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type must be one of linear, cosine, not 'cosin'"),
        ({"apply_lora": 1}, "apply_lora must be one of true, false, not '1'"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, not 'fast'"),
        ({"instance_type_finetune": "x"}, "set finetune_instance_type beside parameters instead"),
        ({"number_of_gpu_to_use_finetuning": 8}, "it follows from finetune_instance_type; set that"),
        ({"instance_type_preprocess": "x"}, "droptune sets it with the instance type of fine-tuning"),
        ({"compute_finetune": "x"}, "the compute is an app setting"),
        ({"mlflow_model_path": "x"}, "set base_model beside parameters instead"),
        ({"train_file_path": "x"}, "it is train_sft.jsonl of the version"),
        ({"deepspeed": "x"}, "it is a path (uri_file)"),
        ({"task_name": "ChatCompletion"}, "it is always ChatCompletion"),
        ({"\x00" * 500: 1}, "is not a parameter of the pipeline"),
    ],
)
def test_a_users_parameter_that_can_not_be_used_is_refused_by_name(overrides: dict[str, object], expected: str) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        build_parameters(INPUTS, model_defaults={}, overrides=overrides)

    assert caught.value.code == "InvalidParameter"
    assert expected in caught.value.message
    assert caught.value.message.isprintable()


def test_all_of_a_users_mistakes_are_named_at_once() -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        build_parameters(INPUTS, model_defaults={}, overrides={"a": 1, "num_train_epochs": 0, "precision": 8})

    assert caught.value.message.count(";") == 2


def test_a_required_parameter_that_nobody_gives_is_named() -> None:
    inputs = {**INPUTS, "new_input": declared("new_input", "integer", optional=False)}

    with pytest.raises(PermanentError) as caught:
        build_parameters(inputs, model_defaults={}, overrides={})

    assert caught.value.code == "MissingParameter"
    assert "new_input" in caught.value.message
    assert build_parameters(inputs, model_defaults={}, overrides={"new_input": 1}).values["new_input"] == "1"


@pytest.mark.parametrize(
    ("type", "enum", "value", "literal"),
    [
        ("integer", None, 3, "3"),
        ("integer", None, "3", "3"),
        ("integer", None, " 3 ", "3"),
        ("integer", None, 3.0, "3"),
        ("integer", None, "3.0", "3"),
        ("integer", None, "-1", "-1"),
        ("integer", None, "1e3", "1000"),
        ("number", None, 1e-5, "1e-05"),
        ("number", None, "5e-6", "5e-06"),
        ("number", None, 1, "1.0"),
        ("boolean", None, True, "true"),
        ("boolean", None, "False", "false"),
        ("string", BOOLEAN, True, "true"),
        ("string", BOOLEAN, "True", "true"),
        ("string", BOOLEAN, "FALSE", "false"),
        ("string", ("2", "3"), 2, "2"),
        ("string", ("2", "3"), 3.0, "3"),
        ("string", ("32", "16"), "16", "16"),
        ("string", ("Linear", "linear"), "linear", "linear"),
        ("integer", ("2", "4"), "4", "4"),
        ("string", None, "5g", "5g"),
        ("string", None, 5, "5"),
        ("string", None, 0.5, "0.5"),
    ],
)
def test_other_spellings_of_a_value_become_the_declared_one(
    type: str, enum: tuple[str, ...] | None, value: object, literal: str
) -> None:
    assert coerce(declared("x", type, enum=enum), value) == literal


@pytest.mark.parametrize(
    ("type", "enum", "value"),
    [
        ("integer", None, 3.5),
        ("integer", None, "3.5"),
        ("integer", None, True),
        ("integer", None, "true"),
        ("integer", None, ""),
        ("integer", None, None),
        ("integer", None, float("nan")),
        ("integer", None, float("inf")),
        ("integer", None, "1e400"),
        ("integer", None, "٣"),
        ("integer", None, "1_000"),
        ("integer", None, 10**30),
        ("integer", None, "9" * 5000),
        ("integer", None, [1]),
        ("number", None, "nan"),
        ("number", None, "inf"),
        ("number", None, "0x10"),
        ("number", None, False),
        ("number", None, 10**400),
        ("boolean", None, "yes"),
        ("boolean", None, 1),
        ("string", BOOLEAN, 1),
        ("string", BOOLEAN, "yes"),
        ("string", ("32", "16"), "4"),
        ("string", None, ""),
        ("string", None, "a\nb"),
        ("string", None, "\x00"),
        ("string", None, {}),
        ("string", None, None),
        ("integer", ("2", "4"), 3),
        ("uri_file", None, "x"),
    ],
)
def test_a_value_that_means_something_else_is_refused(type: str, enum: tuple[str, ...] | None, value: object) -> None:
    with pytest.raises(CoercionError, match="must be"):
        coerce(declared("x", type, enum=enum), value)


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.from_regex(r"[-+0-9.eE]{1,25}"),
    st.lists(st.none()),
)


@given(st.sampled_from(sorted(INPUTS.values(), key=lambda item: item.name)), _values)
def test_a_coerced_value_stays_the_same_when_it_is_coerced_again(
    component_input: ComponentInput, value: object
) -> None:
    try:
        literal = coerce(component_input, value)
    except CoercionError:
        return
    assert coerce(component_input, literal) == literal
