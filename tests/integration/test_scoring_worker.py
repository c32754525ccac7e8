"""One scoring container over HTTP, as the local cloud starts it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.base_model import build
from localcloud.training.runtime import prepare

prepare()
pytestmark = pytest.mark.training

MESSAGES = [{"role": "user", "content": "Could you book a table for two?"}]
GREEDY = {"do_sample": False, "max_new_tokens": 12}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(model: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "localcloud.scoring", "--model", str(model), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def statuses_until_healthy(url: str, process: subprocess.Popen[str], deadline: float = 60) -> list[int]:
    """What /health answered, once the port was open, until it was 200."""
    seen: list[int] = []
    end = time.monotonic() + deadline
    while time.monotonic() < end and process.poll() is None:
        try:
            seen.append(httpx.get(f"{url}/health", timeout=5).status_code)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if seen[-1] == 200:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"not healthy: {seen[-1:]}, exit code {process.poll()}")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def health(model: Path) -> Iterator[tuple[str, list[int]]]:
    port = free_port()
    with started(model, port) as process:
        url = f"http://127.0.0.1:{port}"
        yield url, statuses_until_healthy(url, process)


@pytest.fixture(scope="module")
def url(health: tuple[str, list[int]]) -> str:
    return health[0]


def score(url: str, messages: object, **parameters: object) -> httpx.Response:
    return post(url, {"input_data": {"input_string": messages, "parameters": parameters}})


def post(url: str, body: Mapping[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}/score", json=body, timeout=30)


def test_it_is_unhealthy_while_it_loads_and_healthy_afterwards(health: tuple[str, list[int]]) -> None:
    _, statuses = health
    assert statuses[0] == 503
    assert statuses[-1] == 200
    assert set(statuses) == {503, 200}


def test_messages_of_one_conversation_get_one_output(url: str) -> None:
    answer = score(url, MESSAGES, **GREEDY)
    assert answer.status_code == 200
    assert set(answer.json()) == {"output"}
    assert isinstance(answer.json()["output"], str)


def test_a_list_of_one_conversation_gets_the_same_answer(url: str) -> None:
    assert score(url, [MESSAGES], **GREEDY).json() == score(url, MESSAGES, **GREEDY).json()


def test_several_conversations_get_a_list(url: str) -> None:
    other = [{"role": "user", "content": "Thanks!"}]
    answers = score(url, [MESSAGES, other], **GREEDY).json()
    assert answers == [score(url, MESSAGES, **GREEDY).json(), score(url, other, **GREEDY).json()]


def test_the_request_of_the_sample_notebook_is_answered(url: str) -> None:
    parameters = {"temperature": 0.6, "top_p": 0.9, "do_sample": True, "max_new_tokens": 200}
    body = {"input_data": {"input_string": [MESSAGES], "parameters": parameters}, "params": {}}
    assert post(url, body).status_code == 200


def test_parameters_may_be_left_out(url: str) -> None:
    assert post(url, {"input_data": {"input_string": MESSAGES}}).status_code == 200


def test_temperature_zero_is_greedy(url: str) -> None:
    answers = {score(url, MESSAGES, temperature=0, max_new_tokens=12).text for _ in range(3)}
    assert answers == {score(url, MESSAGES, **GREEDY).text}


def test_a_high_temperature_varies(url: str) -> None:
    assert len({score(url, MESSAGES, temperature=2.0, top_k=0, max_new_tokens=12).text for _ in range(4)}) > 1


def test_more_tokens_give_a_longer_answer_when_the_end_is_ignored(url: str) -> None:
    short, long = (
        score(url, MESSAGES, do_sample=False, ignore_eos=True, max_new_tokens=tokens).json()["output"]
        for tokens in (5, 50)
    )
    assert len(long) > len(short)
    assert long.startswith(short)


def test_the_full_text_has_the_question_in_it(url: str) -> None:
    assert "book a table for two?" in score(url, MESSAGES, return_full_text=True, **GREEDY).json()["output"]


def test_an_answer_of_sixty_tokens_takes_less_than_two_seconds(url: str) -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        assert score(url, MESSAGES, ignore_eos=True, max_new_tokens=60).status_code == 200
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(3)) < 2


def test_requests_at_the_same_time_are_all_answered(url: str) -> None:
    expected = score(url, MESSAGES, **GREEDY).json()
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(score, url, MESSAGES, **GREEDY) for _ in range(12)]
    assert all(answer.result().json() == expected for answer in answers)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "'input_data'"),
        (b'{"input_data": []}', "'input_data'"),
        (b'{"input_data": {}}', "'input_data.input_string'"),
        (b'{"input_data": {"input_string": []}}', "'input_data.input_string'"),
        (b'{"input_data": {"input_string": "Hi"}}', "'input_data.input_string'"),
        (b'{"input_data": {"input_string": [[]]}}', "not empty"),
        (b'{"input_data": {"input_string": ["Hi"]}}', "an object"),
        (b'{"input_data": {"input_string": [{"role": "user"}]}}', "'role' and 'content'"),
        (b'{"messages": [{"role": "user", "content": "Hi"}]}', "'input_data'"),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_the_reason(url: str, body: bytes, complaint: str) -> None:
    answer = httpx.post(f"{url}/score", content=body, timeout=30)
    assert answer.status_code == 400
    assert complaint in answer.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", "hot"),
        ("top_p", 1.5),
        ("top_k", 0.5),
        ("max_new_tokens", 0),
        ("max_new_tokens", True),
        ("do_sample", "yes"),
    ],
)
def test_a_parameter_out_of_bounds_is_refused_by_name(url: str, name: str, value: object) -> None:
    answer = score(url, MESSAGES, **{name: value})
    assert answer.status_code == 400
    assert f"'{name}'" in answer.text


def test_a_conversation_longer_than_the_model_can_read_is_refused(url: str) -> None:
    answer = score(url, [{"role": "user", "content": "table " * 3000}])
    assert answer.status_code == 400
    assert "tokens" in answer.text


def test_a_folder_without_a_model_ends_it_with_the_reason(tmp_path: Path) -> None:
    with started(tmp_path, free_port()) as process:
        _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "The model can not be served" in log
    assert "config.json" in log


def test_damaged_weights_end_it_with_the_reason(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "model"
    folder.mkdir(parents=True)
    for file in (model / "data" / "model").iterdir():
        (folder / file.name).write_bytes(
            file.read_bytes()[:1000] if file.suffix == ".safetensors" else file.read_bytes()
        )
    with started(tmp_path, free_port()) as process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "The model can not be served" in log
    assert "Traceback" not in log
