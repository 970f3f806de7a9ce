"""Whether a folder of this program is this user's own: somebody else's files in it would be obeyed like our own.

A settings file names servers, the folder of the accounts gets tokens. So a folder that another user owns or can write
to is refused before anything in it is read. A few looks at the file system; nothing is changed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from installer.errors import ErrorCode, InstallerError

ROOT = 0
BELONGS = "belongs to another user"
WRITABLE = "can be written to by other users"


def check_own_folder(folder: Path, kind: str) -> None:
    """Raise FOLDER_UNSAFE if the folder, or the one that it is in or would be made in, is not safe.

    `kind`: `data`, `config`, … for the message. It need not exist. Other systems than POSIX have no such modes.
    """
    if os.name != "posix":
        return
    try:
        named = folder.absolute()
        for one in (named, *named.parents):
            if one.is_symlink():
                if one.lstat().st_uid not in (os.geteuid(), ROOT):
                    raise _unsafe(folder, kind, BELONGS, one)
                _check(one.parent, named, kind, sticky_is_enough=True)
        real = Path(os.path.realpath(folder))
        # What a folder that is not there would be made in is looked at like the folder around one that is.
        around = real.parent
        if real.is_dir():
            _check(real, real, kind, sticky_is_enough=False)
        while not around.is_dir() and around != around.parent:
            around = around.parent
        # All of them: who can write to one puts another folder into the place of what is in it.
        for one in (around, *around.parents):
            _check(one, real, kind, sticky_is_enough=True)
    except OSError:
        return  # it cannot be looked at, so nothing in it can be read: using it says why


def close_folder(folder: Path) -> None:
    """Close a folder of this user's data to other users, if it is there and open: another program may have made it."""
    if os.name == "posix":
        # A folder of root that this user cannot change stays as it is.
        with suppress(OSError):
            info = folder.stat()
            if info.st_mode & 0o077 and info.st_uid == os.geteuid():
                folder.chmod(0o700)


def check_own_database(path: Path, *, private: bool) -> None:
    """Raise FOLDER_UNSAFE if this file, which is there, would give others what is written into it.

    Another user's always; they may have made it beforehand. With `private` also our own that others can open. Raises
    OSError if it cannot be looked at. The file is not opened: closing it would end SQLite's locks on it.
    """
    if os.name != "posix":
        return
    info = path.stat()
    if info.st_uid not in (os.geteuid(), ROOT):
        why, todo = BELONGS, f"Choose another file. If it should be yours: `sudo chown $USER '{path}'`."
    elif private and info.st_mode & 0o066 and path.resolve().parent.stat().st_mode & 0o011:
        why, todo = "can be opened by other users", f"Close it: `chmod 600 '{path}'`."
    else:
        return
    raise InstallerError(ErrorCode.FOLDER_UNSAFE, f"The database {path} is not safe: it {why}.", todo, file=str(path))


def _check(looked_at: Path, folder: Path, kind: str, *, sticky_is_enough: bool) -> None:
    info = looked_at.stat()
    if info.st_uid not in (os.geteuid(), ROOT):
        raise _unsafe(folder, kind, BELONGS, looked_at)
    # In a folder such as /tmp others can make files, but cannot rename or remove ours.
    if sticky_is_enough and info.st_mode & stat.S_ISVTX:
        return
    if info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and not _is_own_group(info.st_gid)):
        raise _unsafe(folder, kind, WRITABLE, looked_at)


def _is_own_group(group: int) -> bool:
    """Whether nobody else is in the group: root's, or the one that Linux makes for each user, with the user's number.

    Systems with such groups make all folders writable for them.
    """
    return group == ROOT or group == os.geteuid() == os.getegid()


def _unsafe(folder: Path, kind: str, why: str, looked_at: Path | None = None) -> InstallerError:
    around = looked_at is not None and looked_at != folder
    what = f"The {kind} folder {folder} {why}."
    if around:
        what = f"The {kind} folder {folder} is not safe: the folder {looked_at} around it {why}."
    place = looked_at or folder
    another = "Or name a folder of your own with DEVICE_INSTALLER_HOME."
    if why == WRITABLE:
        todo = f"Look at what is in it, then close it: `chmod go-w '{place}'`. {another}"
    elif os.geteuid() == ROOT:
        todo = f"Run the program as the user whose folder it is, without sudo, or with `sudo -H`. {another}"
    else:
        todo = f"If it should be yours, let an administrator give it to you: `chown`. {another}"
    return InstallerError(ErrorCode.FOLDER_UNSAFE, what, todo, folder=str(folder), unsafe=str(place))
