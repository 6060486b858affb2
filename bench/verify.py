"""What judging a signed code costs at the door: CPU time of `classify`, from the code's bytes to the verdict.

Pi cores are some five times slower.

    python -m bench.verify [--rounds N]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kiosk.credential import classify, personal_pass
from kiosk.model import Credential, Result
from kiosk.sim.issuers import NOW_S, CardIssuer, HealthAuthority, Office

LIMIT_MS = 2.0


def main() -> int:
    """Measure and print; 1 if half of the codes of a form take 2 ms or more, or if one is not verified."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = max(1, parser.parse_args().rounds)
    elliptic, rsa, cards, office = HealthAuthority(), HealthAuthority(rsa_bits=2048), CardIssuer(), Office()
    trust = replace(
        cards.trust, hc1={**(elliptic.trust.hc1 or {}), **(rsa.trust.hc1 or {})}, passes=office.trust.passes
    )
    phone = Ed25519PrivateKey.generate()
    bound = office.envelope(key=phone.public_key().public_bytes_raw())
    codes = {
        "hc1, ES256": elliptic.code(),
        "hc1, PS256": rsa.code(),
        "shc": cards.shc(cards.shc_claims()),
        "nzcp": cards.nzcp(),
        "pass": personal_pass.code_of(office.envelope()).encode(),
        "pass, moving": personal_pass.moving_code_of(bound, phone, NOW_S).encode(),
    }
    costs_ms: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            started_ns = time.thread_time_ns()
            verdict = classify(code, (), trust, NOW_S)
            costs_ms[name].append((time.thread_time_ns() - started_ns) / 1e6)
            if not isinstance(verdict, Credential) or verdict.result is not Result.VERIFIED:
                print(f"{name} was not verified")
                return 1
    print(f"verify rounds={rounds} limit_ms={LIMIT_MS}")
    for name, costs in costs_ms.items():
        costs.sort()
        half, most = (costs[int(share * (len(costs) - 1))] for share in (0.5, 0.99))
        print(f"{name:14}{len(codes[name]):5d} bytes   CPU p50 {half:6.3f} p99 {most:6.3f} ms")
    return 0 if all(costs[len(costs) // 2] < LIMIT_MS for costs in costs_ms.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
