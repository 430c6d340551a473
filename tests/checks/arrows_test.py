"""scripts/checks/arrows finds each kind of planted violation, and nothing in a clean tree."""

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CLEAN = {
    "base/time.hpp": "#pragma once\n#include <cstdint>\n",
    "predictor/cost.hpp": '#pragma once\n#include "base/time.hpp"\n',
    "scheduler/queue.hpp": '#include "predictor/cost.hpp"\n#include "base/time.hpp"\n',
    "traces/reader.cpp": '#include "base/time.hpp"\n',
    "sim/run.hpp": '#include "scheduler/queue.hpp"\n',
    "sim/run.cpp": '#include "sim/run.hpp"\n// steady_clock is not read here\n',
    "exec/loop.cpp": '#include <boost/asio.hpp>\n#include <chrono>\nauto t = std::chrono::steady_clock::now();\n',
    "exec/stage/torch/dit.hpp": "#include <torch/torch.h>\n#include <c10/core/Device.h>\n",
    "planner/plan.cpp": '#include "sim/run.hpp"\n#include "scheduler/queue.hpp"\n',
    "cli/main.cpp": '#include "sim/run.hpp"\n#include "exec/stage/torch/dit.hpp"\n',
    "tests/sim/run_test.cpp": '#include <gtest/gtest.h>\n#include "sim/run.hpp"\n',
}


def arrows(changes):
    """(exit status, output lines) for the clean tree with these files added or replaced."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {**CLEAN, **changes}.items():
            path = Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        result = subprocess.run([ROOT / "scripts/checks/arrows", directory], capture_output=True, text=True)
        return result.returncode, result.stdout.splitlines()


class Arrows(unittest.TestCase):
    def test_clean_tree_passes(self):
        status, lines = arrows({})
        self.assertEqual((status, lines), (0, ["arrows: 11 files, 0 violations"]))

    def assert_found(self, path, text, expected):
        status, lines = arrows({path: text})
        self.assertEqual(status, 1)
        self.assertEqual(len(lines), 2, lines)
        self.assertIn(expected, lines[0])

    def test_base_includes_no_other_folder(self):
        for other in ("predictor/cost.hpp", "scheduler/queue.hpp", "sim/run.hpp"):
            self.assert_found("base/a.hpp", f'\n#include "{other}"\n', "base/a.hpp:2: base may not include")

    def test_backward_arrows(self):
        self.assert_found("predictor/a.hpp", '#include "scheduler/queue.hpp"', "predictor may not include scheduler")
        self.assert_found("scheduler/a.cpp", '#include "sim/run.hpp"', "scheduler may not include sim")
        self.assert_found("traces/a.cpp", '#include "scheduler/queue.hpp"', "traces may not include scheduler")
        self.assert_found("sim/a.cpp", '#include "planner/plan.cpp"', "sim may not include planner")
        self.assert_found("planner/a.cpp", '#include "cli/main.cpp"', "planner may not include cli")

    def test_sim_and_exec_never_include_each_other(self):
        self.assert_found("exec/a.cpp", '#include "sim/run.hpp"', "exec may not include sim")
        self.assert_found("sim/a.cpp", '#  include "exec/loop.cpp"', "sim may not include exec")

    def test_angle_brackets_hide_nothing(self):
        self.assert_found("exec/a.cpp", "#include <sim/run.hpp>", "exec may not include sim")

    def test_libtorch_outside_its_folder(self):
        for header in ("torch/torch.h", "ATen/ATen.h", "c10/util/Half.h"):
            self.assert_found("exec/stage/backend.cpp", f"#include <{header}>", "LibTorch may be seen by")

    def test_boost_outside_exec(self):
        self.assert_found("sim/a.cpp", "#include <boost/asio.hpp>", "Boost may be seen by")

    def test_test_library_outside_tests(self):
        self.assert_found("sim/a.cpp", "#include <gtest/gtest.h>", "the test libraries may be seen by")

    def test_clock_in_a_pure_folder(self):
        self.assert_found("scheduler/a.cpp", "\n\nauto t = std::chrono::steady_clock::now();",
                          "scheduler/a.cpp:3: scheduler reads the machine's clock")

    def test_include_from_elsewhere(self):
        self.assert_found("sim/a.cpp", '#include "run.hpp"', "not written from the source root")
        self.assert_found("sim/a.cpp", '#include "../base/time.hpp"', "not written from the source root")

    def test_missing_file(self):
        self.assert_found("sim/a.cpp", '#include "base/gone.hpp"', "does not exist")


if __name__ == "__main__":
    unittest.main()
