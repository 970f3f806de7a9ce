"""The command `notifications`: subscribes, lists, renews and revokes notifications of new data, and receives them."""

from __future__ import annotations

import json as jsonlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.failures import Failures
from installer.cli.option_groups import expand_options
from installer.cli.options import CloudOptions, DatabaseUrl, Json, PlaceOptions
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.cloud.api_models import Subscription
    from installer.flow.run_resources import RunResources
    from installer.notifications.callback_setup import NotificationSetup
    from installer.notifications.saved_subscriptions import SavedSubscription
    from installer.storage.secret_references import SecretRef

app = typer.Typer(help=COMMAND_GROUPS["notifications"], rich_markup_mode=None)

OneAccount = Annotated[str, typer.Option("--account", metavar="NAME", help="The stored account.")]
AnyAccount = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Only this account; without: all stored accounts.")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The receiver's address; {path} stands for its secret path. With a secret in it: @FILE, env:VAR or -.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="For this model; without: the models on the account."),
]
Applis = Annotated[
    list[int] | None,
    typer.Option("--appli", metavar="N", min=1, help="This kind of data, by the cloud's number (appli)."),
]


@dataclass(frozen=True)
class ReceiverOptions:
    """The options of `notifications serve`."""

    host: Annotated[str, typer.Option("--host", metavar="H", help="Listen on this address.")] = "127.0.0.1"
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65535, help="Listen on this port; 0: any free one.")
    ] = 8085
    path_file: Annotated[Path | None, typer.Option("--path-file", metavar="F", help="The file of the secret path.")] = (
        None
    )
    show_url: Annotated[
        bool, typer.Option("--show-url", help="Print the whole address, including its secret path.")
    ] = False
    poll: Annotated[
        float,
        typer.Option(
            "--poll",
            metavar="S",
            min=0,
            help="Also fetch every S seconds without a notification; 0: only at the start.",
        ),
    ] = 900.0
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="Serve HTTPS with this certificate.")
    ] = None
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The key of the certificate.")] = None
    database: DatabaseUrl = None


@app.command()
@expand_options
def subscribe(
    *,
    account: OneAccount = "default",
    url: Url = None,
    model: Models = None,
    appli: Applis = None,
    place_options: CloudOptions,
    json: Json = False,
) -> None:
    """Subscribe to notifications of new data from the account's devices."""

    async def subscribe_all() -> None:
        from installer.cloud import notification_categories

        async with _open_accounts(place_options) as (resources, accounts):
            setup = resources.notifications()
            target = await _address(setup, url, account)
            opened = await accounts.open(account)
            kinds = set(appli or ()) | await _kinds_of_models(resources, opened, model, bool(appli))
            ensured = await setup.subscribe(opened, target, kinds)
            for state, numbers in (("subscribed", ensured.new), ("was there", ensured.kept)):
                for number in numbers:
                    name = notification_categories.category_words(number)
                    _print_subscription(json, state, account, number, target.get_secret_value(), name)

    run(subscribe_all())


@app.command(name="list")
@expand_options
def list_subscriptions(*, account: AnyAccount = None, place_options: CloudOptions, json: Json = False) -> None:
    """List the subscriptions, and those that the cloud has removed."""

    async def list_all() -> None:
        from installer.cloud import notification_categories
        from installer.notifications import subscriptions
        from installer.notifications.callback_url import masked

        rows: list[output.Row] = []
        failures = Failures()
        async with _open_accounts(place_options) as (resources, accounts):
            saved = resources.notifications().saved
            for name in await _account_names(accounts, account):
                with failures.kept():
                    at_cloud = await subscriptions.AccountSubscriptions(await accounts.open(name)).list()
                    for state, number, url in _compare(at_cloud, saved.all(name)):
                        kind = notification_categories.category_words(number)
                        if json:
                            _print_subscription(True, state, name, number, url, kind)
                        address = printable(masked(url), 60)
                        rows.append(output.Row((name, f"{kind or 'other'} ({number})", state, address)))
        if not json:
            _print_table(rows)
        failures.raise_first()

    run(list_all())


@app.command()
@expand_options
def renew(*, account: AnyAccount = None, place_options: CloudOptions, json: Json = False) -> None:
    """Subscribe again what the cloud removed; for cron. Prints nothing if all is subscribed."""

    async def renew_all() -> None:
        from installer.cloud import notification_categories
        from installer.notifications import subscriptions

        failures = Failures()
        async with _open_accounts(place_options) as (resources, accounts):
            for saved in resources.notifications().saved.all(account):
                # The other accounts are renewed even if one is signed out.
                with failures.kept():
                    opened = await accounts.open(saved.account)
                    ensured = await subscriptions.AccountSubscriptions(opened).ensure(saved.url, saved.applis)
                    for number in ensured.new:
                        kind = notification_categories.category_words(number)
                        _print_subscription(json, "renewed", saved.account, number, saved.url, kind)
        failures.raise_first()

    run(renew_all())


