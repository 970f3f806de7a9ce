"""The command `notifications`: subscribe, list, renew and revoke notifications of new data, and receive them."""

from __future__ import annotations

import json as jsonlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import GROUPS
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.cloud.api_models import Subscription
    from installer.flow.assembly import Assembly
    from installer.notifications.saved_subscriptions import SavedSubscription
    from installer.storage.secret_references import SecretRef

app = typer.Typer(help=GROUPS["notifications"], rich_markup_mode=None)

OneAccount = Annotated[str, typer.Option("--account", metavar="NAME", help="The stored account.")]
AnyAccount = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Only this account; without: all stored ones.")
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
    list[str] | None, typer.Option("--model", metavar="NAME", help="For this model; without: those on the account.")
]
Applis = Annotated[
    list[int] | None, typer.Option("--appli", metavar="N", min=1, help="This kind of data (a number of the cloud's).")
]
CloudUrl = Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")]
UseLab = Annotated[bool, typer.Option("--lab", help="The lab's cloud.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


@app.command()
def subscribe(
    account: OneAccount = "default",
    url: Url = None,
    model: Models = None,
    appli: Applis = None,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    json: Json = False,
) -> None:
    """Ask the cloud to tell of new data, for the account's devices."""

    async def subscribing() -> None:
        from installer.notifications import subscriptions

        async with _opened(cloud, use_lab) as (assembly, accounts):
            desk = assembly.notifications()
            target = await desk.url(_reference(url), account)
            opened = await accounts.open(account)
            wanted = set(appli or ()) | await _for_models(assembly, opened, model, bool(appli))
            ensured = await desk.subscribe(opened, target, wanted)
            for word, numbers in (("subscribed", ensured.new), ("was there", ensured.kept)):
                for number in numbers:
                    _say(json, word, account, number, target.get_secret_value(), subscriptions.WORDS.get(number, ""))

    run(subscribing())


@app.command(name="list")
def list_subscriptions(
    account: AnyAccount = None, cloud: CloudUrl = None, use_lab: UseLab = False, json: Json = False
) -> None:
    """List what is subscribed, and what the cloud has removed."""

    async def listing() -> None:
        from installer.notifications import subscriptions
        from installer.notifications.callback_url import masked

        rows: list[output.Row] = []
        async with _opened(cloud, use_lab) as (assembly, accounts):
            wishes = assembly.notifications().wishes
            for name in await _names(accounts, account):
                there = await subscriptions.Notifications(await accounts.open(name)).list()
                for state, number, url in _compared(there, wishes.all(name)):
                    words = subscriptions.WORDS.get(number, "")
                    if json:
                        _say(True, state, name, number, url, words)
                    rows.append(output.Row((name, f"{words or 'other'} ({number})", state, printable(masked(url), 60))))
        if json:
            return
        if not rows:
            output.words("Nothing is subscribed. `device-installer notifications subscribe` does that.")
            return
        for line in output.table(("account", "kind", "state", "address"), rows):
            output.result(line)
        if any(row.cells[2] == REMOVED for row in rows):
            output.words("The cloud removes a subscription whose address did not answer for a while.")
            output.words("`device-installer notifications renew` subscribes it again.")

    run(listing())


@app.command()
def renew(account: AnyAccount = None, cloud: CloudUrl = None, use_lab: UseLab = False, json: Json = False) -> None:
    """Subscribe again what the cloud removed; for cron, silent if all is there."""

    async def renewing() -> None:
        from installer.notifications import subscriptions

        failed: InstallerError | None = None
        async with _opened(cloud, use_lab) as (assembly, accounts):
            for wish in assembly.notifications().wishes.all(account):
                try:
                    opened = await accounts.open(wish.account)
                    ensured = await subscriptions.Notifications(opened).ensure(wish.url, wish.applis)
                except InstallerError as error:
                    # One account that is signed out does not keep the others from being renewed.
                    if failed is not None:
                        output.words(f"{failed.what} {failed.todo}")
                    failed = error
                    continue
                for number in ensured.new:
                    _say(json, "renewed", wish.account, number, wish.url, subscriptions.WORDS.get(number, ""))
        if failed is not None:
            raise failed

    run(renewing())


@app.command()
def revoke(
    account: AnyAccount = None,
    url: Url = None,
    appli: Applis = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was not subscribed from here.")] = False,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    json: Json = False,
) -> None:
    """End what was subscribed from this computer."""

    async def revoking() -> None:
        from installer.notifications import subscriptions

        ended = 0
        async with _opened(cloud, use_lab) as (assembly, accounts):
            desk = assembly.notifications()
            only = (await desk.url(_reference(url))).get_secret_value() if url is not None else None
            for name in await _names(accounts, account):
                client = subscriptions.Notifications(await accounts.open(name))
                wished = {(w.url, a) for w in desk.wishes.all(name) for a in w.applis}
                there = {(s.url, s.appli) for s in await client.list()}
                mine = there if everything else there & wished
                if only is not None:
                    mine, wished = {(only, a) for u, a in there if u == only}, {w for w in wished if w[0] == only}
                for target, number in sorted(mine | wished, key=lambda pair: pair[1]):
                    if appli and number not in appli:
                        continue
                    if (target, number) in mine:
                        await client.revoke(target, number)
                        _say(json, "revoked", name, number, target, subscriptions.WORDS.get(number, ""))
                        ended += 1
                    await desk.wishes.drop(name, target, [number])
        if not ended and not json:
            output.words("There was nothing to end.")

    run(revoking())


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", metavar="H", help="Listen at this address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="P", min=0, max=65535, help="And port; 0: any.")] = 8085,
    path_file: Annotated[Path | None, typer.Option("--path-file", metavar="F", help="Keeps the secret path.")] = None,
    show_url: Annotated[bool, typer.Option("--show-url", help="Print the whole address, with its secret.")] = False,
    poll: Annotated[
        float, typer.Option("--poll", metavar="S", min=0, help="Look unasked every S seconds; 0: only at the start.")
    ] = 900.0,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="Speak HTTPS by itself, with this certificate.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The key of the certificate.")] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="URL", help="Where measurements are stored.")
    ] = None,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
) -> None:
    """Receive notifications, and fetch what they tell of."""

    async def serving() -> None:
        from installer.notifications import receiver_service

        options = receiver_service.Options(
            host=host,
            port=port,
            poll=poll,
            certificate=certificate,
            key=key,
            database=database,
            show_url=show_url,
            json=json,
        )
        async with _opened(cloud, use_lab) as (assembly, _):
            await receiver_service.serve(assembly, options, path_file)

    run(serving())


