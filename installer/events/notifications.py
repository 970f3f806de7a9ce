"""The events of notifications: subscribed, received, followed by a request for the data."""

from __future__ import annotations

from typing import Literal

from installer.events.base_event import BaseEvent


class NotificationsSubscribed(BaseEvent):
    """The cloud will tell `url` (its secret part is left out) of new data. `new`, `kept`: the cloud's appli numbers."""

    event: Literal["notifications_subscribed"] = "notifications_subscribed"
    account: str
    url: str
    new: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


class ReceiverReady(BaseEvent):
    """`notifications serve` listens; `url` as the cloud reaches it, without its secret part, if it is known.

    `exposed`: it listens on an address of the network without a certificate, so others can read what comes.
    """

    event: Literal["receiver_ready"] = "receiver_ready"
    host: str
    port: int
    url: str = ""
    exposed: bool = False


class NotificationArrived(BaseEvent):
    """The cloud (or somebody who knows the address) says that there is news of this kind for a user of this computer.

    `appli`: the cloud's number; `action`: what befell the user's account (delete, unlink, update), if it is about that.
    """

    event: Literal["notification_arrived"] = "notification_arrived"
    account: str
    appli: int
    kind: str
    action: str = ""


class NotificationFollowed(BaseEvent):
    """What a look into the account found: values that are `new` or have `changed`.

    `kind`: measurements, activity or sleep. `code`, `what`, `todo`: why it failed, and `again`: the seconds after which
    it is repeated.
    """

    event: Literal["notification_followed"] = "notification_followed"
    account: str
    kind: str
    new: int = 0
    changed: int = 0
    code: str = ""
    what: str = ""
    todo: str = ""
    again: float | None = None
