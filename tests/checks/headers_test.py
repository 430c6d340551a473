"""scripts/checks/headers finds a header that does not compile alone, one without a target and a
source that nothing compiles; and compiles nothing twice unless something it includes has changed."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Headers(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.root = Path(self.directory.name).resolve()
        self.write("base/CMakeLists.txt", "")
        self.write("base/time.hpp", "#pragma once\nstruct Time { long ns; };\n")
        self.write("base/span.hpp", '#pragma once\n#include "base/time.hpp"\nstruct Span { Time from, to; };\n')
        self.write("base/time.cpp", '#include "base/time.hpp"\n')
        source = self.root / "base/time.cpp"
        self.write("build/dev/compile_commands.json", json.dumps([{
            "directory": str(self.root), "file": str(source),
            "command": f"env X=1 ccache /usr/bin/c++ -I{self.root} -std=c++20 -Wall -o time.o -c {source}"}]))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self):
        result = subprocess.run([ROOT / "scripts/checks/headers", "--root", self.root, "--build", "build/dev"],
                                capture_output=True, text=True)
        return result.returncode, result.stdout

    def test_a_sound_tree_passes_and_is_remembered(self):
        self.assertEqual(self.check(), (0, "headers: 2 headers, 2 compiled now, 0 problems\n"))
        self.assertEqual(self.check(), (0, "headers: 2 headers, 0 compiled now, 0 problems\n"))

    def test_a_changed_include_is_noticed(self):
        self.check()
        self.write("base/time.hpp", "#pragma once\nstruct Instant { long ns; };\n")
        status, output = self.check()
        self.assertEqual(status, 1)
        self.assertIn("base/span.hpp:1: does not compile alone", output)
        self.assertIn("2 compiled now, 1 problems", output)

    def test_a_header_that_needs_another_first(self):
        self.write("base/bad.hpp", "#pragma once\ninline std::string name;\n")
        status, output = self.check()
        self.assertEqual(status, 1)
        self.assertIn("base/bad.hpp:1: does not compile alone", output)
        self.assertEqual(self.check()[0], 1, "a failure must not be remembered as a pass")

    def test_a_header_without_a_guard(self):
        self.write("base/twice.hpp", "struct Twice {};\n")
        self.assertIn("base/twice.hpp:1: does not compile alone", self.check()[1])

    def test_a_header_without_a_target(self):
        self.write("planner/lost.hpp", "#pragma once\n")
        self.assertIn("planner/lost.hpp:1: belongs to no target's folder", self.check()[1])

    def test_a_source_that_nothing_compiles(self):
        self.write("base/lost.cpp", "")
        self.assertIn("base/lost.cpp:1: no target compiles it", self.check()[1])


if __name__ == "__main__":
    unittest.main()
