"""A process that dies at a chosen point of what it does to the disk: before each call, and half-way through a write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import getmembers, isfunction
from itertools import count
from typing import Any

import pytest

from pipeline_v6_dagster.storage import disk

CALLS = [name for name, call in getmembers(disk, isfunction) if call.__module__ == disk.__name__]


class Killed(BaseException):
    """Stands in for SIGKILL. From here on every call to the disk raises it: the dead clean up nothing."""


class Death:
    """Counts the points that are passed; at the chosen one the process dies."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0
        self.place: str | None = None

    def point(self, place: str) -> bool:
        """Whether it dies here."""
        if self.place is not None:
            raise Killed
        self.passed += 1
        if self.passed <= self.at:
            return False
        self.place = place
        return True


@contextmanager
def dying(at: int) -> Iterator[Death]:
    """The block dies at a point, or comes to its end where it has no more points than that."""
    death = Death(at)

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def dies(*arguments: Any) -> Any:
            if death.point(f"before {name}"):
                raise Killed
            if name == "write" and len(arguments[1]) > 1 and death.point("half-way through write"):
                call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Killed
            return call(*arguments)

        return dies

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(disk, name, wrapped(name, getattr(disk, name)))
        try:
            yield death
        except Killed:
            assert death.place is not None


def deaths(act: Callable[[int], Callable[[], object]]) -> Iterator[tuple[int, Death]]:
    """Lets an action die at each of its points in turn, the last time not at all.

    `act` is given the number of the try, prepares it and returns the action.
    """
    for at in count():
        action = act(at)
        with dying(at) as death:
            action()
        yield at, death
        if death.place is None:
            return