@app.command()
@expand_options
def revoke(
    *,
    account: AnyAccount = None,
    url: Url = None,
    appli: Applis = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also revoke what was not subscribed from this computer.")
    ] = False,
    place_options: CloudOptions,
    json: Json = False,
) -> None:
    """Revoke the subscriptions that were made from this computer."""

    async def revoke_all() -> None:
        from installer.cloud import notification_categories
        from installer.notifications import subscriptions

        revoked, failures = 0, Failures()
        async with _open_accounts(place_options) as (resources, accounts):
            setup = resources.notifications()
            only_url = (await _address(setup, url)).get_secret_value() if url is not None else None
            for name in await _account_names(accounts, account):
                with failures.kept():
                    client = subscriptions.AccountSubscriptions(await accounts.open(name))
                    saved = {(s.url, number) for s in setup.saved.all(name) for number in s.applis}
                    at_cloud = {(s.url, s.appli) for s in await client.list()}
                    to_revoke = at_cloud if everything else at_cloud & saved
                    if only_url is not None:
                        to_revoke = {pair for pair in at_cloud if pair[0] == only_url}
                        saved = {pair for pair in saved if pair[0] == only_url}
                    for target, number in sorted(to_revoke | saved, key=lambda pair: pair[1]):
                        if appli and number not in appli:
                            continue
                        if (target, number) in to_revoke:
                            await client.revoke(target, number)
                            kind = notification_categories.category_words(number)
                            _print_subscription(json, "revoked", name, number, target, kind)
                            revoked += 1
                        await setup.saved.remove(name, target, [number])
        failures.raise_first()
        if not revoked and not json:
            output.print_message("There was nothing to end.")

    run(revoke_all())


@app.command()
@expand_options
def serve(*, options: ReceiverOptions, place_options: CloudOptions, json: Json = False) -> None:
    """Receive notifications, and fetch the new data that they announce."""

    async def run_receiver() -> None:
        from installer.cli import notifications_serve

        async with _open_accounts(place_options) as (resources, _):
            await notifications_serve.serve(resources, options, json=json)

    run(run_receiver())


SUBSCRIBED, REMOVED, NOT_FROM_HERE = "subscribed", "removed by the cloud", "not from here"


def _reference(text: str | None) -> SecretRef | str | None:
    from installer.storage.secret_references import parse_address

    return None if text is None else parse_address("--url", text)


async def _address(setup: NotificationSetup, url: str | None, account: str = "") -> SecretStr:
    """The whole address of `--url`, or else of the settings."""
    from installer.storage.reference_origin import COMMAND_LINE

    return await setup.url(_reference(url), account, named_by=COMMAND_LINE)


def _compare(at_cloud: list[Subscription], saved: list[SavedSubscription]) -> list[tuple[str, int, str]]:
    """(state, kind, address) of each subscription that the cloud has or should have."""
    wanted = {(s.url, number) for s in saved for number in s.applis}
    known = {(s.url, s.appli) for s in at_cloud}
    rows = [(SUBSCRIBED if pair in wanted else NOT_FROM_HERE, pair[1], pair[0]) for pair in known]
    rows += [(REMOVED, number, url) for url, number in wanted - known]
    return sorted(rows, key=lambda row: (row[2], row[1]))


async def _kinds_of_models(
    resources: RunResources, account: Account, names: list[str] | None, kinds_given: bool
) -> set[int]:
    """The kinds of data of these models, or else of the devices on the account. Raises ANSWERS_INVALID."""
    from installer.cloud.account import matches_model
    from installer.cloud.notification_categories import applis_for_model

    if names:
        models = [resources.catalogue.get(name) for name in names]
    elif kinds_given:
        return set()
    else:
        devices = await account.devices()
        models = [m for m in resources.catalogue.models if any(matches_model(m, d) for d in devices)]
    kinds = {number for model in models for number in applis_for_model(model, account.scopes)}
    if not kinds:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"There is nothing to subscribe for account “{account.name}”: no device whose data the cloud has.",
            "Install a device first, or name a model (--model) or a kind of data (--appli).",
        )
    return kinds


async def _account_names(accounts: Accounts, account: str | None) -> list[str]:
    return [account] if account is not None else [a.name for a in await accounts.stored()]


def _print_table(rows: list[output.Row]) -> None:
    if not rows:
        output.print_message("Nothing is subscribed. `device-installer notifications subscribe` does that.")
        return
    for line in output.table_lines(("account", "kind", "state", "address"), rows):
        output.print_result(line)
    if any(row.cells[2] == REMOVED for row in rows):
        output.print_message("The cloud removes a subscription if its address did not answer for a while.")
        output.print_message("`device-installer notifications renew` subscribes it again.")


def _print_subscription(json: bool, state: str, account: str, number: int, url: str, kind: str) -> None:
    from installer.notifications.callback_url import masked

    if json:
        data: dict[str, Any] = {"state": state, "account": account, "appli": number, "kind": kind, "url": masked(url)}
        output.print_result(jsonlib.dumps(data, ensure_ascii=False))
    else:
        output.print_result(
            f"{state}: {kind or 'kind'} ({number}) of account “{account}” at {printable(masked(url), 80)}"
        )


@asynccontextmanager
async def _open_accounts(place_options: PlaceOptions) -> AsyncIterator[tuple[RunResources, Accounts]]:
    from installer.flow.run_resources import RunResources

    resources = RunResources(place_options.run_config())
    try:
        yield resources, await resources.accounts()
    finally:
        await resources.close()
