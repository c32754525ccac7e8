import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.datasets.paths import FILE_NAMES, DatasetFile, parse_blob_name
from shared.errors import InvalidDatasetError


@pytest.mark.parametrize(
    ("blob_name", "expected", "split"),
    [
        (
            "ultrachat/2026-11-22/train_sft.jsonl",
            DatasetFile("ultrachat", "2026-11-22", "train_sft.jsonl"),
            "train_sft",
        ),
        ("a/1/test_sft.jsonl", DatasetFile("a", "1", "test_sft.jsonl"), "test_sft"),
        ("my-chats-2/v1.0_rc-1/test_gen.jsonl", DatasetFile("my-chats-2", "v1.0_rc-1", "test_gen.jsonl"), "test_gen"),
        ("0/Z/tuning.json", DatasetFile("0", "Z", "tuning.json"), None),
        (f"{'a' * 40}/{'9' * 40}/tuning.json", DatasetFile("a" * 40, "9" * 40, "tuning.json"), None),
    ],
)
def test_a_blob_in_the_layout_is_a_file_of_a_version(blob_name: str, expected: DatasetFile, split: str | None) -> None:
    file = parse_blob_name(blob_name)

    assert file == expected
    assert file.split == split


@pytest.mark.parametrize(
    "blob_name",
    [
        "",
        "/",
        "train_sft.jsonl",
        "ultrachat/train_sft.jsonl",
        "ultrachat/1/extra/train_sft.jsonl",
        "/ultrachat/1/train_sft.jsonl",
        "ultrachat//train_sft.jsonl",
        "../1/train_sft.jsonl",
        "ultrachat/../train_sft.jsonl",
        "ultrachat/./train_sft.jsonl",
        "ultrachat/1..2/train_sft.jsonl",
        "ultrachat/1./train_sft.jsonl",
        "ultrachat/-1/train_sft.jsonl",
        "ultrachat%2F1/1/train_sft.jsonl",
        "ultrachat/1%2e%2e/train_sft.jsonl",
        "UltraChat/1/train_sft.jsonl",
        "ultra--chat/1/train_sft.jsonl",
        "ultrachat-/1/train_sft.jsonl",
        "ultra_chat/1/train_sft.jsonl",
        "ultra chat/1/train_sft.jsonl",
        "ultrachat\n/1/train_sft.jsonl",
        "ultrachat/1\n/train_sft.jsonl",
        "ultrachat/1\x00/train_sft.jsonl",
        "ultrаchat/1/train_sft.jsonl",  # Cyrillic a
        "ultrachat/１/train_sft.jsonl",  # full-width digit
        "ultrachat\\1\\train_sft.jsonl",
        f"{'a' * 41}/1/train_sft.jsonl",
        f"a/{'1' * 41}/train_sft.jsonl",
        "a/" * 100_000,
    ],
)
def test_any_other_folder_is_refused_with_what_to_do(blob_name: str) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        parse_blob_name(blob_name)

    assert caught.value.code == "UnsupportedPath"
    assert "upload to" in caught.value.message or "take 1 to 40" in caught.value.message
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("train.jsonl", "Did you mean train_sft.jsonl?"),
        ("train_sft.json", "Did you mean train_sft.jsonl?"),
        ("TEST_SFT.jsonl", "Did you mean test_sft.jsonl?"),
        ("train_sft.jsonl ", "Did you mean train_sft.jsonl?"),
        ("tunning.json", "Did you mean tuning.json?"),
        ("README.md", "name it one of"),
        ("", "name it one of"),
        ("x" * 1000, "name it one of"),
        ("train_sft.jsonl\n", "name it one of"),
    ],
)
def test_an_unknown_file_name_is_refused_with_the_nearest_one(name: str, hint: str) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        parse_blob_name(f"ultrachat/1/{name}")

    assert caught.value.code == "UnsupportedName"
    assert hint in caught.value.message
    assert caught.value.message.isprintable()


_pieces = st.one_of(
    st.sampled_from(["ultrachat", "1", "..", ".", "", "%2F", "\x00", "а", *FILE_NAMES]),
    st.text(max_size=50),
    st.from_regex(r"[a-zA-Z0-9._-]{1,45}", fullmatch=True),
)


@given(st.one_of(st.text(), st.lists(_pieces, max_size=5).map("/".join)))
@example("a/1/tuning.json\n")
@example("a/1\u2028/tuning.json")
def test_whatever_is_uploaded_is_a_dataset_file_or_refused(blob_name: str) -> None:
    found = parsed_or_refused(blob_name)

    if isinstance(found, DatasetFile):
        assert f"{found.dataset}/{found.version}/{found.name}" == blob_name
        assert blob_name.isascii()
        assert ".." not in blob_name
        assert found.name in FILE_NAMES
    else:
        assert found.code in ("UnsupportedPath", "UnsupportedName")
        assert found.message.isascii()
        assert found.message.isprintable()


def parsed_or_refused(blob_name: str) -> DatasetFile | InvalidDatasetError:
    try:
        return parse_blob_name(blob_name)
    except InvalidDatasetError as error:
        return error
