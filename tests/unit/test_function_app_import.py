"""A new instance imports what its triggers need, and nothing that only some events need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRIGGERS = "import azure.functions, azurefunctions.extensions.bindings.blob, starlette.requests, starlette.responses"
LIGHT = ("function_app", "handlers", "shared")
"""Packages whose files the import of the app may add to what its triggers import."""


def modules(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}  # without a single app setting
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_app_imports_only_its_own_light_modules_beyond_its_triggers() -> None:
    more = modules("import function_app") - modules(TRIGGERS)
    assert {name for name in more if name.partition(".")[0] not in LIGHT} == set()
    own = {name for name in more if name.startswith("shared.")}
    assert own == {"shared.config", "shared.errors", "shared.names", "shared.timeouts"}


def test_the_services_are_put_together_without_azure_ai_ml() -> None:
    heavy = {"azure.ai.ml", "pandas", "numpy", "azure.identity", "azure.monitor", "marshmallow"}
    assert modules("import shared.services") & heavy == set()


def test_the_http_server_and_client_are_imported_when_they_are_used() -> None:
    assert modules("import function_app") & {"uvicorn", "httpcore", "fastapi", "pydantic"} == set()
