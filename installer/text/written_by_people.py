"""Reads the texts that people write: settings, answers, plans, networks, passphrases, proofs, texts of QR codes.

Editors and shells save a text in several ways. These are read: UTF-8, also with a byte order mark (Notepad), and UTF-16
and UTF-32 with a mark (`>` in Windows PowerShell 5 writes UTF-16). Lines may end in LF or CR LF. A text that is in a
file and holds a secret loses its mark and one line break at its end, nothing else; blanks are a part of it.

Every text has a limit: of bytes, of the time for a pipe (`bounded_read`), of the depth of its tables.

No error repeats a piece of a text, because that may be a secret. This module knows no error codes: the caller knows
what the text is, and makes its own error of an `UnreadableText`.
"""

from __future__ import annotations

import errno
import re
import sys
import tomllib
from pathlib import Path
from typing import IO, Any

from installer.text.bounded_read import IsDevice, OtherOwner, TooLong, read_bounded
from installer.text.path_reasons import why_unusable

MAX_TEXT_BYTES = 1024 * 1024
# Tables and lists inside of each other. No format of this program has more than five.
MAX_DEPTH = 32
# TOML's own limit for a whole number.
MAX_NUMBER_BITS = 64
STDIN = "-"

_MARK = "\ufeff"
# The mark of UTF-32 (little endian) begins with that of UTF-16, so the longest marks are first.
_MARKS = (
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe", "utf-16-le"),
)
_SAVE_AS_UTF8 = "Save it as UTF-8; in Notepad: Save as, Encoding: UTF-8."
_TOML_POSITION = re.compile(r" ?\(at line (\d+), column (\d+)\)$")
# A key of many parts, as in a.b.c: the time to read it grows with the square of their number, so it is told beforehand.
# Each part is taken whole (++), so that the time of this pattern grows with the length of the text only.
_LONG_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){%d}" % MAX_DEPTH  # noqa: UP031
)


