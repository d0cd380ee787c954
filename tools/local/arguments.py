"""Read the arguments of our commands. What is wrong with one is said in a sentence, in the words of `make`."""

import re
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import NoReturn


class Arguments(ArgumentParser):
    """A parser that says in one sentence what is wrong, and exits with 2.

    It leaves out argparse's usage, because a user of make does not know the script behind it.
    """

    def __init__(self, module_docstring: str | None) -> None:
        super().__init__(description=module_docstring, formatter_class=RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        sentence = re.sub(r"^argument (?:--)?(\S+): must", lambda named: f"{named[1].upper()} must", message)
        self.exit(2, f"{sentence[0].upper()}{sentence[1:]}.\n")


def number[N: (int, float)](kind: type[N], lowest: N, highest: N) -> Callable[[str], N]:
    """Return the `type` of an argument that is an int or a float between two bounds, which belong to it."""

    def read(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not lowest <= value <= highest:  # NaN is between no bounds
            name = "whole number" if kind is int else "number"
            raise ArgumentTypeError(f"must be a {name} from {lowest} to {highest}; it is {text or 'empty'}")
        return value

    return read
