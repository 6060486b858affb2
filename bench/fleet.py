"""A fleet's morning peak on this machine: a mosquitto and a `central collect` of its own, and `central simulate` against them.

    python -m bench.fleet [options of `central simulate`]

mosquitto and the collector get as many open files as the system allows. Exit code 1 if anything was lost.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.drain import MOSQUITTO, await_port, ended, free_port, processor_s, resident_kb, user_line

_CONF = """\
{user}
listener {port} 127.0.0.1
allow_anonymous true
max_connections -1
# Messages that the collector may hold without an acknowledgement: with mosquitto's own 20, 20 entries share a commit.
max_inflight_messages 2000
max_queued_messages 0
log_type error
"""


def main(words: list[str]) -> int:
    """Run it, print what it cost, and return the exit code of `central simulate`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="kiosk-fleet-") as folder, ExitStack() as stack:
        port = free_port()
        settings = Path(folder) / "mosquitto.conf"
        settings.write_text(_CONF.format(port=port, user=user_line()))
        url, ledger = f"mqtt://127.0.0.1:{port}", Path(folder) / "ledger.db"
        log = stack.enter_context((Path(folder) / "log").open("ab"))
        broker = subprocess.Popen([MOSQUITTO, "-c", str(settings)], stdout=log, stderr=log)
        stack.callback(ended, broker)
        await_port(port)
        argv = [sys.executable, "-m", "central", "collect", "--broker", url, "--ledger", str(ledger)]
        collector = subprocess.Popen(argv, stdout=log, stderr=log)
        stack.callback(ended, collector)
        deadline_s = time.monotonic() + 20
        while " collecting " not in (Path(folder) / "log").read_text():
            if time.monotonic() > deadline_s:
                raise SystemExit((Path(folder) / "log").read_text())
            time.sleep(0.05)
        argv = [sys.executable, "-m", "central", "simulate", "--broker", url, "--ledger", str(ledger), *words]
        code = subprocess.run(argv, check=False).returncode
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"simulator processor_s={used.ru_utime + used.ru_stime:.0f}")
        for name, process in (("mosquitto", broker), ("collector", collector)):
            print(f"{name} processor_s={processor_s(process.pid):.0f} memory_mb={resident_kb(process.pid) / 1024:.0f}")
        return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
