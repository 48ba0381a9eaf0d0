"""Which package the name ``objectives`` means, where a user has a module of that name too.

``objectives`` is installed next to ``optuna_scoot``. A file ``objectives.py`` in the working
directory comes before it on the path with ``PYTHONPATH=.`` and ``python -m``. The command takes
its own package whatever else is called so; a program that uses this library is told to rename its
file, because ``import objectives`` can mean only one of the two there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


NAME = "objectives"
OWN_FILE = Path(__file__).parents[1] / NAME / "__init__.py"


def use_own_objectives() -> None:
    """Make ``import objectives`` mean the package installed with this one, in this process.

    For processes that are this project's own: the command and its workers.
    """
    if NAME in sys.modules and _is_own(getattr(sys.modules[NAME], "__file__", None)):
        return
    spec = importlib.util.spec_from_file_location(
        NAME, OWN_FILE, submodule_search_locations=[str(OWN_FILE.parent)]
    )
    if spec is None or spec.loader is None or not OWN_FILE.is_file():
        return  # installed in another way: the path decides
    for name in [n for n in sys.modules if n == NAME or n.startswith(f"{NAME}.")]:
        del sys.modules[name]
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


def require_own_objectives() -> None:
    """Refuse to go on where ``import objectives`` means something else.

    Raises:
        ImportError: Names the file that hides the package.
    """
    found = _found_file()
    if found is not None and OWN_FILE.is_file() and not _is_own(found):
        raise ImportError(
            f"{found} hides the package 'objectives' that optuna-scoot installs: rename it",
            name=NAME,
            path=found,
        )


def _found_file() -> str | None:
    """Return the file or folder that ``import objectives`` gives, None where nothing is found."""
    if NAME in sys.modules:
        module = sys.modules[NAME]
        return getattr(module, "__file__", None) or str(module)
    spec = importlib.util.find_spec(NAME)
    if spec is None:
        return None
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)


def _is_own(file: str | None) -> bool:
    return file is not None and Path(file).resolve() == OWN_FILE.resolve()
