"""scripts/targets reruns commands, tells met from missed from unmeasured, and records them; and
docs/targets.csv is well formed, with commands that exist."""

import csv
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = "id,target,command,measured,machine,date,met\n"


def targets(file, *arguments):
    return subprocess.run([ROOT / "scripts/targets", "--file", file, *arguments], capture_output=True, text=True)


class Targets(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name) / "targets.csv"
        self.file.write_text(
            HEADER + "A1,fast,\"echo measured: 3 s\",,,,no\n"
            "A2,faster,\"echo measured: 9 s; exit 1\",,,,no\n"
            "B1,there,\"echo nothing\",,,,no\n")

    def rows(self):
        with self.file.open(newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}

    def test_outcomes_are_recorded(self):
        result = targets(self.file, "--write")
        self.assertEqual(result.returncode, 1)
        rows = self.rows()
        self.assertEqual([(r["measured"], r["met"]) for r in rows.values()],
                         [("3 s", "yes"), ("9 s", "no"), ("", "unmeasured")])
        self.assertRegex(rows["A1"]["date"], r"^\d{4}-\d\d-\d\d$")
        self.assertRegex(rows["A1"]["machine"], r"^\d+ x ")
        self.assertIn("1 of 3 met; not: A2, B1", result.stdout)

    def test_chosen_rows_only_and_nothing_written_unasked(self):
        before = self.file.read_text()
        result = targets(self.file, "A1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("1 of 1 met", result.stdout)
        self.assertEqual(self.file.read_text(), before)

    def test_unknown_id(self):
        result = targets(self.file, "Z")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no row is called Z; there are A1, A2, B1", result.stderr)

    def test_the_shipped_file(self):
        with (ROOT / "docs/targets.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len({row["id"] for row in rows}), len(rows))
        for row in rows:
            with self.subTest(row["id"]):
                self.assertIn(row["met"], ("yes", "no", "unmeasured"))
                if row["met"] == "yes":
                    self.assertTrue(row["measured"] and row["machine"] and row["date"])
                program = row["command"].split()[0]
                if program.startswith("scripts/"):
                    self.assertTrue((ROOT / program).is_file(), program)


if __name__ == "__main__":
    unittest.main()
