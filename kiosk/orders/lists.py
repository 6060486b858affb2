"""The signed lists that the broker brings: the authority's keys, and whom to believe. Judged here, kept for the scan processes.

Those judge each once more when they read it. Whatever is wrong with a list is one line in the log, and the station goes on
with what it has.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kiosk.delivery import wire
from kiosk.errors import SealError, TrustError
from kiosk.log import line
from kiosk.sealer import list_path
from kiosk.trust import authority_keys, trust_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.config import Config

_log = logging.getLogger(__name__)


class SignedLists:
    """One uplink's lists. One thread only."""

    def __init__(self, config: Config, fleet: Mapping[bytes, Ed25519PublicKey]) -> None:
        self._config = config
        self._keys_topic = wire.keys_topic(config.kiosk.id)
        self._trust = trust_list.Arrivals(trust_list.path_of(config), fleet)
        self.topics = (self._keys_topic, trust_list.TOPIC) if fleet else (self._keys_topic,)

    @property
    def trust_issued_s(self) -> int | None:
        """When the trust list was issued that is here; None if there is none."""
        return self._trust.issued_s

    def are_at(self, topic: str) -> bool:
        """Whether this is where one of them, or a part of one, comes."""
        return topic in self.topics or topic.startswith(trust_list.content_topic(b""))

    def take(self, topic: str, payload: bytes) -> str | None:
        """Judge what has come, and keep it if it is good.

        Returns:
            A further topic to subscribe to, where the rest of it is; None if nothing is missing.
        """
        try:
            if topic == self._keys_topic:
                self._take_keys(payload)
            elif topic == trust_list.TOPIC:
                return self._trust.head(payload)
            else:
                listed = self._trust.content(topic, payload)
                if listed is not None:
                    _log.info(line("trust-list", files=len(listed.files), issued_s=listed.head.issued_s))
        except SealError as error:
            _log.warning(line("keys-not-taken", reason=error))
        except TrustError as error:
            _log.warning(line("trust-not-taken", reason=error))
        return None

    def _take_keys(self, payload: bytes) -> None:
        trusted = authority_keys.authority_key(self._config.seal.authority_file)
        keys = authority_keys.take(payload, list_path(self._config), trusted)
        _log.info(line("keys", count=len(keys.keys), until_s=keys.until_s))
