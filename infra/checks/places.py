"""Where things are: the checkout, and Microsoft's definitions beside it, which do not ship with droptune."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
REFERENCE = Path(os.environ.get("DROPTUNE_REFERENCE", ROOT.parent / "shared" / "reference"))
BICEP_TYPES = REFERENCE / "bicep-types"
HOST_SCHEMA = REFERENCE / "schemastore" / "host.json.schema.json"
