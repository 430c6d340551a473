"""The shipped .clang-format and .clang-tidy work: a planted fault of each is an error."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Style(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.source = Path(directory.name) / "probe.cpp"

    def run_tool(self, text, *command):
        self.source.write_text(text)
        result = subprocess.run([*command], capture_output=True, text=True, cwd=self.source.parent)
        return result.returncode, result.stdout + result.stderr

    def format(self, text):
        return self.run_tool(text, "clang-format", "--dry-run", "-Werror",
                             f"--style=file:{ROOT / '.clang-format'}", self.source)

    def tidy(self, text):
        return self.run_tool(text, "clang-tidy", "--quiet", f"--config-file={ROOT / '.clang-tidy'}",
                             self.source, "--", "-std=c++20", "-Wno-restrict")

    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not here")
    def test_format(self):
        self.assertEqual(self.format("int f() { return 1; }\n")[0], 0)
        status, output = self.format("int  f() {return 1;}\n")
        self.assertNotEqual(status, 0)
        self.assertIn("clang-format-violations", output)

    @unittest.skipUnless(shutil.which("clang-tidy"), "clang-tidy is not here")
    def test_tidy(self):
        head = "#include <string>\n#include <utility>\n"
        self.assertEqual(self.tidy(head + "std::string f(std::string a) { return a; }\n")[0], 0)
        status, output = self.tidy(
            head + "std::string f(std::string a) { std::string b = std::move(a); return a + b; }\n")
        self.assertNotEqual(status, 0)
        self.assertIn("bugprone-use-after-move,-warnings-as-errors", output)


if __name__ == "__main__":
    unittest.main()
