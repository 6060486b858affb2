"""The command line of the centre: its words, and no more; what each takes and does is in central/commands/.

Exit codes: 0 done, 1 something is missing, 2 wrong command line, 10 and above a part that failed (`kiosk.errors`).
"""

from __future__ import annotations

import sys
from functools import partial

from kiosk import __version__
from kiosk.cli import words
from kiosk.cli.words import Word

PROGRAM = words.Program(
    name="central",
    version=__version__,
    about="The centre: collects the kiosks' entries, and proves that none is missing.",
    package="central.commands",
    words=(
        Word("collect", "take entries from the broker, keep them, send receipts"),
        Word("audit", "is every entry of every kiosk there, once? exit code 1 if not"),
        Word("entries", "list or export entries"),
        Word("simulate", "a fleet's morning peak over a broker into an empty ledger; exit code 1 if anything is lost"),
        Word("ca", "the fleet's certificate authority: begin it, certify servers"),
        Word("fleet", "which kiosks there are; take one's certificate away"),
        Word("provision", "make the code that sets a kiosk up, once"),
        Word("enrol", "serve certificates to kiosks with a valid code, over HTTPS"),
        Word("command", "tell one station to do something, signed with the fleet's key"),
        Word("update", "roll an update out in rings; it halts by itself when stations fail"),
        Word("area", "the areas that somebody answers for: take in a table, list"),
        Word("site", "where people enter: take in a table, list, close"),
        Word("point", "which station hangs at which site"),
        Word("officer", "who may look at which area, as what"),
        Word("label", "a label for a station's box, PDF of a bank card's size: its name and a code"),
        Word("pass", "passes that the office issues itself: make the key, issue, revoke, list", module="passes"),
        Word("keys", "the authority's keys, by which persons are sealed: make, publish, list, destroy"),
        Word("open", "open sealed persons with a private key, for a reason that is kept"),
        Word("openings", "who opened persons, when, which and why"),
        Word("trust", "whom the stations believe: sign a trust folder and leave it at the broker"),
    ),
)
main = partial(words.main, PROGRAM)

if __name__ == "__main__":
    sys.exit(main())
