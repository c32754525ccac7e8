"""`python -m infra.checks`: all offline checks of the deployment, and what each of them looked at.

`--write` brings infra/app-settings.json up to date with the settings class.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from infra.checks import events, host_json, roles, secrets, settings, storage, tools, types, wiring, workflows
from infra.checks.places import BICEP_TYPES, HOST_SCHEMA, INFRA, ROOT
from infra.checks.templates import Template, UnreadableError, templates


@dataclass(frozen=True)
class Check:
    """`looked_at` is said when it is fine. `skipped`: why it was not run, or empty."""

    title: str
    looked_at: str
    run: Callable[[], Iterable[str]]
    skipped: str = ""


def checks(found: tuple[Template, ...]) -> Iterator[Check]:
    by_name = {template.name: template for template in found}
    app, account = by_name["modules/function-app.bicep"], by_name["modules/storage.bicep"]
    resources = [item for template in found for item in template.resources if not item.existing]
    assignments = [item for item in resources if item.type.endswith("/roleAssignments")]
    unknown = types.undefined(found, BICEP_TYPES)
    yield Check(
        "types",
        f"{len(resources)} resources in {len(found)} files; without definitions here: {', '.join(unknown) or 'none'}",
        lambda: types.problems(found, BICEP_TYPES),
        "" if BICEP_TYPES.is_dir() else f"there are no definitions in {BICEP_TYPES}",
    )
    yield Check(
        "wiring",
        f"{sum(len(template.modules) for template in found)} modules",
        lambda: wiring.problems(found, INFRA / "main.parameters.json"),
    )
    yield Check(
        "settings",
        "Bicep, the settings class, its documentation, local.settings.json.example",
        lambda: settings.problems(
            app, INFRA / "app-settings.json", ROOT / "docs" / "configuration.md", ROOT / "local.settings.json.example"
        ),
    )
    yield Check("storage", "containers, queues, tables", lambda: storage.problems(account, ROOT / "shared"))
    yield Check("roles", f"{len(assignments)} assignments", lambda: roles.problems(found, INFRA / "roles.json", ROOT))
    yield Check("secrets", "outputs, parameters, look-ups of keys", lambda: secrets.problems(found))
    yield Check("events", "event subscriptions and alerts", lambda: events.problems(found, ROOT))
    yield Check(
        "host.json",
        "its schema",
        lambda: host_json.problems(ROOT / "host.json", HOST_SCHEMA),
        "" if HOST_SCHEMA.is_file() else f"there is no schema in {HOST_SCHEMA.parent}",
    )
    workflow_folder = ROOT / ".github" / "workflows"
    yield Check(
        "workflows", "pinned actions, permissions", lambda: workflows.problems(workflow_folder, ROOT / "Makefile")
    )
    yield Check("zizmor", "the workflows", lambda: tools.zizmor(workflow_folder))
    program = ROOT / ".venv-checkov" / "bin" / "checkov"
    yield Check(
        "checkov",
        f"its policies, with {len(tools.ACCEPTED)} exceptions",
        lambda: tools.checkov(program, INFRA),
        "" if program.exists() else "it is not installed; `make policies` does",
    )
    compiled, there = tools.bicep(INFRA / "main.bicep")
    yield Check("bicep", "main.bicep builds", lambda: compiled, "" if there else "the compiler is not installed")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.checks", description=__doc__)
    parser.add_argument("--write", action="store_true", help="update infra/app-settings.json")
    arguments = parser.parse_args()
    try:
        found = templates()
    except UnreadableError as error:
        print(f"FAILED   {error}")
        return 1
    if arguments.write:
        app = next(template for template in found if template.name == "modules/function-app.bicep")
        settings.write(INFRA / "app-settings.json", app)
    failed = False
    for check in checks(found):
        said = [] if check.skipped else list(check.run())
        state = "skipped" if check.skipped else "FAILED" if said else "ok"
        print(f"{state:<8} {check.title:<10} {check.skipped or ('' if said else check.looked_at)}".rstrip())
        for problem in said:
            print(f"         {problem}")
        failed |= bool(said)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
