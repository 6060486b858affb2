"""What a broker refuses now: the whole connection, the entries, or one topic beside them; by the names of `kiosk.delivery.refusals`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Complaints:
    """One uplink's, about the broker that it talks to or tried last.

    Attributes:
        link: Why there is no connection; empty while one stands.
        entries: Why no entry is delivered over a connection that stands; empty if they are, or were not tried.
        topics: Why another topic is refused, by topic.
    """

    link: str = ""
    entries: str = ""
    topics: dict[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """For the status: "refused-" and the last word of each topic, "entries-" and why."""
        refused = sorted({f"refused-{topic.rpartition('/')[2]}" for topic in self.topics})
        return [*([f"entries-{self.entries}"] if self.entries else []), *refused]

    def marks(self) -> dict[str, object]:
        """For the marks of the process, which `kiosk doctor` and `kiosk status` read."""
        return {"link": self.link, "entries": self.entries, "topics": dict(self.topics)}


def read(marks: object) -> Complaints:
    """What `marks` wrote; nothing if it was something else."""
    match marks:
        case {"link": str(link), "entries": str(entries), "topics": dict(topics)}:
            return Complaints(link, entries, {str(topic): str(name) for topic, name in topics.items()})
        case _:
            return Complaints()
