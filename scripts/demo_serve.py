#!/usr/bin/env python3
"""The third part of `make demo`: serves the built-in model, sends the prompts of traces/prompts.csv at
their instants, fetches the images, checks the journal in lockstep, and compares the live latencies with
a simulation of the same requests at the stage seconds that were measured.

    demo_serve.py PROGRAM OUT
"""

import base64
import collections
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


def serve(program, out):
    """Starts the server on a free port; returns the process and its URL."""
    text = (ROOT / "configs/scenarios/live.yaml").read_text()
    text = re.sub(r"state: [^ }]+", "state: state", text)
    (out / "live.yaml").write_text(text)
    process = subprocess.Popen([program, "serve", str(out / "live.yaml"), "--listen", "127.0.0.1:0"],
                               stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    found = re.search(r"http://[0-9.:]+", line)
    if not found:
        process.terminate()
        sys.exit(f"the server did not start: {line}")
    print(f"  {line.strip()}")
    return process, found.group(0)


def wait_until_ready(url):
    import time
    for _ in range(600):
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit("the server is not ready after a minute")


def journal_text(program, out):
    return subprocess.run([program, "verify", str(out / "state/journal.sqlite"), "--print"], check=True,
                          capture_output=True, text=True).stdout


def fetch_images(url, out, printed):
    """Each request's image by its id, as its client would, named after its prompt."""
    folder = out / "images"
    folder.mkdir(exist_ok=True)
    arrived = re.findall(r'request_arrived .* id "([^"]+)" prompt "([^"]+)"', printed)
    for identifier, prompt in arrived:
        with urllib.request.urlopen(f"{url}/v1/requests/{identifier}", timeout=30) as answer:
            body = json.load(answer)
        image = base64.b64decode(body["data"][0]["b64_json"])
        (folder / f"{prompt.replace(' ', '-')}.png").write_bytes(image)
    print(f"  {len(arrived)} images in {folder}")


def measured_seconds(printed):
    """Mean compute seconds of each stage, from the text of the event log."""
    sums = collections.defaultdict(list)
    for match in re.finditer(r"batch_finished \S+ \S+ \((\w+)\).*compute ([0-9.]+) s", printed):
        sums[match[1]].append(float(match[2]))
    return {stage: sum(values) / len(values) for stage, values in sums.items()}


def simulate(program, out, seconds):
    text = (out / "live.yaml").read_text()
    head = text[:text.index("costs:")]
    costs = "costs:\n" + "".join(f"  - {{stage: {stage}, seconds: {value:.6f}}}\n"
                                 for stage, value in seconds.items())
    (out / "measured.yaml").write_text(head + costs + "slo: {latency: 2 s, attainment: 95 %}\n")
    subprocess.run([program, "simulate", str(out / "measured.yaml"), "--trace",
                    str(ROOT / "traces/prompts.csv"), "--json", "--out", str(out / "simulated")],
                   check=True, stdout=subprocess.DEVNULL)


def main():
    program, out = sys.argv[1], pathlib.Path(sys.argv[2])
    process, url = serve(program, out)
    try:
        wait_until_ready(url)
        subprocess.run([program, "load", url, "--trace", str(ROOT / "traces/prompts.csv"),
                        "--out", str(out / "live")], check=True)
        fetch_images(url, out, journal_text(program, out))
    finally:
        process.terminate()
        process.wait(timeout=60)
    subprocess.run([program, "verify", str(out / "state/journal.sqlite")], check=True)
    seconds = measured_seconds(journal_text(program, out))
    print("  measured: " + ", ".join(f"{stage} {value * 1e3:.1f} ms" for stage, value in seconds.items()))
    simulate(program, out, seconds)
    print("\n  live (a) and simulated with the measured seconds (b):\n")
    sys.stdout.flush()
    subprocess.run([program, "compare", str(out / "live"), str(out / "simulated")], check=True)


if __name__ == "__main__":
    main()
