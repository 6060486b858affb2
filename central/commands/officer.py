"""`central officer`: who may look at which area, as what."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from central.commands import register as shared
from central.supervise.register import ROLES, Officer, Register
from kiosk import forms
from kiosk.cli import words
from kiosk.cli.words import Action, meant
from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    import argparse

    from kiosk.cli.words import Parser

COLUMNS = ("officer", "name", "role", "area", "site", "may")


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action("add", "somebody new", add, _add_add),
            Action("change", "another name, role or area", change, _add_change),
            Action("disable", "from now on he may look at nothing", disable, _add_id),
            Action("enable", "he may again", enable, _add_id),
            Action("list", "all of them", list_, _add_list),
        ),
    )


def _add_id(parser: Parser) -> None:
    parser.add_argument("officer", metavar="ID", help="the name by which he signs in")
    shared.add_register(parser)


def _add_add(parser: Parser) -> None:
    _add_id(parser)
    _add_what(parser, needed=True)


def _add_change(parser: Parser) -> None:
    _add_id(parser)
    _add_what(parser, needed=False)


def _add_what(parser: Parser, *, needed: bool) -> None:
    parser.add_argument("--name", required=needed, metavar="TEXT", help="as people write it")
    told = "; ".join(f"{role}: {what}" for role, what in ROLES.items())
    parser.add_argument("--role", required=needed, choices=tuple(ROLES), help=told)
    parser.add_argument("--area", required=needed, metavar="ID", help="where, with all below it")
    parser.add_argument("--site", default="", metavar="ID", help="the one site, for the role site")


def _add_list(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: JSON, one object a line")
    shared.add_register(parser)


def add(arguments: argparse.Namespace) -> int:
    """Take one in."""
    if fault := forms.fault_of_id(arguments.officer):
        raise SupervisionError(f"{arguments.officer!r}: {fault[0]}", hint=str(fault[1]))
    with shared.opened(arguments) as database:
        register = Register(database)
        if any(each.id == arguments.officer for each in register.officers()):
            raise SupervisionError(
                f"there is an officer {arguments.officer!r}", hint="`central officer change` changes one"
            )
        register.put_officer(Officer(arguments.officer, arguments.name, arguments.role, arguments.area, arguments.site))
    print(f"{arguments.officer}: {arguments.role} of {arguments.site or arguments.area}")
    return 0


def change(arguments: argparse.Namespace) -> int:
    """What was given takes the place of what was."""
    with shared.opened(arguments) as database:
        register = Register(database)
        old = _known(register, arguments.officer)
        role = arguments.role or old.role
        new = replace(
            old,
            name=arguments.name or old.name,
            role=role,
            area=arguments.area or old.area,
            site=(arguments.site or old.site) if role == "site" else arguments.site,
        )
        register.put_officer(new)
    print(f"{new.id}: {new.role} of {new.site or new.area}")
    return 0


def disable(arguments: argparse.Namespace) -> int:
    """He may not any more."""
    return _set(arguments, round(time.time()))


def enable(arguments: argparse.Namespace) -> int:
    """He may again."""
    return _set(arguments, None)


def _set(arguments: argparse.Namespace, disabled_s: int | None) -> int:
    with shared.opened(arguments) as database:
        register = Register(database)
        register.put_officer(replace(_known(register, arguments.officer), disabled_s=disabled_s))
    print(f"{arguments.officer}: {'may look again' if disabled_s is None else 'may look at nothing any more'}")
    return 0


def _known(register: Register, name: str) -> Officer:
    officers = {each.id: each for each in register.officers()}
    if name not in officers:
        raise SupervisionError(
            f"there is no officer {name!r}{meant(name, officers)}", hint="`central officer list` names them"
        )
    return officers[name]


def list_(arguments: argparse.Namespace) -> int:
    """A line for each."""
    with shared.opened(arguments) as database:
        officers = Register(database).officers()
    rows = [
        (each.id, each.name, each.role, each.area, each.site, "yes" if each.disabled_s is None else "no")
        for each in officers
    ]
    return shared.show(arguments, COLUMNS, rows)
