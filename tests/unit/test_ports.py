"""A state dir keeps its ports, because URLs with them are stored in it."""

from __future__ import annotations

import os
import socket
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from localcloud.ports import PortInUseError, allot_ports
from localcloud.processes import AlreadyRunningError, Process, exclusive

if TYPE_CHECKING:
    from pathlib import Path


def test_a_state_dir_gets_six_different_ports_and_keeps_them(tmp_path: Path) -> None:
    first = allot_ports(tmp_path)

    assert len(set(astuple(first))) == 6
    assert allot_ports(tmp_path) == first


def test_two_state_dirs_do_not_share_ports_in_use(tmp_path: Path) -> None:
    first = allot_ports(tmp_path / "a")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first.blob))
        taken.listen()

        second = allot_ports(tmp_path / "b")

    assert first.blob not in astuple(second)


def test_a_port_that_somebody_else_took_is_named_with_what_to_do(tmp_path: Path) -> None:
    ports = allot_ports(tmp_path)
    with socket.socket() as intruder:
        intruder.bind(("127.0.0.1", ports.queue))
        intruder.listen()

        with pytest.raises(PortInUseError, match="queue storage") as caught:
            allot_ports(tmp_path)

    assert caught.value.port == ports.queue
    assert str(ports.queue) in str(caught.value)
    assert "Stop that program" in str(caught.value)


def test_ports_of_a_state_dir_in_use_are_not_given_out(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        allot_ports(tmp_path)


def test_what_a_killed_run_left_on_a_port_is_ended_first(tmp_path: Path) -> None:
    ports = allot_ports(tmp_path)
    listen = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    leftover = Process(
        "blob",
        ["python3", "-c", listen, str(ports.blob), str(tmp_path / "data")],
        tmp_path,
        log_file=tmp_path / "leftover.log",
    )
    leftover.start()
    try:
        leftover.wait_until_ready(lambda: _listens(ports.blob), deadline=10)

        assert allot_ports(tmp_path) == ports
        assert not _listens(ports.blob)
    finally:
        leftover.kill()


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    other = Process("other", ["sleep", "60"], tmp_path / "elsewhere", log_file=tmp_path / "other.log")
    (tmp_path / "elsewhere").mkdir()
    other.start()
    try:
        state = tmp_path / "state"
        (state / "pids").mkdir(parents=True)
        (state / "pids" / "azurite.pid").write_text(str(other.pid))

        allot_ports(state)

        assert other.running
        assert not (state / "pids" / "azurite.pid").exists()
    finally:
        other.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
