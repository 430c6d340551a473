"""What the checks know of the source tree: its folders, its files, who includes whom.

Includes of ours are written from the source root ("base/time.hpp"), so following them needs no
compiler.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

LIBRARIES = ["base", "predictor", "scheduler", "traces", "report", "sim", "planner", "exec"]
FOLDERS = LIBRARIES + ["cli", "python", "tests"]
SOURCE_SUFFIXES = {".cpp", ".cu"}
HEADER_SUFFIXES = {".hpp", ".h", ".cuh"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def root_of_script():
    return Path(__file__).resolve().parents[2]


def files(root, folders=FOLDERS, suffixes=frozenset(SOURCE_SUFFIXES | HEADER_SUFFIXES)):
    """Paths, relative to root and sorted, of the files in folders whose suffix is asked for."""
    found = []
    for folder in folders:
        for directory, below, names in os.walk(root / folder):
            below[:] = [d for d in below if not d.startswith((".", "build"))]
            for name in names:
                if Path(name).suffix in suffixes:
                    found.append((Path(directory) / name).relative_to(root))
    return sorted(found)


class Includes:
    """The include graph of a tree, read once a file."""

    def __init__(self, root):
        self.root = root
        self._text = {}
        self._direct = {}

    def text(self, path):
        if path not in self._text:
            self._text[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._text[path]

    def direct(self, path):
        """(line, opening mark, included name) of every include in the file."""
        if path not in self._direct:
            text = self.text(path)
            self._direct[path] = [
                (text.count("\n", 0, m.start(1)) + 1, m.group(1), m.group(2))
                for m in INCLUDE.finditer(text)
            ]
        return self._direct[path]

    def closure(self, path):
        """The file and every file of the tree that it includes, directly or not, sorted."""
        seen, todo = set(), [Path(path)]
        while todo:
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            for _, _, name in self.direct(current):
                for candidate in (Path(name), current.parent / name, Path(name).with_suffix("").with_suffix(".proto")):
                    if (self.root / candidate).is_file():
                        todo.append(candidate)
                        break
        return sorted(seen)

    def digest(self, path, *extra):
        """A hash of the file, of everything in the tree that it includes and of extra."""
        state = hashlib.sha256(repr(extra).encode())
        for member in self.closure(path):
            state.update(str(member).encode() + b"\0" + self.text(member).encode() + b"\0")
        return state.hexdigest()


class PassedCache:
    """Digests that have passed a check; what did not pass is never remembered."""

    def __init__(self, path):
        self.path = path
        self.before = set()
        self.now = set()
        if path.exists():
            self.before = set(json.loads(path.read_text()))

    def passed(self, digest):
        if digest in self.before:
            self.now.add(digest)
        return digest in self.now

    def add(self, digest):
        """Kept at once: an interrupted check goes on where it stopped."""
        self.now.add(digest)
        self.save()

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(sorted(self.before | self.now)))
        new.replace(self.path)


def compile_commands(build):
    """{source path: argument list} of a build directory; ends the script if it is not configured."""
    database = Path(build) / "compile_commands.json"
    if not database.exists():
        sys.exit(f"{database} is missing: run cmake --preset {Path(build).name}")
    import shlex

    return {
        Path(entry["file"]): (shlex.split(entry["command"]), entry["directory"])
        for entry in json.loads(database.read_text())
    }


def without_outputs(arguments):
    """The compiler and its flags: no launcher, no input, no output, no dependency file."""
    start = next(i for i, a in enumerate(arguments) if re.search(r"(\+\+|g\+\+|clang)[-\d.]*$", a))
    kept, skip = [], False
    for argument in arguments[start:]:
        if skip:
            skip = False
        elif argument in ("-o", "-MF", "-MT", "-MQ", "-c"):
            skip = True  # -c SOURCE stands last in CMake's commands
        elif argument not in ("-MD", "-MMD", "-MP"):
            kept.append(argument)
    return kept


def jobs():
    return max(2, len(os.sched_getaffinity(0)))


def compiler_version(compiler):
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.split("\n")[0]
