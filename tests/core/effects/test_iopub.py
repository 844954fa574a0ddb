"""The kernel's output channel."""

import time
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import Session

from opsbook.core.effects.boot import CountedIOPub


class Slow(zmq.Socket):  # type: ignore[type-arg]
    """A reader subscribes between two frames of the first message."""

    reader: Any = None
    address = ""

    def send(self, data: Any, flags: int = 0, **options: Any) -> Any:  # type: ignore[override]
        sent = super().send(data, flags, **options)
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.connect(self.address)
            reader.subscribe(b"")
            time.sleep(0.5)  # until ZeroMQ has it
        return sent


def test_who_subscribes_while_a_message_is_sent_is_welcomed(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/iopub"
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as reader,
        context.socket(zmq.XPUB, socket_class=Slow) as output,
    ):
        output.linger = reader.linger = 0
        output.bind(address)
        channel = CountedIOPub(output, session=Session(key=b"key"))
        channel.start()
        time.sleep(0.5)  # until its thread waits for events
        output.address, output.reader = address, reader
        channel.send_multipart([b"first", b"message"])
        try:
            assert reader.poll(60_000), "no welcome"
            assert any(b"iopub_welcome" in frame for frame in reader.recv_multipart())
        finally:
            channel.stop()
            channel.close()
