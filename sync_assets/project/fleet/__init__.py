"""A fleet at work: who belongs to it, and the runs that collect accounts and capacity, classify and aggregate.

Each run yields an item for every instance (or period) as it is done, and writes it into the history; one that fails
holds nobody up. Asks nothing when it is imported, and is imported only where a fleet is worked on.
"""

from __future__ import annotations

from sync_assets.project.fleet.accounts import collect_accounts
from sync_assets.project.fleet.adoption import Adopted, look_up
from sync_assets.project.fleet.capacity import collect_capacity
from sync_assets.project.fleet.classes import classify
from sync_assets.project.fleet.items import Item, ItemState, PeriodItem, counted
from sync_assets.project.fleet.members import Member, members
from sync_assets.project.fleet.periods import aggregate, due_periods

__all__ = ["Adopted", "Item", "ItemState", "Member", "PeriodItem", "aggregate", "classify", "collect_accounts",
           "collect_capacity", "counted", "due_periods", "look_up", "members"]  # fmt: skip
