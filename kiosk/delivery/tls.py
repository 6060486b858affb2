"""Dates of certificates, judged by the station's clock instead of the machine's.

OpenSSL knows the machine's clock only, and that was never set where there is neither a battery nor a time server. Once the
centre has told the time (`kiosk.clock`), the dates of the whole chain are judged by it: in the handshake, before anything is sent.

Sources:
    [1] openssl/x509_vfy.h; X509_VERIFY_PARAM_set_flags(3).
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any

from kiosk.clock import SystemClock, judging_s
from kiosk.log import line
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME [1]; Python has no name for it


def judge_dates(context: ssl.SSLContext, runtime_dir: Path, *, ignore_unknown: bool = False) -> None:
    """Have a context judge dates by the best clock that there is.

    Args:
        context: Of one connection: the clock may be set before the next.
        runtime_dir: Where the centre's time is.
        ignore_unknown: Whether dates are ignored while nobody has told the time; else they are judged by the machine's clock,
            whatever day that shows.
    """
    if SystemClock().now().quality is not ClockQuality.UNSET:
        return
    clock = SystemClock(runtime_dir)
    if ignore_unknown or clock.now().quality is not ClockQuality.UNSET:
        context.verify_flags |= _NO_CHECK_TIME
        context.sslsocket_class = _dated(clock, ignore_unknown=ignore_unknown)


def _dated(clock: SystemClock, *, ignore_unknown: bool) -> type[ssl.SSLSocket]:
    """Sockets that judge the dates of the peer's certificates by this clock."""

    class Dated(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  as the base class has it
            super().do_handshake(block)
            now_s = judging_s(clock.now())
            if now_s is None and ignore_unknown:
                _log.warning(line("certificate-dates-ignored", reason="the clock has not been set"))
                return
            sslobj: Any = self._sslobj  # type: ignore[attr-defined]  # public only since Python 3.13, and there as DER
            for certificate in sslobj.get_verified_chain():
                dates = certificate.get_info()
                first_s, last_s = (ssl.cert_time_to_seconds(dates[name]) for name in ("notBefore", "notAfter"))
                if now_s is None or not first_s <= now_s <= last_s:
                    raise _refused(now_s, first_s)

    return Dated


_HAS_EXPIRED = 10
"""OpenSSL's number of what is wrong."""


def _refused(now_s: float | None, first_s: float) -> ssl.SSLCertVerificationError:
    if now_s is None:
        what = "cannot be judged: the centre's time is gone"
    else:
        what = f"{'is not yet valid' if now_s < first_s else 'has expired'}, by the centre's time"
    error = ssl.SSLCertVerificationError(f"certificate {what}")
    error.verify_code, error.verify_message = _HAS_EXPIRED, what
    return error
