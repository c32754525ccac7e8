"""How many steps a run has, when it looks at the validation data, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.training.parameters import Parameters, Scheduler

FAST_STEPS = 3

_POLYNOMIAL_END = 1e-7
"""Share of the learning rate at which the polynomial schedule ends; its power is 1, as in transformers."""


@dataclass(frozen=True)
class Plan:
    """Counts are optimizer steps. `evaluate_every` and `log_every` are 0 for "never"."""

    total: int
    per_epoch: int
    evaluate_every: int
    log_every: int

    def evaluates_at(self, step: int) -> bool:
        return bool(self.evaluate_every) and (step % self.evaluate_every == 0 or step == self.total)

    def logs_at(self, step: int) -> bool:
        return step % self.log_every == 0 or step in {1, self.total}

    def ends_epoch_at(self, step: int) -> bool:
        return step % self.per_epoch == 0 or step == self.total


def plan(parameters: Parameters, examples: int, *, fast: bool) -> Plan:
    """`fast` ends after three steps, whatever the parameters say."""
    batches = math.ceil(examples / parameters.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(batches / parameters.gradient_accumulation_steps))
    total = parameters.max_steps if parameters.max_steps > 0 else per_epoch * parameters.num_train_epochs
    if fast:
        total = min(total, FAST_STEPS)
    return Plan(
        total=total,
        per_epoch=per_epoch,
        evaluate_every=_evaluate_every(parameters, per_epoch, total),
        log_every=per_epoch if parameters.logging_strategy == "epoch" else parameters.logging_steps,
    )


def _evaluate_every(parameters: Parameters, per_epoch: int, total: int) -> int:
    if parameters.evaluation_strategy == "disable":
        return 0
    if parameters.evaluation_strategy == "epoch":
        return per_epoch
    if parameters.evaluation_steps_interval > 0:
        return max(1, math.ceil(total * parameters.evaluation_steps_interval))
    return parameters.eval_steps


def learning_rate_factor(scheduler: Scheduler, step: int, *, warmup: int, total: int) -> float:
    """Share of the learning rate that step `step` (from 0) uses: a linear warm-up, then the schedule's curve.

    The same curves as in transformers, but a step early at the start: the first step of a warm-up learns too.
    """
    if step < warmup and scheduler != "constant":
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return _CURVES[scheduler](min(1.0, max(0.0, done)))


def _cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _constant(_: float) -> float:
    return 1.0


_CURVES: dict[Scheduler, Callable[[float], float]] = {
    "linear": lambda done: 1.0 - done,
    "cosine": _cosine,
    "cosine_with_restarts": _cosine,  # with transformers' default of one cycle there is no restart
    "polynomial": lambda done: (1.0 - done) * (1.0 - _POLYNOMIAL_END) + _POLYNOMIAL_END,
    "constant": _constant,
    "constant_with_warmup": _constant,
}
