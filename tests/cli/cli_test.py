#!/usr/bin/env python3
"""The command line as its user meets it: exit status, what goes to stdout and what to stderr, and that
nothing is written on bad input."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(os.environ.get("DISAGFUSION_PROGRAM", ROOT / "build/release/disagfusion")).resolve())
SCENARIOS = ROOT / "configs/scenarios"

COMMANDS = ["simulate", "plan", "verify", "compare", "predict", "calibrate", "trace", "trace import", "trace generate",
            "trace stats", "serve", "worker", "ctl", "load"]

SLOW = """\
models: [{name: m, stages: [{name: s}]}]
workload: {arrivals: {process: poisson, rate: 90 /s}, requests: 900000}
fleet: {gpus: {A10: 1}, pools: [{stages: [s], gpu: A10}]}
costs: [{stage: s, seconds: 0.01}]
run: {replications: 50}
"""


def run(*arguments, **more):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, **more)


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def refused(self, *arguments, because=""):
        before = sorted(self.folder.rglob("*"))
        done = run(*arguments, cwd=self.folder)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIn(because, done.stderr)
        self.assertLessEqual(max(map(len, done.stderr.splitlines())), 400)
        self.assertEqual(sorted(self.folder.rglob("*")), before, "something was written")

    def test_every_command_has_help(self):
        for command in ["", *COMMANDS]:
            done = run(*command.split(), "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertIn("Usage", done.stdout)

    def test_bad_usage(self):
        self.refused()
        self.refused("frobnicate", because="got 'frobnicate'")
        self.refused("simulat", "x.yaml", because="did you mean 'simulate'?")
        self.refused("tune", "x.yaml", because="not yet supported")
        self.refused("simulate", "x.yaml", "--seed", "-1", because="expected a whole number from 0, got -1")
        self.refused("simulate")
        self.refused("simulate", SCENARIOS / "eight-a10.yaml", "--replication", "3", because="did you mean '--replications'?")
        self.refused("simulate", "missing.yaml", because="missing.yaml: expected")
        self.refused("simulate", SCENARIOS / "eight-a10.yaml", "--seed", "-1")
        self.refused("simulate", SCENARIOS / "eight-a10.yaml", "--replications", "0")
        self.refused("simulate", SCENARIOS / "eight-a10.yaml", "--speed", "2", because="real-time")
        self.refused("simulate", SCENARIOS / "eight-a10.yaml", "--trace", "none.csv", because="none.csv")
        self.refused("plan", SCENARIOS / "eight-a10.yaml", because="fleet")
        self.refused("predict", "--model", "qwen-image")
        self.refused("predict", "--model", "qwen-imag", "--stage", "dit", "--gpu", "A10", because="qwen-image")
        self.refused("predict", "--model", "qwen-image", "--stage", "dit", "--gpu", "A11", because="A10")
        self.refused("predict", "--model", "qwen-image", "--stage", "dit", "--gpu", "A10", "--width", "0")
        self.refused("predict", "--csv", "none.csv", because="none.csv")
        self.refused("predict", "--model", "flux.1-dev", "--stage", "dti", "--gpu", "H101", "--parallel", "foo",
                     because="(did you mean 'dit'?)\n--gpu: expected a GPU type of configs/hardware or the path of a data "
                     "sheet, got H101 (did you mean 'H100-SXM'?)\n--parallel: expected none, or ulysses4")
        self.refused("predict", "--model", "flux.1-dev", "--stage", "dit", "--gpu", "none.yaml",
                     because="--gpu: expected a readable hardware file, got none.yaml (no such file)")
        self.refused("predict", "--model", "wan2.1-t2v-14b", "--stage", "dit", "--gpu", "A10", "--degree", "1000",
                     because="--degree: expected at most 40 GPUs over the attention heads of wan2.1-t2v-14b, got 1000")
        self.refused("verify", SCENARIOS / "eight-a10.yaml", because="event log")
        self.refused("compare", "a", "b", because="a: expected")
        self.refused("trace", "stats", "none.csv", because="none.csv")
        self.refused("trace", "import", "nothing", "a", "-o", "b", because="azure-llm-2023")
        self.refused("serve", SCENARIOS / "live.yaml", "--listen", "0.0.0.0:0", because="loopback")

    def test_predictions_say_where_they_come_from(self):
        asked = ("predict", "--model", "flux.1-dev", "--stage", "dit", "--gpu")
        known = json.loads(run(*asked, "H100-SXM", "--json").stdout)
        self.assertEqual(known["source"], "fitted")
        self.assertLess(known["lo_s"], known["predicted_s"])
        self.assertLess(known["predicted_s"], known["hi_s"])
        self.assertIn("measure", known["advice"])
        unknown = json.loads(run(*asked, "L40S", "--json").stdout)
        self.assertEqual(unknown["source"], "extrapolated: GPU L40S not measured")
        self.assertGreater(unknown["hi_s"] / unknown["lo_s"], known["hi_s"] / known["lo_s"])
        self.assertEqual(json.loads(run(*asked, "L40S", "--json", "--profile", "none").stdout)["source"], "roofline")
        self.assertIn("attention", run(*asked, "L40S", "--parts").stdout)
        self.assertNotIn("attention", run(*asked, "L40S").stdout)
        sheet = (ROOT / "configs/hardware/L40S.yaml").read_text().replace("name: L40S", "name: CARD")
        own = self.write("card.yaml", sheet)
        self.assertIn("GPU CARD", run(*asked, own).stdout)

    def test_predict_names_every_fault_of_a_file_with_its_place(self):
        model = (ROOT / "configs/models/flux.1-dev.yaml").read_text().replace("  heads:", "  headz:")
        sheet = (ROOT / "configs/hardware/A10.yaml").read_text()
        sheet = sheet.replace("bf16_dense_tflops: 125", "bf16_dense_tflops: 300000000").replace("24 GB", "24")
        model, gpu = self.write("m.yaml", model), self.write("g.yaml", sheet)
        asked = ("predict", "--model", model, "--stage", "dit", "--gpu", gpu)
        self.refused(*asked, because="(did you mean 'heads'?)\n" + str(gpu))
        lines = run(*asked).stderr.splitlines()
        self.assertEqual(len(lines), 3, lines)
        self.assertRegex(lines[0], r"/m\.yaml:\d+:3: architecture\.headz: expected a known key, got 'headz'")
        self.assertIn("g.yaml:4:20: bf16_dense_tflops: expected a number from 0 to 100000, got 300000000", lines[1])
        self.assertIn("g.yaml:6:9: memory: expected a size such as 80 GB, with its unit, got 24", lines[2])
        rows = self.write("rows.csv", f"id,model,stage,gpu\na,{model},dit,A10\nb,flux.1-dev,dit,A10\n")
        done = run("predict", "--csv", rows)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"a,,,,\"?refused: .*/m\.yaml:\d+:3: architecture\.headz: expected")

    def test_a_fit_of_one_row_says_that_the_priors_decide(self):
        own = self.write("own.csv", "id,model,stage,gpu,seconds\na,flux.1-dev,dit_step,L40S,0.9\n")
        done = run("calibrate", own, "--prior", "none", "-o", self.folder / "own.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"rank 1 of \d+ parameters .*: the priors decide most; intervals are theirs")
        done = run("predict", "--profile", self.folder / "own.yaml", "--model", "flux.1-dev", "--stage", "dit", "--gpu",
                   "L40S", "--json")
        self.assertIn("interval by the priors, not checked", json.loads(done.stdout)["source"])

    def test_calibrate_and_what_it_writes(self):
        rows = "id,model,stage,gpu,dtype,seconds\n"
        for model, seconds in (("FLUX.1-dev", 0.9), ("Qwen-Image", 1.9), ("CogVideoX-5B", 10)):
            rows += f"{model},{model},dit_step,L40S,bf16,{seconds}\n"
        own = self.write("own.csv", rows)
        profile = self.folder / "own.yaml"
        done = run("calibrate", own, "--date", "2026-11-24", "-o", profile)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        asked = ("predict", "--model", "wan2.1-t2v-14b", "--stage", "dit", "--gpu", "L40S", "--json")
        before = json.loads(run(*asked).stdout)
        after = json.loads(run(*asked, "--profile", profile).stdout)
        self.assertEqual(after["source"], "fitted")
        self.assertLess(after["hi_s"] / after["lo_s"], before["hi_s"] / before["lo_s"])
        scenario = self.write("s.yaml", SLOW.replace("[{name: m, stages: [{name: s}]}]", "[flux.1-dev]")
                              .replace("stages: [s], gpu: A10", "stages: [encoder, dit, decoder], gpu: L40S")
                              .replace("A10: 1", "L40S: 1").replace("90 /s", "0.01 /s").replace("900000", "20")
                              .replace("costs: [{stage: s, seconds: 0.01}]", "belief: {profile: own.yaml}")
                              .replace("50", "1"))
        done = run("simulate", scenario, "--json", "--log", self.folder / "log")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["belief"], "profile own")
        self.assertEqual({row["source"] for row in result["costs_used"] if row["stage"] == "dit"}, {"fitted"})
        profile.unlink()  # the log carries the profile
        self.assertEqual(run("verify", self.folder / "log").returncode, 0)

    def test_calibrate_refuses_bad_rows(self):
        published = ROOT / "configs/profiles/published.csv"
        self.refused("calibrate", published, "-o", "p.yaml", because="count twice")
        self.refused("calibrate", "none.csv", "-o", "p.yaml", because="none.csv")
        self.refused("calibrate", published, "--prior", published, "-o", "p.yaml", because="published.csv")
        header = "id,model,stage,gpu,seconds\n"
        self.refused("calibrate", self.write("e.csv", ""), "-o", "p.yaml", because="e.csv:1:1")
        self.refused("calibrate", self.write("z.csv", header + "a,flux.1-dev,dit_step,L40S,0\n"), "-o", "p.yaml",
                     because="z.csv:2:28: seconds: expected measured seconds above 0, got 0")
        self.refused("calibrate", self.write("u.csv", header + "a,flux.1-dev,dit_step,L40S,800\n"), "-o", "p.yaml",
                     because="milliseconds")
        self.refused("calibrate", self.write("d.csv", header + "a,flux.1-dev,dit_step,L40S,0.8\n"), "--date", "2026-02-30",
                     "-o", "p.yaml", because="--date: expected a date such as 2026-11-24, got 2026-02-30")
        self.refused("calibrate", self.write("m.csv", header + "a,flux.1-dex,dit_step,L40S,0.8\n"), "-o", "p.yaml",
                     because="did you mean")

    def test_policy_parameters_are_read_strictly(self):
        text = (SCENARIOS / "eight-a10.yaml").read_text()
        wrong = self.write("wrong.yaml", text + "policy: {admission: {name: bounded, waitng: 3}}\n")
        self.refused("simulate", wrong, "--out", "out", because="did you mean 'waiting'")

    def test_results_and_their_comparison(self):
        scenario = SCENARIOS / "burst-wan2.1-n4.yaml"
        for name in ("a", "b"):
            done = run("simulate", scenario, "--json", "--out", self.folder / name, "--log", self.folder / (name + ".log"))
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout)
            self.assertEqual(result["schema"], "disagfusion.result/1")
            self.assertEqual(result["requests"]["completed"], 4)
            self.assertEqual(run("verify", self.folder / (name + ".log")).returncode, 0)
        self.assertEqual(run("compare", self.folder / "a", self.folder / "b").returncode, 0)

    def test_a_plan_can_be_simulated(self):
        done = run("plan", ROOT / "configs/questions/eight-a10-burst.yaml", "--json", "--out", self.folder / "plan")
        self.assertEqual(done.returncode, 0, done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual(plan["verdict"], "feasible")
        self.assertTrue(plan["proof"])
        done = run("simulate", self.folder / "plan/plan.yaml", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual(json.loads(done.stdout)["latency_s"]["max"]["value"], 360)

    def test_no_answer_exits_1(self):
        text = (ROOT / "configs/questions/eight-a10-burst.yaml").read_text()
        done = run("plan", self.write("q.yaml", text.replace("360 s", "80 s")), "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(json.loads(done.stdout)["verdict"], "infeasible")

    def test_ctrl_c_leaves_no_half_written_file(self):
        scenario = self.write("slow.yaml", SLOW)
        process = subprocess.Popen([PROGRAM, "simulate", str(scenario), "--out", str(self.folder / "out"),
                                    "--log", str(self.folder / "log")], stdout=subprocess.DEVNULL)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(process.wait(timeout=30), 0)
        self.assertEqual([p for p in self.folder.rglob("*") if p.is_file()], [scenario])


if __name__ == "__main__":
    unittest.main()
