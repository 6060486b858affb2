"""Tasks in processes of their own, so that what kills one is told, and what one remembers does not show in the next."""

from __future__ import annotations

from multiprocessing import connection, get_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Task = TypeVar("Task")
Result = TypeVar("Result")


class ChildDiedError(Exception):
    """A process ended without an answer: a crash beneath Python."""


def spread(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """Do each task in a process of its own, a copy of this one, so many at once.

    Args:
        work: What to do with a task.
        tasks: All of them.
        jobs: How many at once.

    Yields:
        Results as they come.

    Raises:
        ChildDiedError: One ended without a result.
    """
    context = get_context("fork")
    waiting = list(reversed(tasks))
    running: dict[Connection, tuple[BaseProcess, Task]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                reader, writer = context.Pipe(duplex=False)
                process = context.Process(target=_tell, args=(writer, work, task))
                process.start()
                writer.close()
                running[reader] = process, task
            heard = connection.wait(list(running))
            for ready in [each for each in running if each in heard]:
                child, task = running.pop(ready)
                yield _heard(ready, child, task)
    finally:
        for open_reader, (child, _) in running.items():
            child.terminate()
            child.join()
            open_reader.close()


def _heard(reader: Connection, child: BaseProcess, task: object) -> Any:  # noqa: ANN401  what the work returns
    with reader:
        try:
            result = reader.recv()
        except EOFError:
            child.join()
            raise ChildDiedError(f"{task}: exit code {child.exitcode}") from None
    child.join()
    return result


def _tell(writer: Connection, work: Callable[[Task], Result], task: Task) -> None:
    with writer:
        writer.send(work(task))
