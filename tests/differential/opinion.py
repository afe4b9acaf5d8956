"""Somebody else's service provider in a process of its own, asked with a time limit: it may hang on what we send it."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from demo.issuer import encode
from tests.differential.ours import SIGNERS
from tests.encrypting import Ours, our_key
from tests.idp import key

if TYPE_CHECKING:
    from types import TracebackType

    from tests.idp import Counterpart

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 10.0
START_S = 60.0


@dataclass(frozen=True)
class Opinion:
    """What it said: an identity (NameID and attributes), or why not; `hung` and `raised` are refusals of a sort."""

    identity: tuple[str, dict[str, list[Any]]] | None
    reason: str = ""
    hung: bool = False
    raised: bool = False

    @property
    def accepted(self) -> bool:
        """Whether somebody would be signed in."""
        return self.identity is not None


class Judge:
    """A worker process that is started when it is needed, and anew after it had to be killed."""

    def __init__(self, module: str, party: Counterpart) -> None:
        self.command = [sys.executable, "-m", module]
        self.facts = {
            "entity_id": party.entity_id,
            "sp_entity_id": party.sp_entity_id,
            "acs_url": party.acs_url,
            "certificates": [key(kind).certificate_text for kind in SIGNERS],
            "private_key": our_key(Ours.FIRST).private_pem.decode(),
            "our_certificate": our_key(Ours.FIRST).certificate_text,
        }
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, xml: bytes, request_id: str | None = None) -> Opinion:
        """Its opinion of a document."""
        fresh = self.process is None
        process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"message": encode(xml), "request_id": request_id}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return self._died()
        ready, _, _ = select.select([process.stdout], [], [], START_S if fresh else LIMIT_S)
        if not ready:
            self.stop()
            return Opinion(None, "no answer in time", hung=True)
        line = process.stdout.readline()
        if not line:
            return self._died()
        said = json.loads(line)
        if "identity" in said:
            name_id, attributes = said["identity"]
            return Opinion((name_id, attributes))
        return Opinion(None, said.get("refused") or said["raised"], raised="raised" in said)

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self.facts) + "\n")
        process.stdin.flush()
        self.process = process
        return process

    def _died(self) -> Opinion:
        self.stop()
        return Opinion(None, "the process died", raised=True)

    def stop(self) -> None:
        """End the process, whatever it does."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait()
