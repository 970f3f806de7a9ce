"""The cloud's categories of notification (`appli`): their words, their data service, and the ones a model needs.

Source: `withings-cloud.md` §3.2, §4.4.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from installer.catalogue.model import DataService, DeviceType, Model

SLEEP = 44
BED_EVENTS = (50, 51, 52)
BED_EVENTS_SCOPE = "user.sleepevents"


@dataclass(frozen=True)
class Category:
    """What a notification is about, in words; `service`: the data service that has the data, if there is data."""

    words: str
    service: DataService | None = None


# By appli (§3.2).
CATEGORIES: dict[int, Category] = {
    1: Category("weight", DataService.MEASURES),
    2: Category("temperature", DataService.MEASURES),
    4: Category("blood pressure", DataService.MEASURES),
    16: Category("activity", DataService.ACTIVITY),
    SLEEP: Category("sleep", DataService.SLEEP),
    46: Category("the user's account"),
    50: Category("bed in"),
    51: Category("bed out"),
    52: Category("sleep mat inflated"),
    54: Category("ECG"),
    55: Category("ECG failed"),
    58: Category("glucose", DataService.MEASURES),
}
# The first category of each data service. One fetch of the service finds the data of all its categories.
FIRST_APPLI: dict[DataService, int] = {
    category.service: appli for appli, category in reversed(CATEGORIES.items()) if category.service is not None
}


def data_service(appli: int) -> DataService | None:
    """The data service that has the data of this category; None for a category without data, or an unknown one."""
    category = CATEGORIES.get(appli)
    return category.service if category is not None else None


def category_words(appli: int) -> str:
    """The words of this category; empty for an unknown one."""
    category = CATEGORIES.get(appli)
    return category.words if category is not None else ""


def categories_in_words(applis: Iterable[int]) -> str:
    """The words of these categories, with commas."""
    return ", ".join(category_words(appli) or f"kind {appli}" for appli in sorted(set(applis)))


def applis_for_model(model: Model, scopes: Collection[str] = ()) -> tuple[int, ...]:
    """The categories to subscribe to for this model (§4.4). `scopes`: what the account granted.

    A watch also measures sleep. The bed events of a sleep mat need their own scope.
    """
    if model.cloud.appli is None:
        return ()
    wanted = [model.cloud.appli]
    if model.cloud.data is DataService.ACTIVITY:
        wanted.append(SLEEP)
    if model.type is DeviceType.SLEEP_MAT and BED_EVENTS_SCOPE in scopes:
        wanted += BED_EVENTS
    return tuple(dict.fromkeys(wanted))
