"""Compiles every module below a folder: ``python -I -S -X no_debug_ranges bytecode.py FOLDER``.

A program of its own, for the compiler follows the interpreter's flags. What it writes depends on the source, the path
below the folder and the Python release alone.
"""

import importlib.util
import marshal
import sys
import warnings
from pathlib import Path

MARSHAL_VERSION = 2
"""Later ones say of each object whether anything else in the process refers to it: two builds would differ."""

UNCHECKED_HASH = 0b01


def write(folder: Path, source: Path) -> None:
    """The module's ``__pycache__`` file. It is taken without a look at its source, which cannot change once deployed.

    A traceback names the module's real place: the import system puts it in for the path that is kept here."""
    content = source.read_bytes()
    code = compile(content, source.relative_to(folder).as_posix(), "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little") + importlib.util.source_hash(content)
    target = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(head + marshal.dumps(code, MARSHAL_VERSION))


def main(folder: Path) -> int:
    warnings.simplefilter("ignore")
    for source in sorted(folder.rglob("*.py")):
        if ".python_packages" in source.relative_to(folder).parts:
            continue  # a folder of imports of its own
        try:
            write(folder, source)
        except (SyntaxError, ValueError):
            # Some packages carry templates and samples for other releases: whoever imports one is told by Python.
            print(source.relative_to(folder).as_posix())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
