"""One suite on three worlds: the simulator, the executor in one process, the executor of processes.

A case is a scenario with a trace: what the world does to the scheduler (arrivals, cancellations,
deadlines, crashes, moves at given times) is in the files, so each world meets the same. After each run:
every request ended exactly once and in a state that the case allows, the events that the case is about
happened, and the log verifies.

    conformance_test.py [WORLD[.CASE]]
"""

import collections
import csv
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "exec"))
from live import PROGRAM, Live  # noqa: E402

SCENARIO = """\
name: conformance {name}
models:
  - name: toy
    stages:
      - {{name: encoder, output: 10 kB}}
      - {{name: dit, after: [encoder], output: 20 kB}}
      - {{name: decoder, after: [dit]}}
workload:
  trace: trace.csv
  mix: [{{weight: 1, model: toy, width: 64, height: 64, steps: 8}}]
fleet:
  gpus: {{A10: 8}}
  pools:
    - {{stages: [encoder], gpu: A10, count: 1}}
    - {{stages: [dit], gpu: A10, count: {dits}, max_batch: {batch}}}
    - {{stages: [decoder], gpu: A10, count: {decoders}}}
network: {{latency: 2 ms, bandwidth: 1 GB/s}}
control: {{heartbeat: 200 ms, lost_after: 1 s, orphan_timeout: 20 s}}
policy: {{{policy}}}
costs:
  - {{stage: encoder, seconds: 0.05}}
  - {{stage: dit, fixed: 0.0, per_step: {per_step}}}
  - {{stage: decoder, seconds: 0.05}}
retries: {{max: 4}}
{more}
serve: {{listen: "127.0.0.1:0", backend: emulated, state: state/}}
"""

UNLOADED = 0.5  # seconds of computing for one request
Case = collections.namedtuple(
    "Case", "rows dits decoders batch policy more crashes allowed events per_step", defaults=(
        2, 1, 1, "queue: fifo", "", (), None, (), 0.05))


def rows(count, gap, **columns):
    return [{"arrival_s": round(i * gap, 6), "id": f"q{i}",
             **{name: value(i) for name, value in columns.items()}} for i in range(count)]


def completed(_):
    return {"completed"}


def by_cancellation(row):
    """Long before the earliest end: cancelled. Not at all or long after it: completed. Else either."""
    after = row["cancel_after_s"]
    if after == "" or float(after) > 4:
        return {"completed"}
    return {"cancelled"} if float(after) < UNLOADED / 2 else {"cancelled", "completed"}


CASES = {
    "ordinary_path": Case(rows(12, 0.2)),
    "batches": Case(rows(12, 0.0), batch=4, policy="batching: equal-shapes"),
    "sync_and_push": Case(rows(12, 0.1), policy="handoff: sync, dispatch: push"),
    "cancel_against_completion": Case(
        rows(10, 0.4, cancel_after_s=lambda i: ["", 0.02, 0.3, 0.49, 0.5, 0.505, 0.51, 0.515, 0.52, 9][i]),
        allowed=by_cancellation, events=["cancel_asked"]),
    # One instance: what waits behind the first is revoked at the instant at which it may start.
    "revoke_against_start": Case(
        rows(8, 0.0, cancel_after_s=lambda i: ["", 0.2, 0.447, 0.449, 0.45, 0.451, 0.453, ""][i]),
        dits=1, allowed=by_cancellation, events=["batch_revoked"]),
    "worker_lost": Case(rows(10, 0.1), more="faults: [{at: 0.8 s, instance: 2, kind: crash, repair: 1 s}]",
                        crashes=((0.8, 2),), events=["instance_lost"]),
    "holder_lost": Case(rows(10, 0.05), more="faults: [{at: 0.5 s, instance: 1, kind: crash, repair: 1 s}]",
                        crashes=((0.5, 1),), events=["instance_lost"]),
    "re_role_under_load": Case(
        rows(12, 0.1), decoders=2,
        policy="elasticity: {name: schedule, moves: [{at: 0.7 s, from: decoder, to: dit, count: 1}]}",
        events=["instance_drained", "instance_unloaded"]),
    # Seconds, not tenths: the urgent one must meet a running batch, and no free slot, on a busy
    # machine, too.
    "preempt_and_resume": Case(
        rows(4, 0.5, deadline_s=lambda i: [60, 60, 60, 2][i]), dits=1, per_step=0.4,
        policy="queue: deadline, preemption: {name: deadline, remaining: 100 ms}",
        events=["batch_preempted"]),
}


