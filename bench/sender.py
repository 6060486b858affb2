"""paho as its first page shows it: one message an entry, QoS 1, everything at its default. A process of its own.

    python -m bench.sender PORT TOPIC FILE

FILE has one payload a line. Prints the processor's seconds that the sending took, once everything has its PUBACK.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


def main(port: int, topic: str, path: Path) -> None:
    """Send all of it."""
    payloads = path.read_bytes().splitlines()
    began_s = time.process_time()
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    print("connected", flush=True)
    for info in [client.publish(topic, payload, qos=1) for payload in payloads]:
        info.wait_for_publish(3600)
    client.disconnect()
    client.loop_stop()
    print(f"{time.process_time() - began_s:.3f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
