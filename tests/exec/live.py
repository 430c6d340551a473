"""A running `disagfusion serve` for tests: started, asked, killed and started again. Loopback only,
ephemeral ports; ends only processes that it started, by their number."""

import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

PROGRAM = str(pathlib.Path(os.environ.get("DISAGFUSION_PROGRAM", "build/release/disagfusion")).resolve())

SCENARIO = """\
name: emulated chain
seed: 3
models:
  - name: toy
    stages:
      - {{name: encoder, output: 1 MB}}
      - {{name: dit, after: [encoder], output: 2 MB}}
      - {{name: decoder, after: [dit]}}
workload:
  arrivals: {{process: poisson, rate: 5 /s}}
  requests: 20
  mix:
    - {{weight: 1, model: toy, width: 64, height: 64, steps: 4}}
fleet:
  gpus: {{A10: 6}}
  pools:
    - {{stages: [encoder], gpu: A10, count: {encoders}}}
    - {{stages: [dit], gpu: A10, count: {dits}}}
    - {{stages: [decoder], gpu: A10, count: {decoders}}}
control: {{heartbeat: 200 ms, lost_after: {lost_after}, orphan_timeout: {orphan_timeout}}}
policy: {{{policy}}}
costs:
  - {{stage: encoder, seconds: {encoder}}}
  - {{stage: dit, fixed: 0.0, per_step: {per_step}}}
  - {{stage: decoder, seconds: 0.02}}
retries: {{max: 5}}
serve: {{listen: "127.0.0.1:0", backend: emulated, state: state/}}
"""


def scenario(encoders=1, dits=2, decoders=1, encoder=0.02, per_step=0.05, lost_after="2 s",
             orphan_timeout="20 s", policy="queue: fifo"):
    return SCENARIO.format(encoders=encoders, dits=dits, decoders=decoders, encoder=encoder,
                           per_step=per_step, lost_after=lost_after, orphan_timeout=orphan_timeout,
                           policy=policy)


class Live:
    """One `serve` on a folder of its own. A context manager: leaves no process behind."""

    def __init__(self, text=None, wait_ready=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="disagfusion-live-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "live.yaml").write_text(text or scenario())
        self.process, self.url, self.port = None, "", 0
        self.start(wait_ready)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        workers = self.workers() if self.process and self.process.poll() is None else []
        self.stop()
        for pid in workers:
            if self._is_ours(pid):
                os.kill(pid, signal.SIGKILL)

    def start(self, wait_ready=True):
        command = [PROGRAM, "serve", "live.yaml", "--listen", f"127.0.0.1:{self.port}"]
        errors = open(self.folder / "serve.err", "ab")
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE,
                                        stderr=errors, text=True)
        errors.close()
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"serve did not start: {line!r} {self.errors()}")
        self.url = "http://" + line.split("http://")[1].strip()
        self.port = int(self.url.rsplit(":", 1)[1])
        if wait_ready:
            self.wait_for(self.ready, 30)

    def stop(self):
        """As Ctrl-C does: 0 is its exit status."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=20)
        self.process.stdout.close()
        return status

    def kill_controller(self):
        self.process.kill()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    @staticmethod
    def _is_ours(pid):
        try:
            return b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def errors(self):
        return (self.folder / "serve.err").read_text()

    def logs(self):
        parts = [self.errors()]
        for path in sorted((self.folder / "state" / "workers").glob("*.log")):
            parts.append(f"{path.name}: {path.read_text()}")
        return "\n".join(parts)

    # ---- HTTP

    def ask(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, parsed JSON or text)."""
        data = None
        headers = dict(headers or {})
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status, got, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, got, text = error.code, error.headers, error.read()
        if "json" in got.get("Content-Type", ""):
            return status, got, json.loads(text)
        return status, got, text.decode()

    def ready(self):
        try:
            return self.ask("GET", "/readyz", timeout=5)[0] == 200
        except OSError:
            return False

    def image(self, identifier, seed, **fields):
        body = {"prompt": "a red sneaker", "seed": seed, **fields}
        return self.ask("POST", "/v1/images/generations", body, {"X-Request-Id": identifier})

    def by_id(self, identifier):
        status, _, answer = self.ask("GET", f"/v1/requests/{identifier}")
        return answer if status == 200 else {"state": f"HTTP {status}"}

    def status(self):
        return self.ask("GET", "/v1/admin/status")[2]

    def workers(self):
        try:
            return [i["pid"] for i in self.status()["instances"] if i["pid"]]
        except (OSError, KeyError):
            return []

    def send_in_background(self, requests):
        """Sends {id: seed} at once, each on its own connection, and does not care what becomes of the
        connections. Returns the threads."""
        def send(identifier, seed):
            try:
                self.image(identifier, seed)
            except OSError:
                pass
        threads = [threading.Thread(target=send, args=item, daemon=True) for item in requests.items()]
        for thread in threads:
            thread.start()
        return threads

    @staticmethod
    def wait_for(condition, seconds, what="the condition"):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            got = condition()
            if got:
                return got
            time.sleep(0.02)
        raise TimeoutError(f"{what} did not hold within {seconds} s")

    def verify(self):
        """What `verify` says of the journal: (exit status, text)."""
        done = subprocess.run([PROGRAM, "verify", "state/journal.sqlite"], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr
