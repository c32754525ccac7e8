"""Where the specifications and recordings of Azure are: beside the checkout, or where DROPTUNE_REFERENCE says."""

import os
from pathlib import Path

REFERENCE = Path(os.environ.get("DROPTUNE_REFERENCE", Path(__file__).resolve().parents[2] / "shared" / "reference"))
OPENAPI = REFERENCE / "azureml" / "openapi"
RECORDINGS = REFERENCE / "azureml" / "recordings"
EXCERPTS = REFERENCE / "azureml" / "recordings-excerpts"
