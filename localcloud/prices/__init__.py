"""The Azure Retail Prices API: the price list of this cloud, public and without a key."""

from localcloud.prices.service import RetailPrices

__all__ = ["RetailPrices"]
