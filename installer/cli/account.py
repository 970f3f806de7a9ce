"""The command `account`: sign in beforehand, list, sign out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import GROUPS
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.flow.assembly import Assembly

app = typer.Typer(help=GROUPS["account"], rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Your name for the account.")]
CloudUrl = Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")]
UseLab = Annotated[bool, typer.Option("--lab", help="The lab's cloud.")]


@app.command()
def login(
    name: Name = "default",
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    browser: Annotated[bool, typer.Option(help="Open the browser of this computer.")] = True,
    seconds: Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="How long to wait.")] = 600.0,
) -> None:
    """Sign in and store the tokens, for unattended installations."""
    run(_login(_assembly(cloud, use_lab), name, browser, seconds))


@app.command(name="list")
def list_accounts(cloud: CloudUrl = None, use_lab: UseLab = False) -> None:
    """List the stored accounts and where their tokens are kept."""

    async def listing() -> None:
        assembly = _assembly(cloud, use_lab)
        try:
            known = await (await assembly.accounts()).stored()
            if not known:
                output.words("No account is stored. `device-installer account login NAME` signs in to one.")
            for account in known:
                output.result(f"{account.name}  ({account.stored_in})")
        finally:
            await assembly.close()

    run(listing())


@app.command()
def logout(name: Name = "default", cloud: CloudUrl = None, use_lab: UseLab = False) -> None:
    """Forget the tokens of an account on this computer."""

    async def leaving() -> None:
        assembly = _assembly(cloud, use_lab)
        try:
            await (await assembly.accounts()).logout(name)
            if await assembly.notifications().wishes.forget(name):
                output.words("Its notifications are not renewed any more; the cloud ends them when nobody answers.")
        finally:
            await assembly.close()

    run(leaving())
    output.words(f"The tokens of account “{name}” are removed from this computer.")


def _assembly(cloud: str | None, use_lab: bool) -> Assembly:
    from installer.flow.assembly import Assembly, Place

    return Assembly(Place(cloud=cloud, lab=use_lab))


async def _login(assembly: Assembly, name: str, browser: bool, seconds: float) -> None:
    import asyncio

    from installer.cli.prompts import prompt
    from installer.flow.questions import SignIn
    from installer.qr.draw import qr_lines

    try:
        accounts = await assembly.accounts()
        async with accounts.sign_in(name, seconds=seconds) as session:
            if browser and not assembly.place.lab and session.open_browser():
                output.words("The browser was opened.")
            lines = qr_lines(session.authorize_url, 100, 60, light_blocks=True) if sys.stderr.isatty() else None
            for line in lines or ():
                output.words(line)
            output.words(f"Open in the browser of this computer: {session.short_url}")
            output.words(f"or anywhere: {session.authorize_url}")
            question = SignIn(
                account=name, url=session.authorize_url, short_url=session.short_url, seconds=session.seconds
            )
            while True:
                pasting = asyncio.ensure_future(prompt(question)) if sys.stdin.isatty() else None
                try:
                    account = await session.result(pasting)
                    break
                except InstallerError as error:
                    if error.code is not ErrorCode.SIGN_IN_FAILED or not error.data.get("paste"):
                        raise
                    question.problem = error
                finally:
                    if pasting is not None:
                        pasting.cancel()
                        await asyncio.gather(pasting, return_exceptions=True)
        output.words(f"Signed in. The tokens of “{name}” are kept in {account.stored_in}.")
    finally:
        await assembly.close()