def write(folder, name, case):
    text = SCENARIO.format(name=name, dits=case.dits, decoders=case.decoders, batch=case.batch,
                           policy=case.policy, more=case.more, per_step=case.per_step)
    (folder / "live.yaml").write_text(text)
    with open(folder / "trace.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(case.rows[0]))
        writer.writeheader()
        writer.writerows(case.rows)


def run(arguments, folder):
    done = subprocess.run([PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def simulate(folder, _case, *options):
    run(["simulate", "live.yaml", "--out", "out", "--log", "log", *options], folder)
    return "log"


def in_process(folder, case):
    return simulate(folder, case, "--real-time")


def processes(folder, case):
    """serve and load; a crash of the scenario's is a kill -9 at its time."""
    live = Live.__new__(Live)
    live.folder, live.process, live.url, live.port = folder, None, "", 0
    live.start()
    with live:
        pids = {i["instance"]: i["pid"] for i in live.status()["instances"]}
        timers = [threading.Timer(at, os.kill, (pids[instance], signal.SIGKILL))
                  for at, instance in case.crashes]
        for timer in timers:
            timer.start()
        run(["load", live.url, "--trace", "trace.csv", "--out", "out"], folder)
        live.wait_for(lambda: live.status()["requests"]["unfinished"] == 0, 30)
        time.sleep(0.3)  # releases, and whatever must not come twice
        if live.stop() != 0:
            raise AssertionError(live.logs())
    return "state/journal.sqlite"


WORLDS = {"simulator": simulate, "in_process": in_process, "processes": processes}


class ConformanceTest(unittest.TestCase):
    def check(self, world, name):
        case = CASES[name]
        with tempfile.TemporaryDirectory(prefix=f"disagfusion-{world}-") as text:
            folder = pathlib.Path(text)
            write(folder, name, case)
            log = WORLDS[world](folder, case)
            printed = run(["verify", log, "--print"], folder)
            with open(folder / "out" / "requests.csv", newline="", encoding="utf-8") as file:
                got = {row["id"]: row["state"] for row in csv.DictReader(file)}
        self.assertEqual(set(got), {row["id"] for row in case.rows})
        for row in case.rows:
            self.assertIn(got[row["id"]], (case.allowed or completed)(row), f"{row}\n{printed}")
        events = collections.Counter(re.findall(r"^\d+\.\d+ (\w+)", printed, re.MULTILINE))
        for wanted in case.events:
            self.assertGreater(events[wanted], 0, f"no {wanted}\n{printed}")
        if not case.crashes:
            self.assertEqual(events["instance_lost"], 0, printed)
        ends = re.findall(r"^  (?:end_request|reject) (r\d+)", printed, re.MULTILINE)
        self.assertEqual(len(ends), len(case.rows), printed)
        self.assertEqual(len(set(ends)), len(case.rows), printed)


def add_tests():
    def make(world, name):
        return lambda self: self.check(world, name)
    for world in WORLDS:
        for name in CASES:
            setattr(ConformanceTest, f"test_{world}_{name}", make(world, name))


add_tests()

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].split(".")[0] in WORLDS:
        world, _, one = sys.argv.pop(1).partition(".")
        names = [f"ConformanceTest.test_{world}_{name}" for name in CASES if one in ("", name)]
        unittest.main(argv=[sys.argv[0], *names, *sys.argv[1:]])
    unittest.main()
