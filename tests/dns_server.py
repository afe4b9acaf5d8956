"""A small real DNS server on loopback, UDP and TCP, that says what a test wants of it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LARGEST_DATAGRAM = 512  # RFC 1035 4.2.1: what is longer comes by TCP


class Trouble(Enum):
    """What a server does instead of answering."""

    NXDOMAIN = auto()
    SERVFAIL = auto()
    SILENCE = auto()


@dataclass
class DnsServer:
    """The records it serves, by name in lower case without the last dot; any other name does not exist."""

    port: int = 0
    records: dict[str, Sequence[str] | Trouble] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, question: bytes, largest: int) -> bytes | None:
        """The answer to a message; None for silence."""
        query = dns.message.from_wire(question)
        name = query.question[0].name
        key = name.to_text(omit_final_dot=True).lower()
        self.asked.append(key)
        found = self.records.get(key, Trouble.NXDOMAIN)
        if found is Trouble.SILENCE:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if isinstance(found, Trouble):
            response.set_rcode(dns.rcode.from_text(found.name))
        elif found:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *found))
        wire = response.to_wire()
        if len(wire) > largest:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire


@contextlib.contextmanager
def serve() -> Iterator[DnsServer]:
    """A server on a free port of 127.0.0.1, ended with the block."""
    told = DnsServer()

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            question, link = self.request
            if answer := told.answer(question, LARGEST_DATAGRAM):
                link.sendto(answer, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            if answer := told.answer(self.rfile.read(length), 2**16):
                self.wfile.write(struct.pack("!H", len(answer)) + answer)

    with (
        socketserver.ThreadingUDPServer(("127.0.0.1", 0), Datagram) as datagrams,
        socketserver.ThreadingTCPServer(("127.0.0.1", datagrams.server_address[1]), Stream) as streams,
    ):
        told.port = datagrams.server_address[1]
        threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in (datagrams, streams)]
        for thread in threads:
            thread.start()
        try:
            yield told
        finally:
            for server in (datagrams, streams):
                server.shutdown()
            for thread in threads:
                thread.join()


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
