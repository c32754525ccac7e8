"""Doing a list of things in its order, a few at a time, as long as there is time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_turn(
    tasks: Sequence[Task], do: Callable[[Task], Result], *, at_once: int, in_time: Callable[[], bool]
) -> list[Result]:
    """The results of the first tasks, in their order: at least one; none is begun once `in_time` is false.

    One at a time runs on the calling thread. Raises what `do` raises, once those under way have ended.
    """
    todo = deque(enumerate(tasks))
    done: dict[int, Result] = {}

    def work() -> None:
        while todo and (in_time() or len(todo) == len(tasks)):
            try:
                number, task = todo.popleft()
            except IndexError:
                return  # another thread took the last one
            done[number] = do(task)

    if at_once == 1:
        work()
    else:
        with ThreadPoolExecutor(at_once, thread_name_prefix="asking") as pool:
            for future in [pool.submit(work) for _ in range(min(at_once, len(tasks)))]:
                future.result()
    return [done[number] for number in sorted(done)]
