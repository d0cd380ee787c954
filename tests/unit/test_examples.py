"""The examples in the package's docstrings."""

import doctest
from importlib import import_module
from pkgutil import walk_packages

import after_hours
import pytest


def test_the_examples_in_docstrings_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_BUS", "after-hours")
    modules = [import_module(module.name) for module in walk_packages(after_hours.__path__, "after_hours.")]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) >= 9
    assert sum(result.failed for result in results) == 0
