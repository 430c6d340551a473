"""End to end with processes: serve, workers, emulated stages; killed in the middle, drained, given
other roles. Every accepted request ends exactly once with the image of its seed."""

import csv
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from live import PROGRAM, Live, scenario  # noqa: E402


def reference(seeds):
    """The image of each seed, made undisturbed."""
    with Live() as live:
        images = {}
        for seed in seeds:
            status, _, answer = live.image(f"reference-{seed}", seed)
            assert status == 200, answer
            images[seed] = answer["data"][0]["b64_json"]
        return images


class LiveTest(unittest.TestCase):
    def expect_all_ended(self, live, requests, seconds=60):
        """Each request completed, with the image of its seed; then the log verifies."""
        def unfinished():
            return [i for i in requests if live.by_id(i)["state"] == "in_progress"]
        try:
            live.wait_for(lambda: not unfinished(), seconds)
        except TimeoutError:
            self.fail(f"unfinished: {unfinished()}\n{live.status()}\n{live.logs()}")
        images = reference(set(requests.values()))
        for identifier, seed in requests.items():
            answer = live.by_id(identifier)
            self.assertEqual(answer["state"], "completed", f"{identifier}: {answer}\n{live.logs()}")
            self.assertEqual(answer["data"][0]["b64_json"], images[seed], identifier)
        counts = live.status()["requests"]
        self.assertEqual(counts["arrived"], len(requests))
        self.assertEqual(counts["completed"], len(requests))
        status, text = live.verify()
        self.assertEqual(status, 0, text)

    def test_twenty_requests(self):
        requests = {f"r{i}": i for i in range(20)}
        with Live() as live:
            threads = live.send_in_background(requests)
            for thread in threads:
                thread.join(timeout=60)
            self.expect_all_ended(live, requests)
            self.assertEqual(live.stop(), 0)

    def test_ctrl_c_leaves_nobody(self):
        with Live() as live:
            workers = live.workers()
            self.assertEqual(len(workers), 4)
            live.send_in_background({"a": 1})
            live.wait_for(lambda: live.by_id("a")["state"] == "in_progress", 5)
            self.assertEqual(live.stop(), 0, live.errors())
            for pid in workers:
                self.assertFalse(pathlib.Path(f"/proc/{pid}").exists(), pid)
            live.start()
            self.expect_all_ended(live, {"a": 1})

    def test_worker_killed_in_mid_step(self):
        requests = {f"r{i}": i % 5 for i in range(12)}
        with Live(scenario(per_step=0.1)) as live:
            live.send_in_background(requests)
            def computing():
                return [i for i in live.status()["instances"] if i["role"] == "dit" and i["computing"]]
            victim = live.wait_for(computing, 10)[0]
            time.sleep(0.15)
            os.kill(victim["pid"], signal.SIGKILL)
            self.expect_all_ended(live, requests)
            after = [i for i in live.status()["instances"] if i["instance"] == victim["instance"]][0]
            self.assertEqual(after["incarnation"], 2)

    def test_every_worker_killed(self):
        requests = {f"r{i}": i % 5 for i in range(10)}
        with Live(scenario(per_step=0.1)) as live:
            live.send_in_background(requests)
            time.sleep(0.5)
            for pid in live.workers():
                os.kill(pid, signal.SIGKILL)
            self.expect_all_ended(live, requests)

    def test_controller_killed(self):
        requests = {f"r{i}": i % 5 for i in range(16)}
        with Live(scenario(per_step=0.1)) as live:
            live.send_in_background(requests)
            live.wait_for(lambda: live.status()["requests"]["completed"] >= 2, 20)
            self.assertEqual(live.status()["requests"]["arrived"], len(requests))
            before = live.workers()
            live.kill_controller()
            time.sleep(0.7)
            live.start(wait_ready=False)
            live.wait_for(live.ready, 20)
            self.expect_all_ended(live, requests)
            self.assertEqual(sorted(live.workers()), sorted(before), live.logs())

    def test_controller_and_workers_killed(self):
        requests = {f"r{i}": i % 5 for i in range(10)}
        with Live(scenario(per_step=0.1)) as live:
            live.send_in_background(requests)
            live.wait_for(lambda: live.status()["requests"]["completed"] >= 1, 20)
            workers = live.workers()
            live.kill_controller()
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            live.start(wait_ready=False)
            self.expect_all_ended(live, requests)

    def test_controller_killed_again_and_again(self):
        requests = {f"r{i}": i % 5 for i in range(16)}
        with Live(scenario(per_step=0.05)) as live:
            live.send_in_background(requests)
            live.wait_for(lambda: live.status()["requests"]["arrived"] == len(requests), 20)
            for pause in (0.05, 0.3, 0.1, 0.4):
                time.sleep(pause)
                live.kill_controller()
                live.start(wait_ready=False)
            self.expect_all_ended(live, requests)

    def test_re_role_and_kill_in_one_log(self):
        """A move, a worker and the controller killed, all under load: one log, which verifies."""
        requests = {f"r{i}": i % 5 for i in range(16)}
        with Live(scenario(dits=2, decoders=2, per_step=0.05)) as live:
            live.send_in_background(requests)
            live.wait_for(lambda: live.status()["requests"]["completed"] >= 2, 20)
            status, _, answer = live.ask("POST", "/v1/admin/re-role", {"instance": 4, "stages": "dit"})
            self.assertEqual(status, 202, answer)
            def moved():
                of = [i for i in live.status()["instances"] if i["instance"] == 4][0]
                return of["role"] == "dit" and of["state"] == "ready"
            os.kill(live.workers()[1], signal.SIGKILL)
            live.wait_for(moved, 20)
            live.kill_controller()
            live.start(wait_ready=False)
            self.expect_all_ended(live, requests)

    def test_drain_and_undrain(self):
        requests = {f"r{i}": i % 5 for i in range(10)}
        with Live() as live:
            live.send_in_background(requests)
            self.assertEqual(live.ask("POST", "/v1/admin/drain", {"instance": 2})[0], 202)
            def state():
                return [i for i in live.status()["instances"] if i["instance"] == 2][0]["state"]
            live.wait_for(lambda: state() == "drained", 20)
            self.assertEqual(live.ask("POST", "/v1/admin/undrain", {"instance": 2})[0], 202)
            live.wait_for(lambda: state() == "ready", 20)
            self.expect_all_ended(live, requests)

    def test_load_tells_when_each_stage_ran(self):
        with Live() as live:
            (live.folder / "trace.csv").write_text(
                "arrival_s,model,width,height,steps\n" +
                "".join(f"{0.1 * i},toy,64,64,4\n" for i in range(8)))
            command = [PROGRAM, "load", live.url, "--trace", "trace.csv", "--out", "load"]
            done = subprocess.run(command, cwd=live.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(live.folder / "load" / "requests.csv", newline="") as file:
                rows = list(csv.DictReader(file))
            self.assertEqual(len(rows), 8)
            for row in rows:
                self.assertEqual(row["state"], "completed")
                instants = [float(row[key]) for key in
                            ("arrival_s", "encoder_ready_s", "encoder_start_s", "encoder_end_s",
                             "dit_start_s", "dit_end_s", "decoder_start_s", "decoder_end_s", "done_s")]
                self.assertEqual(instants, sorted(instants), row)
                # 4 steps of 50 ms; the controller hears of start and end a little later each.
                self.assertGreaterEqual(instants[5] - instants[4], 0.15)
                self.assertEqual((row["frames"], row["images"]), ("1", "1"))
            (live.folder / "late.csv").write_text("arrival_s,model,width,height,steps,cancel_after_s,timeout_s\n"
                                                  "0,toy,64,64,400,0.5,\n0.1,toy,64,64,400,,0.5\n")
            late = [PROGRAM, "load", live.url, "--trace", "late.csv", "--out", "late"]
            done = subprocess.run(late, cwd=live.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(live.folder / "late" / "requests.csv", newline="") as file:
                ended = {row["state"]: row for row in csv.DictReader(file)}
            self.assertEqual(ended["cancelled"]["reason"], "asked")
            self.assertEqual(ended["timed_out"]["reason"], "timeout")
            for row in ended.values():
                self.assertTrue(row["admitted_s"] and row["encoder_end_s"] and row["dit_start_s"], row)
            live.stop()
            done = subprocess.run(command, cwd=live.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("answered none of the requests", done.stderr)

    def test_same_id_is_the_same_request(self):
        with Live() as live:
            first = live.image("one", 1)
            second = live.image("one", 1)
            self.assertEqual(first[0], 200)
            self.assertEqual(first[2]["data"], second[2]["data"])
            self.assertEqual(live.status()["requests"]["arrived"], 1)
            self.assertEqual(second[1]["X-Request-Id"], "one")

    def test_rejected(self):
        with Live(scenario(encoder=0.5, policy="admission: {name: bounded, waiting: 1}")) as live:
            live.send_in_background({f"r{i}": i for i in range(12)})
            live.wait_for(lambda: live.status()["requests"]["arrived"] == 12, 10)
            status, headers, answer = live.image("late", 3)
            self.assertEqual(status, 429, answer)
            self.assertEqual(set(answer["error"]), {"type", "message", "param"})
            self.assertGreaterEqual(int(headers["Retry-After"]), 1)
            live.wait_for(lambda: live.status()["requests"]["unfinished"] == 0, 30)
            self.assertEqual(live.image("late", 3)[0], 200)
            counts = live.status()["requests"]
            self.assertEqual(counts["completed"] + counts["rejected"], counts["arrived"])

    def test_cancelled(self):
        with Live(scenario(per_step=0.5)) as live:
            live.send_in_background({"a": 1})
            live.wait_for(lambda: live.by_id("a")["state"] == "in_progress", 5)
            self.assertEqual(live.ask("DELETE", "/v1/requests/a")[0], 202)
            live.wait_for(lambda: live.by_id("a")["state"] == "cancelled", 10)

    def expect_refused(self, folder, port, why):
        """A server that would start there exits with 2 and says why."""
        other = Live.__new__(Live)
        other.folder, other.process, other.port = folder, None, port
        with self.assertRaises(RuntimeError):
            other.start()
        other.process.stdout.close()
        self.assertEqual(other.process.wait(timeout=10), 2)
        self.assertIn(why, other.errors())

    def test_state_is_held_by_one(self):
        with Live() as live:
            self.expect_refused(live.folder, 0, "another serve")

    def test_taken_port_leaves_nothing_behind(self):
        with Live() as live:
            folder = pathlib.Path(tempfile.mkdtemp(prefix="disagfusion-live-"))
            self.addCleanup(shutil.rmtree, folder)
            (folder / "live.yaml").write_text(scenario())
            self.expect_refused(folder, live.port, "can be listened on")
            self.assertEqual({path.name for path in folder.iterdir()}, {"live.yaml", "serve.err"})


if __name__ == "__main__":
    unittest.main()
