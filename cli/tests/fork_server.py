"""Starts the client quickly: a process that has imported it once, and becomes it in a fork for every command.

Run as a program: `python fork_server.py FD`, where FD is one end of a socket pair. What is asked for there:

- `start`, with file descriptors 0, 1 and 2 of the new process (or its terminal alone): the answer is its process id.
- `wait`: the answer is the wait status of a process; null if it still runs and `block` is false.

A fork that raises anything but SystemExit ends through the interpreter, which tells what was raised and chooses the
exit status. When the socket is closed this process ends too.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import socket
import struct
import sys
import threading
from typing import Any, NoReturn

# What the commands import sooner or later. None of it may look at the environment while it is imported.
PRELOADED = (
    "portico_cli.app",
    "portico_cli.client",
    "encodings.idna",
    "getpass",
    "httpcore",
    "keyring",
    "rich.table",
    "typer._adapters",
    "typer._click.decorators",
    "yaml",
)
HEADER = struct.Struct("!I")


def send(peer: socket.socket, told: Any, *handles: int) -> None:
    """Send one JSON value, with file descriptors."""
    body = json.dumps(told).encode()
    socket.send_fds(peer, [HEADER.pack(len(body))], handles)
    peer.sendall(body)


def receive(peer: socket.socket) -> tuple[Any, list[int]]:
    """One JSON value and its file descriptors. Raises EOFError where the other side has closed."""
    head, handles, _, _ = socket.recv_fds(peer, HEADER.size, 3)
    if not head:
        raise EOFError("the other side of the fork server has closed")
    (size,) = HEADER.unpack(head)
    return json.loads(peer.recv(size, socket.MSG_WAITALL)), handles


def serve(peer: socket.socket) -> bool:
    """Do what is asked for; True in a fork, which is to become the client, and False at the end."""
    while True:
        try:
            asked, handles = receive(peer)
        except EOFError:
            return False
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], 0 if asked["block"] else os.WNOHANG)
            send(peer, status if pid else None)
            continue
        pid = os.fork()
        if pid == 0:
            peer.detach()
            become(asked["start"], handles)
            return True
        for handle in handles:
            os.close(handle)
        send(peer, pid)


def become(start: dict[str, Any], handles: list[int]) -> None:
    """Make this process what an interpreter that was just started would be."""
    if len(handles) == 1:
        os.login_tty(handles[0])
    else:
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
    os.closerange(3, 1024)
    os.chdir(start["cwd"])
    os.umask(start["umask"])
    # In place: rich keeps hold of this mapping.
    os.environ.clear()
    os.environ.update(start["env"])
    sys.path[0] = start["cwd"]
    sys.argv = ["portico_cli", *start["args"]]
    open_streams()


def open_streams() -> None:
    """The three streams as the interpreter opens them, with the encodings that it chose when it began."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        former = getattr(sys, name)
        stream = open(  # noqa: SIM115 - it is open until the process ends
            number,
            "w" if number else "r",
            buffering=1 if number == 2 else -1,
            encoding=former.encoding,
            errors=former.errors,
            newline="\n",
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        try:
            runpy.run_module("portico_cli", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            leave(end.code)


def leave(code: Any) -> NoReturn:
    """End as the interpreter does after SystemExit, without taking every module apart: that is half of the time."""
    if not isinstance(code, int | None):
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as the interpreter does, C has no other way
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    main()
