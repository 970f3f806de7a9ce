"""What the lab's cloud is like at the start: its users, its application, its limits and its faults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from installer.timing.zones import known_zone

Mode = Literal["contract", "public"]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CloudUser(_Part):
    """Somebody with an account. `weight` (kg) and `height` (m) are what they typed when they signed up.

    `devices`: MAC addresses that are on this account from the start (a second-hand device, for example).
    `phone_source`: a phone counts steps into the account too (`withings-cloud.md` §4.3).
    """

    email: Annotated[str, Field(min_length=3, max_length=254)]
    password: SecretStr
    name: str = "Alex"
    timezone: str = "Europe/Paris"
    weight: Annotated[float, Field(ge=1, le=600)] = 78.5
    height: Annotated[float, Field(ge=0.1, le=3)] = 1.76
    devices: tuple[str, ...] = ()
    phone_source: bool = False

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        if known_zone(value) is None:
            raise ValueError("not an IANA time zone that this system knows")
        return value

    @field_validator("devices")
    @classmethod
    def _upper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(mac.upper() for mac in value)


class Fault(_Part):
    """The next `times` requests that fit go wrong (`times` 0: all of them).

    `path` as in a request (`/v2/user`); without `action` every action fits (`submit`: the sign-in page's form).
    One of: `status` (the envelope's number, sent with HTTP 200), `http` (a bare HTTP status), `raw` (this text in
    place of JSON), `closed` (the connection ends in the middle of the answer). `delay`: seconds before any answer;
    alone, the true answer comes late. `wait_seconds`: what a status 601 says.
    """

    path: Annotated[str, Field(pattern=r"^/")]
    action: str | None = None
    times: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    status: int | None = None
    http: Annotated[int, Field(ge=300, le=599)] | None = None
    raw: str | None = None
    closed: bool = False
    delay: Annotated[float, Field(ge=0, le=120)] = 0.0
    wait_seconds: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Fault:
        kinds = sum((self.status is not None, self.http is not None, self.raw is not None, self.closed))
        if kinds > 1 or (kinds == 0 and not self.delay):
            raise ValueError("give one of status, http, raw, closed; or a delay")
        return self


class Callbacks(_Part):
    """How notifications reach the subscribers (`withings-cloud.md` §3.4), and what goes wrong on the way.

    `lose`: so many attempts get lost on the way, one after the other; the cloud repeats each by its schedule, ten
    attempts a notification. `double`: so many notifications are sent twice. `delay`: seconds that every notification
    comes late. `answer_seconds`: an answer that takes longer counts as none. `remove_after`: so many attempts in a row
    without success and the cloud removes the subscription; 0: never. (The older documentation says 4; the newer one
    announces a limit and does not name it.)
    """

    lose: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    double: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    delay: Annotated[float, Field(ge=0, le=3600)] = 0.0
    answer_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    remove_after: Annotated[int, Field(ge=0, le=1_000_000)] = 20


def _default_users() -> tuple[CloudUser, ...]:
    return (CloudUser(email="alex@example.org", password=SecretStr("lab-password")),)


class CloudScenario(_Part):
    """The cloud at the start. Times are seconds; the defaults are the real ones (`withings-cloud.md` §1, §5).

    `mode`: `contract` (the partner may link by MAC address) or `public` (`link` answers status 2555, and a device
    comes onto the first user's account `associate_after` seconds after it reached the cloud). `strict`: the real
    rules for callback URLs (§1.5, §3.5) instead of allowing this machine's loopback addresses too.
    `redirect_uris`: the application's registered prefixes. `fail` and `down`: faults from the start.
    `callback_speed`: how many times faster than the real schedule an unheard notification is repeated (§3.4);
    `callbacks`: what happens to notifications on their way.
    `battery`, `blank_model`, `null_session_dates`: odd answers of `getdevice` that were seen in the field.
    """

    mode: Mode = "contract"
    associate_after: Annotated[float, Field(ge=0, le=3600)] = 2.0
    users: Annotated[tuple[CloudUser, ...], Field(min_length=1)] = Field(default_factory=_default_users)
    client_id: Annotated[str, Field(min_length=1)] = "lab-client"
    client_secret: SecretStr = SecretStr("lab-secret")
    application: str = "Device installer"
    redirect_uris: tuple[str, ...] = ()
    strict: bool = False
    code_seconds: Positive = 30
    access_seconds: Positive = 3 * 3600
    refresh_seconds: Positive = 365 * 86_400
    overlap_seconds: Positive = 8 * 3600
    repeat_seconds: Annotated[int, Field(ge=0)] = 10
    nonce_seconds: Positive = 30 * 60
    rate_limit: Positive = 120
    page_size: Positive = 100
    callback_speed: Annotated[float, Field(gt=0)] = 10.0
    callbacks: Callbacks = Callbacks()
    scope_status: Literal[214, 277, 403, 2553, 2555] = 277
    battery: Literal["high", "medium", "low", "unknown"] = "high"
    blank_model: bool = False
    null_session_dates: bool = False
    down: bool | Literal["closed"] = False
    clock: Seconds = 0.0
    fail: tuple[Fault, ...] = ()

    @field_validator("users")
    @classmethod
    def _distinct(cls, value: tuple[CloudUser, ...]) -> tuple[CloudUser, ...]:
        emails = [user.email.lower() for user in value]
        if len(set(emails)) != len(emails):
            raise ValueError("two users have the same email")
        macs = [mac for user in value for mac in user.devices]
        if len(set(macs)) != len(macs):
            raise ValueError("a device is on two accounts")
        return value


class CloudControl(_Part):
    """The body of `POST /lab/cloud`: what is given changes, the rest stays.

    `fail` replaces all faults, `callbacks` those of the notifications.
    """

    mode: Mode | None = None
    down: bool | Literal["closed"] | None = None
    clock: Seconds | None = None
    fail: tuple[Fault, ...] | None = None
    callbacks: Callbacks | None = None
