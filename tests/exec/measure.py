"""Figures of the executor, printed as `measured: ...` for docs/targets.csv.

    measure.py overhead   what controller and workers add to a request at 100 requests/s (F4)
    measure.py mean       simulated against live, emulated backend in processes: mean latency (V6)
    measure.py p95        the same, P95
    measure.py model      the built-in model, simulated with the seconds measured: as it is (V6)

mean and p95 exit 1 where the simulator is further off than 5 % and 10 %.
"""

import collections
import csv
import pathlib
import random
import re
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from live import PROGRAM, Live  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]

CHAIN = """\
name: measured chain
models:
  - name: toy
    stages:
      - {{name: encoder, output: 10 kB}}
      - {{name: dit, after: [encoder], output: 20 kB}}
      - {{name: decoder, after: [dit]}}
workload:
  trace: trace.csv
  mix: [{{weight: 1, model: toy, width: 64, height: 64, steps: 4}}]
fleet:
  gpus: {{A10: 16}}
  pools:
    - {{stages: [encoder], gpu: A10, count: {encoders}}}
    - {{stages: [dit], gpu: A10, count: {dits}}}
    - {{stages: [decoder], gpu: A10, count: {decoders}}}
network: {{latency: 1 ms, bandwidth: 10 Gbit/s}}
control: {{heartbeat: 500 ms, lost_after: 10 s}}
costs:
  - {{stage: encoder, seconds: {encoder}}}
  - {{stage: dit, fixed: 0.0, per_step: {per_step}}}
  - {{stage: decoder, seconds: {decoder}}}
serve: {{listen: "127.0.0.1:0", backend: emulated, state: state/}}
"""


def write_trace(folder, arrivals):
    lines = [f"{at:.6f},q{i}\n" for i, at in enumerate(arrivals)]
    (folder / "trace.csv").write_text("arrival_s,id\n" + "".join(lines))


def program(arguments, folder):
    done = subprocess.run([PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def latencies(folder, out):
    with open(folder / out / "requests.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    bad = [row for row in rows if row["state"] != "completed"]
    if bad:
        sys.exit(f"{len(bad)} of {len(rows)} requests did not complete, the first: {bad[0]}")
    return [float(row["latency_s"]) for row in rows]


def quantile(values, share):
    values = sorted(values)
    h = (len(values) - 1) * share
    k = int(h)
    return values[k] if k + 1 == len(values) else values[k] + (h - k) * (values[k + 1] - values[k])


def load(live):
    program(["load", live.url, "--trace", "trace.csv", "--out", "live"], live.folder)
    return latencies(live.folder, "live")


def overhead():
    computing = 0.005 + 4 * 0.005 + 0.005
    text = CHAIN.format(encoders=2, dits=5, decoders=2, encoder=0.005, per_step=0.005, decoder=0.005)
    with Live(text) as live:
        write_trace(live.folder, [i * 0.01 for i in range(2000)])
        added = [1e3 * (latency - computing) for latency in load(live)]
    print(f"measured: P50 {quantile(added, 0.5):.2f} ms, P99 {quantile(added, 0.99):.2f} ms")
    return 0


def emulated():
    """Latencies of 200 requests, live and simulated."""
    text = CHAIN.format(encoders=1, dits=3, decoders=1, encoder=0.05, per_step=0.1, decoder=0.05)
    draw = random.Random(1)
    at, arrivals = 0.0, []
    for _ in range(200):
        at += draw.expovariate(5)
        arrivals.append(at)
    with Live(text) as live:
        write_trace(live.folder, arrivals)
        lived = load(live)
        program(["simulate", "live.yaml", "--out", "simulated"], live.folder)
        return lived, latencies(live.folder, "simulated")


def against(name, limit):
    lived, simulated = emulated()
    statistic = statistics.fmean if name == "mean" else lambda values: quantile(values, 0.95)
    live, simulation = statistic(lived), statistic(simulated)
    error = abs(simulation - live) / live
    print(f"measured: {100 * error:.2f} % (live {live:.4f} s, simulated {simulation:.4f} s)")
    return 0 if error <= limit else 1


def model():
    """configs/scenarios/live.yaml: real stages; the simulator is given their mean seconds."""
    source = (ROOT / "configs/scenarios/live.yaml").read_text()
    draw = random.Random(1)
    at, arrivals = 0.0, []
    for _ in range(100):
        at += draw.expovariate(1.5)
        arrivals.append(at)
    models = ROOT / "exec/stage/torch/builtin"
    text = re.sub(r"^serve:.*$", f"serve: {{listen: \"127.0.0.1:0\", backend: torch, models: \"{models}\", "
                  "state: state/}", source, flags=re.MULTILINE)
    text = re.sub(r"^  arrivals:.*$", "  trace: trace.csv", text, flags=re.MULTILINE)
    with Live(text) as live:
        write_trace(live.folder, arrivals)
        lived = load(live)
        live.stop()
        seconds = collections.defaultdict(list)
        printed = program(["verify", "state/journal.sqlite", "--print"], live.folder)
        for stage, compute in re.findall(r"batch_finished \S+ \S+ \((\w+)\).* compute (\S+) s", printed):
            seconds[stage].append(float(compute))
        costs = "".join(f"  - {{stage: {stage}, seconds: {statistics.fmean(values):.6f}}}\n"
                        for stage, values in seconds.items())
        (live.folder / "simulated.yaml").write_text(
            re.sub(r"^costs:.*\n(  - .*\n)+", "costs:\n" + costs, text, flags=re.MULTILINE))
        program(["simulate", "simulated.yaml", "--out", "simulated"], live.folder)
        simulated = latencies(live.folder, "simulated")
    mean = [statistics.fmean(values) for values in (lived, simulated)]
    p95 = [quantile(values, 0.95) for values in (lived, simulated)]
    print(f"measured: mean {100 * (mean[1] / mean[0] - 1):+.1f} % (live {mean[0]:.3f} s), "
          f"P95 {100 * (p95[1] / p95[0] - 1):+.1f} % (live {p95[0]:.3f} s)")
    return 0


def main():
    what = sys.argv[1] if len(sys.argv) == 2 else ""
    if what == "overhead":
        return overhead()
    if what == "mean":
        return against("mean", 0.05)
    if what == "p95":
        return against("p95", 0.10)
    if what == "model":
        return model()
    print(__doc__.strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
