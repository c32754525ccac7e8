"""python -m localcloud.training --job FILE

Prints one JSON object a line (localcloud.training.progress), logs to standard error, ends with 0 or 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from localcloud.training.job import TrainingJob
from localcloud.training.pipeline import run
from localcloud.training.progress import Progress, StepFailedError
from localcloud.training.runtime import log_to_stderr, prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localcloud.training", description="Run one fine-tuning job.")
    parser.add_argument("--job", type=Path, required=True, metavar="FILE")
    job_file: Path = parser.parse_args().job
    log_to_stderr()
    prepare()
    try:
        job = TrainingJob.load(job_file)
    except (OSError, KeyError, TypeError, ValueError) as error:
        print(f"{job_file} is not a training job: {error!r}", file=sys.stderr)
        return 1
    try:
        run(job, Progress(sys.stdout))
    except StepFailedError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
