"""`DROPTUNE_AZURE_VERIFY=1 make verify-azure`: says what it will cost, asks, then runs this folder against Azure.

In an environment of `azd env get-values` the settings are those of the app that it deployed, which `az` is asked for;
else they are in the environment themselves.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from shared.clock import utc_now
from shared.config import Settings, setting_name
from shared.costs.retail import RetailPrices, UnknownPriceError
from shared.errors import ConfigurationError, DroptuneError
from tests.azure.target import CHEAP_INSTANCE, SWITCH

HOURS = 1.0
"""One deployment of one instance, from its creation to its deletion, generously."""


def estimate(settings: Settings, list_price: Callable[[Settings], float | None]) -> str:
    price = list_price(settings)
    hours = f"one {CHEAP_INSTANCE} in {settings.azure_location} for up to {HOURS:g} h"
    cost = "at a price that could not be read" if price is None else f"about {price * HOURS:.2f} USD"
    return (
        f"Against workspace {settings.azureml_workspace} of subscription {settings.azure_subscription_id}:\n"
        f"  {hours}: {cost}\n"
        "  three endpoints, at most one of them with a deployment; deleted at the end\n"
        "  one pipeline job, canceled within a minute; its compute is not there by then\n"
        "  a model, droptune-verify, and a few blobs: next to nothing"
    )


def list_price(settings: Settings) -> float | None:
    prices = RetailPrices(settings.prices_endpoint, settings.timeouts)
    try:
        return prices.hourly(CHEAP_INSTANCE, settings.azure_location, "USD", utc_now()).hourly
    except (UnknownPriceError, DroptuneError):
        return None
    finally:
        prices.close()


def settings_of_the_app(environment: Mapping[str, str]) -> dict[str, str]:
    """Raises ConfigurationError. The app's identity is its own: whoever runs this is asked for with `az login`."""
    where = [environment.get(name, "") for name in ("AZURE_FUNCTION_APP_NAME", "AZURE_RESOURCE_GROUP")]
    if not all(where):
        return dict(environment)
    command = ["az", "functionapp", "config", "appsettings", "list", "--name", where[0], "--resource-group", where[1]]
    done = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigurationError(f"the settings of {where[0]} can not be read: {done.stderr.strip()}")
    known = {setting_name(item) for item in dataclasses.fields(Settings)} - {"AZURE_CLIENT_ID"}
    return {item["name"]: item["value"] for item in json.loads(done.stdout) if item["name"] in known}


def main(ask: Callable[[str], str] = input) -> int:
    parser = argparse.ArgumentParser(prog="make verify-azure", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    arguments = parser.parse_args()
    if os.environ.get(SWITCH) != "1":
        print(f"This costs money in a real subscription. Set {SWITCH}=1 to say that you mean it.", file=sys.stderr)
        return 2
    try:
        found = settings_of_the_app(os.environ)
        settings = Settings.from_environment(found)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    print(estimate(settings, list_price))
    if not arguments.yes and ask("Go on? [y/N] ").strip().lower() != "y":
        print("Nothing was done.")
        return 1
    os.environ.update(found)
    return int(pytest.main(["-s", "-v", "-p", "no:cacheprovider", os.path.dirname(__file__)]))


if __name__ == "__main__":
    sys.exit(main())
