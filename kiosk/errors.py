"""Everything that can go wrong, each with the next step for the technician's hands.

One root. Every class says in one line what happened; its instance adds the thing and the measured number; `hint` is the
remedy and `exit_code` is what the process ends with, so that a service manager and a script can tell the causes apart.
Classes also inherit the builtin that a newcomer would catch. Messages never contain a code's content or a name.
"""

from __future__ import annotations

from kiosk.language.message import Message, joined, say


class KioskError(Exception):
    """Something in the kiosk failed.

    Attributes:
        hint: What to do about it, one sentence without a full stop; empty if there is nothing to do.
        exit_code: The exit code of a process that this error ends.
    """

    hint: str = ""
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    @property
    def sentence(self) -> Message:
        """What happened and what to do, for `kiosk.language.terminal.told`; `str` gives the same in English."""
        message = self.args[0] if isinstance(self.args[0], str) else super().__str__()
        return joined("; ", [message, self.hint] if self.hint else [message])

    def __str__(self) -> str:
        return str(self.sentence)


class ConfigError(KioskError, ValueError):
    """The configuration cannot be used; nothing has been started."""

    exit_code = 2


BEGIN_A_FILE = say("copy one of config/boards/ or config/kiosk.yaml there, or name a file with --config")


class NotProvisionedError(ConfigError):
    """Nobody has set this station up."""

    hint: str = say(
        "show it its provisioning code, use `kiosk provision --file`, or name `kiosk.id` and `kiosk.site` in the file"
    )

    def __init__(self, path: object, *, absent: bool = False) -> None:
        """Begin.

        Args:
            path: The configuration.
            absent: Whether it is not there, as on a laptop.
        """
        if absent:
            super().__init__(say("there is no {path}, and this station is not set up", path=path), hint=BEGIN_A_FILE)
        else:
            super().__init__(say("{path} names no kiosk, and this station is not set up", path=path))


class CameraError(KioskError, OSError):
    """The camera cannot be opened or used."""

    hint: str = say("check the ribbon or USB cable and `camera.source`, then run `kiosk doctor`")
    exit_code = 10


class CameraStalledError(CameraError, TimeoutError):
    """No frame came in time. Not retried: a stalled camera pipeline mends only in a new process."""

    hint: str = say("check the ribbon or USB cable, then `journalctl -u kiosk-scan -b`")

    def __init__(self, waited_s: float) -> None:
        super().__init__(say("no frame for {waited_s:.1f} s", waited_s=waited_s))


class CameraEndedError(CameraError, EOFError):
    """A recorded source (folder, video, simulated door) has shown its last frame."""

    hint: str = ""
    exit_code = 0


class PanelError(KioskError, OSError):
    """The lights or the buzzer cannot be driven."""

    hint: str = say("check the wiring and the pins in `panel`, then run `kiosk panel`")
    exit_code = 11


class OutboxError(KioskError, OSError):
    """An entry could not be made durable, so nobody was shown green for it."""

    hint: str = say("check the card with `kiosk status`, replace it if it is worn")
    exit_code = 12


class OutboxFullError(OutboxError):
    """The outbox has reached `outbox.max_entries`, or the disk has no room left."""

    hint: str = say("bring the uplink back, or make room on the card")


class LinkError(KioskError, ConnectionError):
    """The broker cannot be used."""

    hint: str = say("run `kiosk doctor`, which tries the broker and says what is wrong")
    exit_code = 13


class WireError(KioskError, ValueError):
    """A message or a stored entry is not of the documented form."""

    hint: str = say("compare the versions of the kiosk and of the centre; the form is in docs/asyncapi.yaml")
    exit_code = 14


class LedgerError(KioskError, OSError):
    """The centre's ledger cannot be opened or written."""

    hint: str = say("check the ledger's path, its owner and the free disk space")
    exit_code = 15


class RestartRequestedError(KioskError):
    """The configuration is to be read anew; the service manager starts the process again."""

    exit_code = 3

    def __init__(self) -> None:
        super().__init__(say("ends in order to read its configuration anew"))


class SealError(KioskError, ValueError):
    """A person cannot be sealed or opened; at a door nobody is recorded then."""

    hint: str = say("see that the authority's key and its list of keys are here, see docs/sealing.md")
    exit_code = 16


class CborError(KioskError, ValueError):
    """Bytes are no CBOR, or more of it than is let pass."""

    exit_code = 17


class TrustError(KioskError, ValueError):
    """The files that say whose signatures are believed cannot be used."""

    hint: str = say("see `credentials.trust_dir` in docs/credentials.md, then run `kiosk check`")
    exit_code = 2


class CoseError(KioskError, ValueError):
    """A message is no signed envelope, or its signature does not hold."""

    exit_code = 17


class ProvisionError(KioskError, ValueError):
    """The station could not be set up, or its identity cannot be used.

    Attributes:
        number: What the panel counts out, 1 to 9; docs/provisioning.md explains each.
        exit_code: 20; `kiosk provision` ends with 23 if it may pass by itself.
    """

    hint: str = say("look up its number in docs/provisioning.md")
    exit_code = 20
    number: int = 1

    def __init__(self, number: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(say("provisioning error {number}: {message}", number=number, message=message), hint=hint)
        self.number = number


class FleetError(KioskError, OSError):
    """The centre's authority or its registry of kiosks cannot be used, or refuses."""

    hint: str = say("check the fleet's folder, its owner and the free disk space")
    exit_code = 21


class SupervisionError(KioskError, OSError):
    """The centre's register of areas, sites and officers cannot be used, or refuses."""

    hint: str = say("name another with --supervision, or begin one with --new")
    exit_code = 24


class UpdateError(KioskError, OSError):
    """An update could not be fetched or installed; the version that runs goes on."""

    hint: str = say("see docs/updates.md; the station works meanwhile")
    exit_code = 22