THERE, REMOVED, FOREIGN = "subscribed", "removed by the cloud", "not from here"


def _reference(text: str | None) -> SecretRef | str | None:
    from installer.storage.secret_references import reference

    return None if text is None else reference(text)


def _compared(there: list[Subscription], wished: list[SavedSubscription]) -> list[tuple[str, int, str]]:
    """(state, kind, address) of everything that is subscribed, or should be."""
    wanted = {(w.url, a) for w in wished for a in w.applis}
    known = {(s.url, s.appli) for s in there}
    rows = [(THERE if pair in wanted else FOREIGN, pair[1], pair[0]) for pair in known]
    rows += [(REMOVED, number, url) for url, number in wanted - known]
    return sorted(rows, key=lambda row: (row[2], row[1]))


async def _for_models(assembly: Assembly, account: Account, names: list[str] | None, kinds: bool) -> set[int]:
    """The numbers for these models, or for those of the devices on the account. Raises ANSWERS_INVALID."""
    from installer.cloud.account import is_of
    from installer.notifications.subscriptions import applis

    if names:
        models = [assembly.catalogue.get(name) for name in names]
    elif kinds:
        return set()
    else:
        devices = await account.devices()
        models = [m for m in assembly.catalogue.models if any(is_of(m, d) for d in devices)]
    wanted = {number for model in models for number in applis(model, account.scopes)}
    if not wanted:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"There is nothing to subscribe for account “{account.name}”: no device whose data the cloud has.",
            "Install a device first, or name a model (--model) or a kind of data (--appli).",
        )
    return wanted


async def _names(accounts: Accounts, account: str | None) -> list[str]:
    return [account] if account is not None else [a.name for a in await accounts.stored()]


def _say(json: bool, state: str, account: str, number: int, url: str, words: str) -> None:
    from installer.notifications.callback_url import masked

    if json:
        data: dict[str, Any] = {"state": state, "account": account, "appli": number, "kind": words, "url": masked(url)}
        output.result(jsonlib.dumps(data, ensure_ascii=False))
    else:
        output.result(f"{state}: {words or 'kind'} ({number}) of account “{account}” at {printable(masked(url), 80)}")


@asynccontextmanager
async def _opened(cloud: str | None, use_lab: bool) -> AsyncIterator[tuple[Assembly, Accounts]]:
    from installer.flow.assembly import Assembly, Place

    assembly = Assembly(Place(cloud=cloud, lab=use_lab))
    try:
        yield assembly, await assembly.accounts()
    finally:
        await assembly.close()
