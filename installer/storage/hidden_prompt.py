"""Asks for a secret on the terminal without showing it, and leaves the terminal as it was, however the prompt ends.

Python's `getpass` cannot be withdrawn: a program that ends meanwhile leaves the terminal without an echo, and hands
what was typed to the shell, which runs it and keeps it in its history. This prompt also survives Ctrl-Z and `fg`.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from installer import output

# A person who types while the prompt is withdrawn goes on for a moment. What they type then must not reach the shell.
QUIET_SECONDS = 1.0
MOST_SECONDS = 8.0
POLL_SECONDS = 0.2
MAX_BYTES = 64 * 1024
NOT_TEXT = "This cannot be read as {encoding} text. Set the terminal to that encoding, or type the text anew."

_open: set[HiddenPrompt] = set()


class HiddenPrompt:
    """One open prompt. Enter it in the main thread, if there is a choice: only there it can follow Ctrl-Z.

    `read` may run in another thread; leaving the context withdraws it. Standard input that is no terminal is just read.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lock = threading.RLock()
        self._shown_mode: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._withdrawn = threading.Event()
        self._answered = False
        self._stopped = False
        self._terminal = sys.stdin.isatty()

    def __enter__(self) -> HiddenPrompt:
        _open.add(self)
        if sys.platform != "win32" and self._terminal:
            self._follow_stops()
            self._hide()
        return self

    def __exit__(self, *_: object) -> None:
        self.withdraw()

    def read(self) -> str:
        """The line that a person types, without its end. Raises EOFError at the end of input, or when withdrawn."""
        while True:
            output.print_prompt(self._text)
            try:
                line = self._read_line()
            except UnicodeDecodeError as error:
                # The error itself holds what was typed.
                encoding = error.encoding
                line = None
            if line is not None:
                self._answered = True
                return line
            output.print_message(NOT_TEXT.format(encoding=encoding.upper()))

    def withdraw(self) -> None:
        """Show the echo again, throw away what was typed, and end `read`. May be called again, from any thread."""
        self._withdrawn.set()
        with self._lock:
            _open.discard(self)
            if self._shown_mode is not None:
                try:
                    if not self._answered:
                        _swallow_typing(sys.stdin.fileno())
                finally:
                    self._show()
                    self._shown_mode = None
                if not self._answered:
                    with suppress(OSError, ValueError):
                        output.print_message("")
            for number, handler in self._handlers.items():
                with suppress(ValueError):
                    signal.signal(number, handler)
            self._handlers.clear()

    def _read_line(self) -> str:
        if not self._terminal:
            read = sys.stdin.readline()
            if not read:
                raise EOFError
            return read.rstrip("\r\n")
        line = _console_line(self._withdrawn) if sys.platform == "win32" else self._terminal_line()
        output.print_message("")
        return line

    def _terminal_line(self) -> str:
        terminal, raw = sys.stdin.fileno(), b""
        while not raw.endswith(b"\n") and len(raw) < MAX_BYTES:
            ready = select.select([terminal], [], [], POLL_SECONDS)[0]
            if self._withdrawn.is_set():
                raise EOFError
            if not ready:
                # `bg` and `fg` may have changed the mode without a signal to this process.
                self._hide()
                continue
            part = os.read(terminal, 4096)
            if not part and not raw:
                raise EOFError
            raw += part
        return raw.rstrip(b"\r\n").decode(sys.stdin.encoding or "utf-8", "strict")

    def _hide(self) -> None:
        """Switch the echo off, unless another program has the terminal now."""
        import termios

        terminal = sys.stdin.fileno()
        with self._lock, suppress(OSError, termios.error):
            if self._withdrawn.is_set() or self._stopped or not _is_ours(terminal):
                return
            mode = termios.tcgetattr(terminal)
            if self._shown_mode is None:
                self._shown_mode = list(mode)
            elif not mode[3] & termios.ECHO:
                return
            mode[3] &= ~(termios.ECHO | termios.ECHONL)
            # What was typed before the question is thrown away: it was no answer to it.
            termios.tcflush(terminal, termios.TCIFLUSH)
            termios.tcsetattr(terminal, termios.TCSANOW, mode)

    def _show(self) -> None:
        """Throw away what was typed, and give the terminal the mode that it had."""
        import termios

        terminal = sys.stdin.fileno()
        with self._lock, suppress(OSError, termios.error):
            if self._shown_mode is None or not _is_ours(terminal):
                return
            termios.tcflush(terminal, termios.TCIFLUSH)
            termios.tcsetattr(terminal, termios.TCSANOW, self._shown_mode)

    def _follow_stops(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stop)
            self._handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._continue)

    def end_on_interrupt(self) -> None:
        """Let Ctrl-C end `read` at once, also within an event loop, which would wait for the end of `read`."""
        if threading.current_thread() is threading.main_thread():
            self._handlers[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal as it was."""
        self._stopped = True
        self._show()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # The process stops in the line above, and goes on here.
        signal.signal(number, self._stop)
        self._stopped = False
        self._hide()

    def _continue(self, _number: int, _frame: FrameType | None) -> None:
        self._hide()
        output.print_prompt(f"\n{self._text}")


def ask_hidden(text: str) -> str:
    """Ask for one line without an echo; blocks. Raises EOFError at the end of input, or when it is withdrawn."""
    with HiddenPrompt(text) as prompt:
        prompt.end_on_interrupt()
        return prompt.read()


def withdraw_prompts() -> None:
    """Withdraw every prompt that is still open: nobody waits for its answer any more."""
    for prompt in tuple(_open):
        prompt.withdraw()


atexit.register(withdraw_prompts)


def _is_ours(terminal: int) -> bool:
    """Whether this process is in the foreground: the system stops another one that changes the mode."""
    return os.tcgetpgrp(terminal) == os.getpgrp()


def _swallow_typing(terminal: int) -> None:
    """If somebody is in the middle of a line, throw away what they type until Enter, or until they pause."""
    import termios

    with suppress(OSError, termios.error):
        if not _is_ours(terminal):
            return
        mode = termios.tcgetattr(terminal)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        # Without ICANON also a line that has no end yet can be read.
        termios.tcsetattr(terminal, termios.TCSANOW, mode)
        end, quiet = time.monotonic() + MOST_SECONDS, 0.0
        while (left := min(quiet, end - time.monotonic())) >= 0 and select.select([terminal], [], [], left)[0]:
            typed = os.read(terminal, 4096)
            if not typed or typed.endswith((b"\n", b"\r")):
                return
            quiet = QUIET_SECONDS


def _console_line(withdrawn: threading.Event) -> str:
    """Windows: read until Enter from the console."""
    import importlib

    console: Any = importlib.import_module("msvcrt")
    typed: list[str] = []
    while True:
        while not console.kbhit():
            if withdrawn.wait(POLL_SECONDS / 4):
                while console.kbhit():
                    console.getwch()
                raise EOFError
        key = console.getwch()
        if key in "\r\n":
            return "".join(typed)
        if key == "\x03":
            raise KeyboardInterrupt
        if key == "\x1a":
            raise EOFError
        if key == "\b":
            del typed[-1:]
        elif key in "\0\xe0":
            console.getwch()  # an arrow or function key has two parts
        else:
            typed.append(key)
