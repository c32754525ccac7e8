"""One module of the app with a defect in it: only its text differs, and only in the process that imports it."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.mutants.defects import Defect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

ROOT = Path(__file__).parents[3]


class OutdatedDefectError(Exception):
    """The text that a defect replaces is not in its file exactly once: the list has fallen behind the code."""


def spoiled_text(defect: Defect) -> str:
    """Raises OutdatedDefectError."""
    text = (ROOT / defect.file).read_text()
    if text.count(defect.old) != 1:
        raise OutdatedDefectError(
            f"{defect.name}: {defect.file} holds this {text.count(defect.old)} times:\n{defect.old}"
        )
    return text.replace(defect.old, defect.new)


def install(defect: Defect) -> None:
    """From now on imports find the spoiled module. Raises OutdatedDefectError; nothing may have imported it before."""
    module = defect.file.removesuffix(".py").replace("/", ".")
    assert module not in sys.modules, "the parent of this process must not have loaded the app"
    sys.meta_path.insert(0, _Finder(module, ROOT / defect.file, spoiled_text(defect)))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, file: Path, text: str) -> None:
        self._module = module
        self._loader = _Loader(module, str(file), text)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._loader.path, loader=self._loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, module: str, path: str, text: str) -> None:
        super().__init__(module, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType | None:
        """Compiled each time: the cache holds the sound module."""
        return compile(self._text, self.path, "exec", dont_inherit=True)
