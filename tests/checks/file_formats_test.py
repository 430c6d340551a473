"""docs/file-formats.md names every key that a reader takes and every column that a table has."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = re.sub(r"```.*?```", "", (ROOT / "docs/file-formats.md").read_text(), flags=re.S)

CALLS = r'\b(?:take|get|optional|required|unsupported|list)\(\s*"([a-z_0-9]+)"'


def found(pattern, *paths):
    return {name for path in paths for name in re.findall(pattern, (ROOT / path).read_text())}


class FileFormats(unittest.TestCase):
    def expect_named(self, names, least, page=PAGE):
        # Too few: the code has changed, and this test looks for keys where there are none.
        self.assertGreaterEqual(len(names), least, sorted(names))
        told = set(re.findall(r"[A-Za-z0-9_]+", " ".join(re.findall(r"`([^`]+)`", page))))
        self.assertEqual(sorted(name for name in names if name not in told), [])

    def test_keys_of_configuration(self):
        readers = sorted(path.relative_to(ROOT) for path in (ROOT / "base").glob("*_reader.cpp"))
        self.expect_named(found(CALLS, *readers, "base/known_names.cpp"), 95)

    def test_parameters_of_policies(self):
        policies = sorted(path.relative_to(ROOT) for path in (ROOT / "scheduler/policies").glob("*_*.cpp"))
        page = PAGE + (ROOT / "docs/models/policies.md").read_text()
        self.expect_named(found(CALLS, *policies) | {"from", "to"}, 16, page)

    def test_fields_of_architectures_and_data_sheets(self):
        self.expect_named(found(r'\b(?:visit|text|number)\("([a-z_0-9]+)"', "base/spec_fields.hpp"), 50)

    def test_policy_seams_and_statistics(self):
        seams = found(r'\{"([a-z]+)", \{"', "base/policy_reader.cpp") | {"elasticity"}
        self.expect_named(seams, 6)
        self.expect_named(found(r'"(mean|max|p\d\d)"', "base/operation_reader.cpp"), 6)

    def test_columns_of_tables(self):
        columns = re.search(r"kColumnNames\{(.*?)\};", (ROOT / "traces/request.hpp").read_text(), re.S)
        self.expect_named(set(re.findall(r'"([a-z_]+)"', columns.group(1))), 20)
        rows = re.search(r"names = \{(.*?)\};", (ROOT / "predictor/question_rows.cpp").read_text(), re.S)
        self.expect_named(set(re.findall(r'"([a-z_]+)"', rows.group(1))), 25)

    def test_columns_of_requests_csv(self):
        text = (ROOT / "traces/requests_csv.cpp").read_text()
        lists = re.findall(r"(?:kOutcomes|kOwn|kStageFields)\{(.*?)\};", text, re.S)
        names = {name for each in lists for name in re.findall(r'"(\w+)"', each)}
        self.expect_named({"S" + name if name.startswith("_") else name for name in names}, 20)


if __name__ == "__main__":
    unittest.main()
