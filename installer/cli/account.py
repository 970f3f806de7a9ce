"""The command `account`: signs in to accounts of the cloud, lists them, and removes their tokens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.failures import Failures
from installer.cli.option_groups import expand_options
from installer.cli.options import CloudOptions, PlaceOptions
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.cloud.oauth_sign_in import SignInSession

app = typer.Typer(help=COMMAND_GROUPS["account"], rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Your name for the account.")]


@app.command()
@expand_options
def login(
    *,
    name: Name = "default",
    place_options: CloudOptions,
    browser: Annotated[bool, typer.Option(help="Open the browser of this computer.")] = True,
    seconds: Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="How long to wait.")] = 600.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="If NAME belongs to another person: let it belong to who signs in now.")
    ] = False,
    second_name: Annotated[
        bool, typer.Option("--second-name", help="If this person is stored under another name: store them twice.")
    ] = False,
) -> None:
    """Sign in and store the tokens, for unattended installations. Shows whose account it is before it is stored."""
    run(_login(place_options, name, seconds, browser=browser, replace=replace, second_name=second_name))


@app.command(name="list")
@expand_options
def list_accounts(*, place_options: CloudOptions) -> None:
    """List the stored accounts, whose they are, and where their tokens are kept; also those that are damaged."""

    async def list_stored() -> None:
        from installer.flow.run_resources import RunResources

        resources = RunResources(place_options.run_config())
        try:
            known = await (await resources.accounts()).stored(look_into_keyring=True)
        finally:
            await resources.close()
        if not known:
            output.print_message("No account is stored. `device-installer account login NAME` signs in to one.")
        failures = Failures()
        for account in known:
            state = "damaged: " if account.damage is not None else ""
            who = f"; user {printable(account.userid, 40)}" if account.userid else ""
            output.print_result(f"{printable(account.name)}  ({state}{account.stored_in}{who})")
            failures.add(account.damage)
        failures.raise_first()

    run(list_stored())


@app.command()
@expand_options
def logout(*, name: Name = "default", place_options: CloudOptions) -> None:
    """Remove the tokens of an account from this computer."""

    async def sign_out() -> str:
        from installer.flow.run_resources import RunResources

        resources = RunResources(place_options.run_config())
        try:
            may_remain = await (await resources.accounts()).logout(name)
            if await resources.notifications().saved.remove_account(name):
                output.print_message(
                    "Its notifications are not renewed any more. The cloud ends them when the address stops answering; "
                    "`device-installer notifications revoke` before a sign-out ends them at once."
                )
            return may_remain
        finally:
            await resources.close()

    may_remain = run(sign_out())
    output.print_message(f"The tokens of account “{name}” are removed from this computer.")
    if may_remain:
        output.print_message(
            "Nobody could look into the keyring of this system (it is switched off, locked or not there). If an "
            f"earlier sign-in has stored tokens in it, they are still in its entry “{may_remain}”. Once the keyring is "
            "usable, give this command again; or remove that entry with the keyring's own program."
        )
    _print_what_stays(name, place_options)


def _print_what_stays(name: str, place_options: PlaceOptions) -> None:
    """What a sign-out does not remove, and the commands that do."""
    import shlex

    quoted, lab = shlex.quote(name), " --lab" if place_options.use_lab else ""
    output.print_message(
        "It stays here, until you erase it:\n"
        f"  measurements, and what the gateway collected: device-installer data forget --account {quoted}{lab}\n"
        f"  records of its installations: device-installer records forget {quoted}{lab}\n"
        "  keys of paired devices: device-installer bonds list\n"
        "It stays at the vendor's cloud: its data, its devices, and that you allowed this application to read them. "
        "All this is ended in the vendor's app. Answers files and exports are where you saved them."
    )


def _draw_qr(address: str) -> None:
    """The address as a QR code on the terminal, or why there is none."""
    import os
    import shutil

    from installer.qr.draw import for_terminal

    columns, rows = shutil.get_terminal_size((80, 24))
    drawing = for_terminal(address, columns, rows, os.environ)
    output.print_drawing(drawing.lines)
    if drawing.why:
        output.print_message(f"{drawing.why} Send the address to the phone in another way.")
    else:
        output.print_message("Or scan the code with a phone.")


async def _login(
    place_options: PlaceOptions, name: str, seconds: float, *, browser: bool, replace: bool, second_name: bool
) -> None:
    import asyncio

    from installer.cli.prompts import prompt
    from installer.cloud.whose_account import SignedInPerson, accept_what_fits, wrong_person
    from installer.flow.questions import ConfirmAccount, SignIn
    from installer.flow.run_resources import RunResources

    allowed = accept_what_fits(replace=replace, second_name=second_name)

    async def decide(person: SignedInPerson) -> None:
        """A person is asked, unless an option or the stored account has answered."""
        answered = person.is_known or (person.is_another and replace) or (person.has_other_name and second_name)
        if answered or not sys.stdin.isatty():
            await allowed(person)
            output.print_message(f"Signed in: {person.text}.")
        elif not await prompt(ConfirmAccount(person=person)):
            raise wrong_person(person)

    resources = RunResources(place_options.run_config())
    try:
        accounts = await resources.accounts()
        async with accounts.sign_in(name, seconds=seconds) as session:
            session.on_notice = lambda notice: output.print_message(notice.text)
            if browser and not resources.config.lab and await asyncio.to_thread(session.open_browser):
                output.print_message("The browser was opened.")
            _print_link(session)

            def new_link() -> tuple[str, str]:
                session.new_link()
                _print_link(session)
                return session.authorize_url, session.short_url

            question = SignIn(
                account=name,
                url=session.authorize_url,
                short_url=session.short_url,
                seconds=session.seconds,
                new_link=new_link,
            )
            while True:
                pasting = asyncio.ensure_future(prompt(question)) if sys.stdin.isatty() else None
                try:
                    account = await session.result(pasting, decide)
                    break
                except InstallerError as error:
                    if error.code is not ErrorCode.SIGN_IN_FAILED or not error.data.get("paste"):
                        raise
                    question.problem = error
                finally:
                    if pasting is not None:
                        pasting.cancel()
                        await asyncio.gather(pasting, return_exceptions=True)
        output.print_message(f"The tokens of “{name}” are kept in {account.stored_in}.")
    finally:
        await resources.close()


def _print_link(session: SignInSession) -> None:
    output.print_message(f"Open in the browser of this computer: {session.short_url}")
    output.print_message(f"or anywhere: {session.authorize_url}")
    if sys.stderr.isatty():
        _draw_qr(session.authorize_url)
