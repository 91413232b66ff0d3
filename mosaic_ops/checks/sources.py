"""The tracked files, read once and shared by the parts."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class TrackedFile:
    """One file of git's index. `mode` as git writes it: 100644, 100755, 120000 for a symbolic link."""

    path: str
    mode: str
    root: Path

    @cached_property
    def content(self) -> bytes:
        return (self.root / self.path).read_bytes()

    @cached_property
    def text(self) -> str | None:
        """The content as text; None where it is binary."""
        if b"\0" in self.content:
            return None
        try:
            return self.content.decode("utf-8")
        except UnicodeDecodeError:
            return None


def tracked_files(root: Path) -> list[TrackedFile]:
    """What git tracks under `root` and the working tree still has. Raises CalledProcessError outside a git checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "--stage", "-z"], cwd=root, check=True, stdout=subprocess.PIPE
    ).stdout.decode("utf-8", errors="surrogateescape")
    files = []
    for entry in filter(None, listing.split("\0")):
        attributes, _, path = entry.partition("\t")
        if (root / path).is_symlink() or (root / path).is_file():
            files.append(TrackedFile(path=path, mode=attributes.split()[0], root=root))
    return files
