"""The optimisation itself: a plain loop in 32-bit floating point on at most two threads.

A loop of one's own starts faster than transformers' Trainer, and a test can follow every number in it.
"""

from __future__ import annotations

import logging
import math
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.training.batches import Batch, evaluation_batches, training_batches
from localcloud.training.encoding import IGNORED, Example
from localcloud.training.schedule import Plan, learning_rate_factor

if TYPE_CHECKING:
    import torch

    from localcloud.training.parameters import Parameters
    from localcloud.training.progress import Progress

log = logging.getLogger(__name__)

THREADS = 2


def use_threads_and_seed(seed: int) -> None:
    """Same seed, same machine: same weights."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)


def summed_loss(model: Any, batch: Batch) -> tuple[torch.Tensor, int]:
    """Cross-entropy summed over the tokens that are to be learnt, and how many these are.

    Rows are padded at their end only, so that causal attention needs no mask.
    """
    import torch

    width = max(len(example.tokens) for example in batch)
    tokens = torch.tensor([list(row.tokens) + [0] * (width - len(row.tokens)) for row in batch])
    labels = torch.tensor([list(row.labels) + [IGNORED] * (width - len(row.labels)) for row in batch])
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
    learnt = labels[:, 1:] != IGNORED
    loss = torch.nn.functional.cross_entropy(logits[learnt].float(), labels[:, 1:][learnt], reduction="sum")
    return loss, int(learnt.sum())


def mean_loss(model: Any, examples: Sequence[Example], batch_size: int) -> float:
    """Cross-entropy per assistant token in nats."""
    import torch

    model.eval()
    total, learnt = 0.0, 0
    with torch.no_grad():
        for batch in evaluation_batches(examples, batch_size):
            loss, count = summed_loss(model, batch)
            total += float(loss)
            learnt += count
    model.train()
    return total / learnt


class DivergedError(Exception):
    """The loss is not a number any more."""


@dataclass
class FineTuning:
    """One run over `model`, whose trainable parameters it changes in place."""

    model: Any
    train: Sequence[Example]
    validation: Sequence[Example]
    parameters: Parameters
    plan: Plan
    progress: Progress
    checkpoints: Path
    _best: float = field(default=math.inf, init=False)
    _not_better: int = field(default=0, init=False)
    _running: list[float] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Raises DivergedError."""
        import torch

        parameters, plan = self.parameters, self.plan
        optimizer = _optimizer(self.model, parameters)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(
                parameters.lr_scheduler_type, step, warmup=parameters.warmup_steps, total=plan.total
            ),
        )
        self._evaluate(step=0)
        self.model.train()
        for step, group in zip(range(1, plan.total + 1), self._step_batches(), strict=False):
            rate = float(scheduler.get_last_lr()[0])
            self._running.append(self._learn(group, optimizer))
            scheduler.step()
            self._log(step, rate)
            if plan.ends_epoch_at(step):
                self._save_checkpoint(step)
            if plan.evaluates_at(step):
                self._evaluate(step)
                if self._is_stuck():
                    log.info("stopped early at step %d: the evaluation loss does not fall any more", step)
                    return

    def _step_batches(self) -> Iterator[Sequence[Batch]]:
        """The batches of one optimizer step after the other, epoch after epoch, without an end."""
        rng = random.Random(self.parameters.seed)  # noqa: S311  # an order, not a secret
        size = self.parameters.per_device_train_batch_size
        count = self.parameters.gradient_accumulation_steps
        while True:
            epoch = list(training_batches(self.train, size, rng))
            yield from (epoch[start : start + count] for start in range(0, len(epoch), count))

    def _learn(self, group: Sequence[Batch], optimizer: torch.optim.Optimizer) -> float:
        """One optimizer step over the batches of `group`. Returns the mean loss per token."""
        import torch

        count = sum(sum(example.learnt for example in batch) for batch in group)
        total = 0.0
        for batch in group:
            loss, _ = summed_loss(self.model, batch)
            (loss / count).backward()  # type: ignore[no-untyped-call]  # torch does not type it
            total += float(loss.detach())
        if not math.isfinite(total):
            raise DivergedError("The training loss is not a number any more: lower the learning_rate.")
        if self.parameters.max_grad_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.parameters.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        return total / count

    def _log(self, step: int, rate: float) -> None:
        if not self.plan.logs_at(step):
            return
        mean = sum(self._running) / len(self._running)
        self._running.clear()
        self.progress.metric("loss", mean, at=step, total=self.plan.total)
        self.progress.metric("learning_rate", rate, at=step, total=self.plan.total)
        log.info("step %d of %d: loss %.4f", step, self.plan.total, mean)

    def _evaluate(self, step: int) -> None:
        if not self.validation or not self.plan.evaluate_every:
            return
        loss = mean_loss(self.model, self.validation, self.parameters.per_device_eval_batch_size)
        self.progress.metric("eval_loss", loss, at=step, total=self.plan.total)
        log.info("step %d of %d: evaluation loss %.4f", step, self.plan.total, loss)
        is_better = loss < self._best - self.parameters.early_stopping_threshold
        self._not_better = 0 if is_better else self._not_better + 1
        self._best = min(self._best, loss)

    def _is_stuck(self) -> bool:
        parameters = self.parameters
        return parameters.apply_early_stopping and self._not_better >= parameters.early_stopping_patience

    def _save_checkpoint(self, step: int) -> None:
        """Keep the weights of the last `save_total_limit` epochs."""
        limit = self.parameters.save_total_limit
        if limit == 0:
            return
        self.model.save_pretrained(self.checkpoints / f"checkpoint-{step}")
        kept = sorted(self.checkpoints.iterdir(), key=lambda folder: int(folder.name.rpartition("-")[2]))
        for folder in kept[:-limit] if limit > 0 else []:
            shutil.rmtree(folder)


def _optimizer(model: Any, parameters: Parameters) -> torch.optim.Optimizer:
    import torch

    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    if parameters.optim == "adafactor":
        return torch.optim.Adafactor(trainable, lr=parameters.learning_rate, weight_decay=parameters.weight_decay)
    return torch.optim.AdamW(
        trainable,
        lr=parameters.learning_rate,
        betas=(parameters.adam_beta1, parameters.adam_beta2),
        eps=parameters.adam_epsilon,
        weight_decay=parameters.weight_decay,
        fused=True,
    )
