#!/usr/bin/env python3
"""Golden logs: each scenario here is simulated with --log and the log printed by `verify --print`; the
text must be the reviewed one beside it. A changed prediction is a visible diff.

    golden_test.py            compares all
    golden_test.py --update   writes the texts anew; read the diff before you commit it
"""

import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = str(pathlib.Path(os.environ.get("DISAGFUSION_PROGRAM", "build/release/disagfusion")).resolve())


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def printed_log(scenario):
    with tempfile.TemporaryDirectory() as folder:
        log = str(pathlib.Path(folder) / "log")
        run("simulate", str(scenario), "--json", "--log", log)
        return run("verify", log, "--print")


def main():
    update = sys.argv[1:] == ["--update"]
    failed = 0
    scenarios = sorted(HERE.glob("*.yaml"))
    for scenario in scenarios:
        golden = scenario.with_suffix(".log")
        text = printed_log(scenario)
        if update:
            golden.write_text(text)
            continue
        expected = golden.read_text() if golden.exists() else ""
        if text == expected:
            continue
        failed += 1
        sys.stdout.writelines(difflib.unified_diff(
            expected.splitlines(True), text.splitlines(True), golden.name, f"{golden.name}, now"))
    print(f"{len(scenarios) - failed} passed, {failed} failed")
    return 1 if failed or not scenarios else 0


if __name__ == "__main__":
    sys.exit(main())
