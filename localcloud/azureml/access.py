"""Who may do what: the action that a request is, and the roles that allow it.

Built-in roles: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/ai-machine-learning
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from localcloud.azureml import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.identity import Caller

_PROVIDER = "Microsoft.MachineLearningServices"
_SCOPE = re.compile(rf"(?P<scope>/subscriptions/.+?/providers/{re.escape(_PROVIDER)}/(?P<rest>workspaces/.+))$", re.I)
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


@dataclass(frozen=True)
class Role:
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        return _matches(self.actions, action) and not _matches(self.not_actions, action)


_RUNS = ("/history/", "/mlflow/")
_WORKSPACES = f"{_PROVIDER}/workspaces"
ROLES: Mapping[str, Role] = {
    "Owner": Role(("*",)),
    "Contributor": Role(("*",)),
    "Reader": Role(("*/read",)),
    "AzureML Data Scientist": Role(
        tuple(f"{_WORKSPACES}/*/{verb}" for verb in ("read", "action", "delete", "write")),
        (
            f"{_WORKSPACES}/delete",
            f"{_WORKSPACES}/write",
            f"{_WORKSPACES}/computes/*/write",
            f"{_WORKSPACES}/computes/*/delete",
            f"{_WORKSPACES}/computes/listKeys/action",
            f"{_WORKSPACES}/listKeys/action",
        ),
    ),
}


def check(role: str) -> None:
    """Raises ValueError for what is neither a role nor an action."""
    if role not in ROLES and "/" not in role and "*" not in role:
        raise ValueError(f"{role!r} is neither an action nor one of the roles {', '.join(ROLES)}.")


def authorize(roles: Mapping[str, tuple[str, ...]], caller: Caller, method: str, path: str) -> None:
    """Raises CloudError 403. Only what lies in a workspace is subject to roles; the registry is everybody's."""
    own = roles.get(caller.object_id, roles.get(caller.client_id))
    found = _SCOPE.search(path)
    if own is None or found is None:
        return
    action = _run_action(method) if path.startswith(_RUNS) else _action(method, found["rest"])
    if not any(ROLES.get(role, Role((role,))).allows(action) for role in own):
        raise errors.authorization_failed(caller.client_id, caller.object_id, action, found["scope"])


def _action(method: str, resource: str) -> str:
    """`workspaces/w/onlineEndpoints/e/listKeys` → .../workspaces/onlineEndpoints/listKeys/action."""
    types = "/".join(resource.rstrip("/").split("/")[::2])
    return f"{_PROVIDER}/{types}/{_VERBS.get(method, 'action')}"


def _run_action(method: str) -> str:
    """Run history reads with POST too."""
    return f"{_WORKSPACES}/experiments/runs/{'write' if method == 'PATCH' else 'read'}"


def _matches(patterns: tuple[str, ...], action: str) -> bool:
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


@cache
def _pattern(action: str) -> re.Pattern[str]:
    """`*` is anything, and `/*/` also nothing: else the Data Scientist's exceptions for the workspace itself
    would except what its `workspaces/*/write` does not allow, and it could not read its workspace."""
    expression = re.escape(action).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*")
    return re.compile(expression, re.IGNORECASE)