class UnreadableText(Exception):
    """A text that cannot be read. `why` completes “The file …”, `todo` says what to do; neither holds a piece of it.

    `line`, `column`: the place in the text, from 1; 0: not known. `missing`: there is no such file.
    """

    def __init__(self, why: str, todo: str, *, line: int = 0, column: int = 0, missing: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.todo = todo
        self.line = line
        self.column = column
        self.missing = missing


class NotThisEncoding(UnreadableText):
    """The bytes are not valid in the encoding of the text."""


def read_text(path: Path, limit: int = MAX_TEXT_BYTES, *, own: bool = False) -> str:
    """The text of a file or pipe of at most `limit` bytes. `own`: of this user or root. Raises UnreadableText."""
    return decode(read_bytes(path, limit, own=own))


def read_stdin(limit: int = MAX_TEXT_BYTES) -> str:
    """All of standard input as a text of at most `limit` bytes. Raises UnreadableText."""
    try:
        raw = _stdin().read(limit + 1)
    except (OSError, ValueError) as error:
        raise UnreadableText(f"cannot be read ({type(error).__name__})", "Give the text there.") from None
    if len(raw) > limit:
        raise _too_long(limit)
    return decode(raw)


def read_toml(path: Path, limit: int = MAX_TEXT_BYTES, *, own: bool = False) -> dict[str, Any]:
    """The tables of a TOML file or pipe, as `read_text` reads it. Raises UnreadableText."""
    return parse_toml(read_text(path, limit, own=own))


def read_secret(name: str, limit: int) -> str:
    """The secret in the file `name`, or in the first line of standard input (`-`). Raises UnreadableText.

    `limit`: in bytes of UTF-8. A mark and one line break at the end are taken off. An empty file has no secret.
    """
    if name != STDIN:
        return secret_in(_secret_file(name, limit), limit)
    secret = without_mark_and_line_break(_line_of_stdin(limit))
    if len(secret.encode("utf-8", "surrogatepass")) > limit:
        raise _too_long(limit)
    return secret


def secret_in(content: bytes, limit: int) -> str:
    """The secret in the bytes of a file, as `read_secret` reads it. Raises UnreadableText."""
    text = decode(content)
    if not text:
        raise UnreadableText("is empty", "Write the secret into it.")
    secret = without_mark_and_line_break(text)
    if len(secret.encode("utf-8", "surrogatepass")) > limit:
        raise _too_long(limit)
    return secret


def longest_file(limit: int) -> int:
    """The most bytes that a secret of `limit` bytes can have in a file: as UTF-32, with its mark and a CR LF."""
    return 4 * (limit + 3)


def without_mark(text: str) -> str:
    """`text` without the byte order marks at its very start. A pasted text may begin with one; nobody sees it."""
    return text.lstrip(_MARK)


def without_mark_and_line_break(text: str) -> str:
    """`text` without the marks at its start and without one LF, CR LF or CR at its end. All else stays."""
    return without_mark(text).removesuffix("\n").removesuffix("\r")


def read_bytes(path: Path, limit: int, shown_limit: int | None = None, *, own: bool = False) -> bytes:
    """The bytes of a file or pipe. Raises UnreadableText if it cannot be opened, or has more than `limit` bytes.

    `shown_limit`: the limit that the error names, if another one. `own`: only a file of this user or root.
    """
    try:
        return read_bounded(path, limit, own=own)
    except TooLong:
        raise _too_long(shown_limit or limit) from None
    except OSError as error:
        raise _unopened(path, error) from None
    except ValueError:  # a NUL in the name
        raise UnreadableText("has a name that no file can have", "Correct the path.") from None


def decode(raw: bytes, *, guess: bool = False) -> str:
    """The text in these bytes, without its mark. Raises UnreadableText, with the line and the byte that are wrong.

    `guess`: also read UTF-16 without a mark, which is told by its zero bytes.
    """
    mark, codec = _encoding_of(raw)
    if not mark and b"\0" in raw[:1024]:
        # In a text of Latin letters, every second byte of UTF-16 is zero.
        codec = "utf-16-le" if raw[1:2] == b"\0" else "utf-16-be"
        if not guess:
            raise _binary(raw, codec)
    body = raw[len(mark) :]
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        raise _not_decoded(body, codec, error.start, guessed=not mark) from None
    if "\0" in text:
        raise UnreadableText("is not a text: it has zero bytes", "Give a text file.")
    return without_mark(text)


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises UnreadableText with the line and the column, without the line itself."""
    long_key = _LONG_KEY.search(text)
    if long_key is not None:
        line = text.count("\n", 0, long_key.start()) + 1
        why = f"has a key of more than {MAX_DEPTH} parts (at line {line})"
        raise UnreadableText(why, "Correct that line.", line=line)
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise UnreadableText("is not TOML: it is nested too deeply", "Correct it.") from None
    except tomllib.TOMLDecodeError as error:
        place = _TOML_POSITION.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (0, 0)
        todo = "Correct that line." if place else "Correct its last line."
        raise UnreadableText(f"is not TOML: {error}", todo, line=line, column=column) from None
    except ValueError:  # a number of more than 4300 digits
        raise UnreadableText("is not TOML: a number is too long", "Correct it.") from None
    _check_values(tables)
    return tables


def _check_values(tables: dict[str, Any]) -> None:
    """Raise UnreadableText if they are nested too deeply, or hold a number that cannot even be printed."""
    level: list[Any] = [tables]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, int) and value.bit_length() > MAX_NUMBER_BITS:
                raise UnreadableText("is not TOML: a number is too long", "Correct it.")
        level = inner
    if level:
        raise UnreadableText("is not TOML: it is nested too deeply", "Correct it.")


def _encoding_of(raw: bytes) -> tuple[bytes, str]:
    """The mark at the start of these bytes, and its encoding; without a mark UTF-8."""
    return next((known for known in _MARKS if raw.startswith(known[0])), (b"", "utf-8"))


def _secret_file(name: str, limit: int) -> bytes:
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise UnreadableText("begins with the home of an unknown user (~)", "Write the whole path.") from None
    return read_bytes(path, longest_file(limit), limit)


def _line_of_stdin(limit: int) -> str:
    """The first line of standard input, with its line break. The bytes after it stay for the next reader."""
    stream, longest = _stdin(), longest_file(limit)
    try:
        raw = stream.readline(longest)
        line_break = "\n".encode(_encoding_of(raw)[1])
        # `readline` ends at any byte 0x0A, which in UTF-16 may be half of another character.
        while len(line_break) > 1 and raw and len(raw) < longest:
            raw += stream.read(-len(raw) % len(line_break))
            more = b"" if raw.endswith(line_break) else stream.readline(longest - len(raw))
            if not more:
                break
            raw += more
    except (OSError, ValueError) as error:
        raise UnreadableText(f"cannot be read ({type(error).__name__})", "Give the text there.") from None
    if len(raw) >= longest:
        raise _too_long(limit)
    text = decode(raw)
    if not text:
        raise UnreadableText("is empty", "Give the text there, or name a file or a variable.")
    return text


def _stdin() -> IO[bytes]:
    stream: IO[bytes] | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise UnreadableText("is closed", "Give the text there, or name a file or a variable.")
    return stream


def _unopened(path: Path, error: OSError) -> UnreadableText:
    if isinstance(error, FileNotFoundError):
        return UnreadableText(f"cannot be read ({error.strerror})", "Check the path.", missing=True)
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return UnreadableText("cannot be read: it is a folder", "Give the path of a file.")
    if isinstance(error, TimeoutError):
        return UnreadableText(f"cannot be read: {error.strerror}", "Check the program that writes it.")
    if isinstance(error, IsDevice):
        return UnreadableText(f"cannot be read: {error.strerror}", "Give the path of a file.")
    if isinstance(error, OtherOwner):
        return UnreadableText(f"cannot be read: {error.strerror}", "Let it belong to you (chown), or remove it.")
    todo = "Check the permissions." if error.errno in (errno.EACCES, errno.EPERM) else "Check the path."
    return UnreadableText(f"cannot be read ({why_unusable(error, path)})", todo)


def _too_long(limit: int) -> UnreadableText:
    return UnreadableText(f"is longer than {limit} bytes", "Check that it is the right file.")


def _binary(raw: bytes, codec: str) -> UnreadableText:
    half = raw[: 1024 - len(raw[:1024]) % 2]
    zeros = half[1::2] if codec == "utf-16-le" else half[::2]
    if zeros.count(b"\0") * 2 >= len(zeros):
        return NotThisEncoding("seems to be UTF-16 text without a byte order mark", _SAVE_AS_UTF8)
    return UnreadableText("is not a text: it has zero bytes", "Give a text file.")


def _not_decoded(body: bytes, codec: str, position: int, *, guessed: bool) -> UnreadableText:
    if codec != "utf-8":
        name = codec.upper()[:6]
        begins = f"seems to be {name} text" if guessed else f"begins with the mark of {name} text"
        return NotThisEncoding(f"{begins}, but is damaged at byte {position + 1}", _SAVE_AS_UTF8)
    line = body.count(b"\n", 0, position) + 1
    byte = position - body.rfind(b"\n", 0, position)
    return NotThisEncoding(f"is not UTF-8 text (line {line}, byte {byte})", _SAVE_AS_UTF8, line=line, column=byte)
