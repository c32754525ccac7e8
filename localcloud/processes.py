"""Child processes that always end: they die with their parent, leave pid files, and have one owner."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_POLL = 0.05


class StackError(RuntimeError):
    """A process of the local cloud did not start or did not become healthy."""


class AlreadyRunningError(StackError):
    """Somebody else holds this state dir."""


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when the *thread* that forked it ends (Linux; elsewhere a no-op).

    Usable as `preexec_fn`, or called by a program at its start. Mind that the signal is tied to the forking
    thread (prctl(2)): fork from one that lives as long as the program, as `Process` does.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)


class Process:
    """One child process in a session of its own: Ctrl-C reaches only the parent, which ends it in order.

    `command` must name `state_dir` (or a path in it): that is how a later start knows a leftover for ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        state_dir: Path,
        *,
        log_file: Path,
        output_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Standard error goes to `log_file`, standard output to `output_file` if given, else there too.

        `death_signal` is what the kernel sends when the parent is gone without having ended its children.
        """
        self.name = name
        self.log_file = log_file
        self._command = list(command)
        self._state_dir = state_dir
        self._output_file = output_file
        self._environment = dict(environment if environment is not None else os.environ)
        self._directory = directory
        self._death_signal = death_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs and before it ran; negative = ended by that signal."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        if self.running:
            raise StackError(f"{self.name} runs already (pid {self.pid})")
        with contextlib.ExitStack() as stack:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            errors = stack.enter_context(self.log_file.open("ab"))
            output = stack.enter_context(self._output_file.open("ab")) if self._output_file else errors
            self._child = _on_spawner(
                lambda: subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    env=self._environment,
                    cwd=self._directory,
                    start_new_session=True,
                    preexec_fn=functools.partial(die_with_parent, self._death_signal),
                )
            )
        pid_file = _pid_file(self._state_dir, self.name)
        pid_file.parent.mkdir(exist_ok=True)
        pid_file.write_text(str(self._child.pid))
        log.info("started %s, pid %d", self.name, self._child.pid)

    def wait_until_ready(self, ready: Callable[[], bool], deadline: float) -> None:
        """Poll `ready` until it is true. `deadline` is in seconds from now.

        Raises StackError, with the end of the log, when the process ends or the time is over.
        """
        until = time.monotonic() + deadline
        while not ready():
            if not self.running:
                raise StackError(f"{self.name} ended with code {self.exit_code}.\n{self.log_tail()}")
            if time.monotonic() > until:
                raise StackError(f"{self.name} was not ready after {deadline:.0f} s.\n{self.log_tail()}")
            time.sleep(_POLL)

    def stop(self, *, grace: float = 10.0) -> None:
        """SIGTERM, and after `grace` seconds SIGKILL to it and everything that it started. Idempotent."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to it and everything that it started. Idempotent."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        code = self._child.wait()
        _pid_file(self._state_dir, self.name).unlink(missing_ok=True)
        log.info("%s ended with code %d", self.name, code)
        self._child = None

    def log_tail(self, lines: int = 30) -> str:
        if not self.log_file.exists():
            return "(no log)"
        with self.log_file.open("rb") as stream:
            stream.seek(max(0, self.log_file.stat().st_size - 64 * 1024))
            text = stream.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def end_leftovers(state_dir: Path) -> list[int]:
    """End what a killed run left behind, by its pid files; SIGTERM first. Returns the pids.

    A pid is only believed when its command line names the state dir: pids are reused.
    """
    ended = []
    for file in sorted((state_dir / "pids").glob("*.pid")):
        pid = _read_pid(file)
        if pid is not None and _is_ours(pid, state_dir):
            log.warning("ending %s, pid %d, left behind by a run that was killed", file.stem, pid)
            for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
                if _is_ours(pid, state_dir):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                    _wait_until_gone(pid, state_dir, patience)
            ended.append(pid)
        file.unlink(missing_ok=True)
    return ended


@contextlib.contextmanager
def exclusive(state_dir: Path) -> Iterator[None]:
    """Hold the state dir. A dead holder holds nothing (flock).

    Raises AlreadyRunningError, naming the process, when another holder lives.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise AlreadyRunningError(
                f"A local cloud already runs in {state_dir} (pid {owner}). Stop it, or use another state dir."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _pid_file(state_dir: Path, name: str) -> Path:
    return state_dir / "pids" / f"{name}.pid"


def _read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _is_ours(pid: int, state_dir: Path) -> bool:
    own = str(state_dir)
    return any(argument == own or argument.startswith(own + os.sep) for argument in _arguments(pid))


def _arguments(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone (or a zombie, which has none)."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []
    answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.split()


def _wait_until_gone(pid: int, state_dir: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while _is_ours(pid, state_dir) and time.monotonic() < until:
        time.sleep(_POLL)


class _Spawner(threading.Thread):
    """The thread that forks all children. It never ends, so the kernel's signal means the program's end."""

    def __init__(self) -> None:
        super().__init__(name="process-spawner", daemon=True)
        self.work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            self.work.get()()


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _on_spawner(spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    global _spawner
    result: Future[subprocess.Popen[bytes]] = Future()

    def work() -> None:
        try:
            result.set_result(spawn())
        except BaseException as error:  # noqa: BLE001 - belongs to the caller, who gets it from the future
            result.set_exception(error)

    with _spawner_lock:
        if _spawner is None or not _spawner.is_alive():  # a fork has no threads
            _spawner = _Spawner()
            _spawner.start()
        _spawner.work.put(work)
    return result.result()
