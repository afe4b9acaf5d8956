"""Starts the client quickly: a process that has imported it once, and becomes it in a fork for every command.

Run as a program: `python fork_server.py FD`, where FD is one end of a socket pair. What is asked for there:

- `start`, with file descriptors 0, 1 and 2 of the new process (or its terminal alone): the answer is its process id.
- `wait`: the answer is the wait status of a process; null if it still runs and `block` is false.

A fork ends as a program of its own does: through the interpreter, which tells what was raised, runs what is
registered for the end, flushes, and chooses the exit status. When the socket is closed this process ends too.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import socket
import struct
import sys
from typing import Any

# What the commands import sooner or later. None of it may look at the environment while it is imported.
PRELOADED = ("portico_cli.app", "httpx", "httpcore", "keyring", "yaml", "getpass", "rich.table", "encodings.idna")
HEADER = struct.Struct("!I")


def send(peer: socket.socket, told: Any, *handles: int) -> None:
    """Send one JSON value, with file descriptors."""
    body = json.dumps(told).encode()
    socket.send_fds(peer, [HEADER.pack(len(body))], handles)
    peer.sendall(body)


def receive(peer: socket.socket) -> tuple[Any, list[int]]:
    """One JSON value and its file descriptors; None where the other side has closed."""
    head, handles, _, _ = socket.recv_fds(peer, HEADER.size, 3)
    if not head:
        return None, []
    return json.loads(peer.recv(*HEADER.unpack(head), socket.MSG_WAITALL)), handles


def serve(peer: socket.socket) -> bool:
    """Do what is asked for; True in a fork, which is to become the client, and False at the end."""
    while True:
        asked, handles = receive(peer)
        if asked is None:
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
        runpy.run_module("portico_cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
