"""A way between two sockets that takes its time and counts what passes: a network to be measured over.

    python -m bench.relay LISTEN_PORT TARGET_PORT [DELAY_MS]

Each direction is delayed by half of DELAY_MS, in order and without a limit of rate. On SIGTERM it prints the bytes that went
forwards and those that came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter

CHUNK_BYTES = 65_536


class Relay:
    """One listening port and where it leads."""

    def __init__(self, target_port: int, delay_s: float) -> None:
        self._target_port = target_port
        self._delay_s = delay_s
        self.passed_bytes: Counter[str] = Counter()

    async def join(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        far, far_out = await asyncio.open_connection("127.0.0.1", self._target_port)
        ways = [self._carry(near, far_out, "forwards"), self._carry(far, near_out, "back")]
        with contextlib.suppress(OSError):
            await asyncio.gather(*ways)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        deliver = asyncio.create_task(self._deliver(queue, sink))
        while data := await source.read(CHUNK_BYTES):
            self.passed_bytes[way] += len(data)
            queue.put_nowait((asyncio.get_running_loop().time() + self._delay_s, data))
        queue.put_nowait((0.0, b""))
        await deliver

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due_s, data = await queue.get()
                if not data:
                    break
                await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
                sink.write(data)
                await sink.drain()
        sink.close()


async def _run(listen_port: int, target_port: int, delay_ms: float) -> None:
    relay = Relay(target_port, delay_ms / 2000)
    server = await asyncio.start_server(relay.join, "127.0.0.1", listen_port)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    async with server:
        await asked.wait()
    print(relay.passed_bytes["forwards"], relay.passed_bytes["back"], flush=True)


if __name__ == "__main__":
    port, target, *rest = sys.argv[1:]
    asyncio.run(_run(int(port), int(target), float(rest[0]) if rest else 0.0))
