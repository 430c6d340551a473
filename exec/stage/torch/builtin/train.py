"""Trains the built-in model on tinted Fashion-MNIST, on two CPU cores in about a quarter hour.

  apt-get install dataset-fashion-mnist          # Debian package, about 30 MB
  pip install torch==2.11.0 numpy safetensors pillow
  python3 train.py --work build/train --out exec/stage/torch/builtin/fashion.safetensors

Three phases: the VAE (encoder and decoder), the latents of the whole training set, then the text
encoder and the DiT together by flow matching. Stop it at any time: run again with the same --work
and it goes on from the last checkpoint, with the random numbers it would have had, because every
step draws from a generator seeded by (seed, phase, step). The same seed, thread count and machine
give the same weights; another thread count changes the order of sums and so the last digits.
"""

import argparse
import ctypes
import gzip
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import reference
from reference import ARCHITECTURE, ResidualBlock, tokenize

ITEMS = [  # labels 0-9 of Fashion-MNIST and the words a caption may use
    ["t-shirt", "t-shirt", "top", "tee"], ["trousers", "trouser", "pants", "jeans"],
    ["pullover", "sweater", "jumper"], ["dress", "gown"], ["coat", "jacket"],
    ["sandal", "sandals"], ["shirt", "blouse"], ["sneaker", "sneakers", "trainer"],
    ["bag", "handbag"], ["ankle boot", "boot", "boots"]]
COLOURS = {  # sRGB in [0, 1]
    "red": (0.85, 0.12, 0.12), "orange": (0.98, 0.55, 0.10), "yellow": (0.96, 0.85, 0.15),
    "green": (0.15, 0.60, 0.20), "teal": (0.10, 0.70, 0.72), "blue": (0.13, 0.28, 0.85),
    "purple": (0.50, 0.18, 0.72), "pink": (0.98, 0.55, 0.75), "brown": (0.48, 0.28, 0.14),
    "black": (0.10, 0.10, 0.11)}
COLOUR_NAMES = list(COLOURS)
TINTS = torch.tensor([COLOURS[name] for name in COLOUR_NAMES])
COPIES = 1  # tinted copies of every training image


def generator(seed, phase, step):
    return torch.Generator().manual_seed((seed * 16 + phase) * 2**32 + step)


def keep_freed_memory():
    """glibc gives large blocks back to the kernel at once and asks again a step later: not here."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def load_split(folder, split):
    """(gray [N, 28, 28] uint8, labels [N]) of "train" or "t10k"."""
    def read(name, offset):
        path = pathlib.Path(folder) / f"{split}-{name}-ubyte.gz"
        if not path.exists():
            raise SystemExit(f"{path}: expected the Debian package dataset-fashion-mnist or "
                             "--data FOLDER, got no such file")
        with gzip.open(path) as file:
            return np.frombuffer(file.read(), dtype=np.uint8, offset=offset).copy()
    labels = torch.from_numpy(read("labels-idx1", 8)).long()
    return torch.from_numpy(read("images-idx3", 16)).view(len(labels), 28, 28), labels


def tint(gray, colour):
    """gray [B, 28, 28] uint8 and colour [B, 3] -> RGB [B, 3, 32, 32] in [0, 1] on white.

    item = colour (0.4 + 0.6 g) + 0.15 g^2, seen through alpha = min(1, 5 g).
    """
    g = F.pad(gray.float() / 255.0, (2, 2, 2, 2)).unsqueeze(1)
    item = (colour.view(-1, 3, 1, 1) * (0.4 + 0.6 * g) + 0.15 * g * g).clamp(0, 1)
    alpha = (5.0 * g).clamp(0, 1)
    return alpha * item + (1.0 - alpha)


def jitter(colours, rng):
    """Tints of the colour numbers, each channel moved by up to 0.04."""
    return (TINTS[colours] + (torch.rand(len(colours), 3, generator=rng) - 0.5) * 0.08).clamp(0, 1)


class Encoder(nn.Module):
    """The VAE encoder, needed in training alone: RGB [B, 3, 32, 32] -> mean, log variance."""

    def __init__(self):
        super().__init__()
        groups, latent = ARCHITECTURE["norm_groups"], ARCHITECTURE["latent_channels"]
        self.conv_in = nn.Conv2d(12, 48, 3, padding=1)
        self.block16 = ResidualBlock(48, groups)
        self.down8 = nn.Conv2d(48, 96, 3, stride=2, padding=1)
        self.block8 = ResidualBlock(96, groups)
        self.conv_out = nn.Conv2d(96, 2 * latent, 1)

    def forward(self, rgb):
        x = self.block16(self.conv_in(F.pixel_unshuffle(rgb - 0.5, 2)))
        mean, log_variance = self.conv_out(self.block8(self.down8(x))).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)


def write_caption(label, colour, draw):
    """One caption from 5 uniform numbers; now and then the item, the colour or all words lack."""
    names = ITEMS[label]
    item, colour = names[int(draw[0] * len(names))], COLOUR_NAMES[colour]
    kind = int(draw[1] * 100)
    if kind < 12:
        return ""  # for guidance
    if kind < 17:
        return f"a {item}"
    if kind < 20:
        return colour
    forms = [f"{colour} {item}", f"a photo of a {colour} {item}", f"{item} in {colour}",
             f"a {colour} colored {item}"] + 4 * [f"a {colour} {item}"]
    text = forms[int(draw[2] * len(forms))]
    if draw[3] < 0.08:  # words it does not know
        text = f"xx {text}" if draw[4] < 0.5 else f"{text} xx xx"
    return text


class Progress:
    """One line a report: phase, step, loss, seconds, what remains."""

    def __init__(self, every=10.0):
        self.every, self.last = every, 0.0
        self.started, self.first_step = time.monotonic(), None

    def show(self, phase, step, steps, text, force=False):
        now = time.monotonic()
        if self.first_step is None:
            self.first_step, self.started = step, now
        if not force and now - self.last < self.every:
            return
        self.last = now
        done = step - self.first_step
        left = (now - self.started) / done * (steps - step) if done else float("nan")
        print(f"{phase:8s} {step:6d}/{steps}  {text}  ETA {left:5.0f} s", flush=True)


class Checkpoint:
    """One file per phase, replaced whole; carries the seconds already spent."""

    def __init__(self, work, every=30.0):
        self.work, self.every = pathlib.Path(work), every
        self.work.mkdir(parents=True, exist_ok=True)
        self.saved = time.monotonic()

    def load(self, phase):
        path = self.work / f"{phase}.pt"
        return torch.load(path, weights_only=True) if path.exists() else None

    def save(self, phase, state, force=False):
        if not force and time.monotonic() - self.saved < self.every:
            return
        part = self.work / f"{phase}.part"
        torch.save(state, part)
        part.replace(self.work / f"{phase}.pt")
        self.saved = time.monotonic()


class Stopwatch:
    """Wall and processor seconds, summed over resumed runs."""

    def __init__(self, state):
        self.wall, self.cpu = (state or {}).get("seconds", (0.0, 0.0))
        self.start = time.monotonic(), time.process_time()

    def read(self):
        return (self.wall + time.monotonic() - self.start[0],
                self.cpu + time.process_time() - self.start[1])


def learning_rate(step, steps, peak, warm=100):
    """Linear rise, then half a cosine down to zero."""
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def edges(x):
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def train_vae(gray, options, checkpoint):
    """L1 of pixels and of their differences, plus a small KL (Kingma and Welling 2014)."""
    torch.manual_seed(options.seed)
    encoder, decoder = Encoder(), reference.Decoder()
    nets = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    weights = [p for p in nets.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    state = checkpoint.load("vae")
    if state:
        nets.load_state_dict(state["nets"])
        optimizer.load_state_dict(state["optimizer"])
    step, watch, progress = state["step"] if state else 0, Stopwatch(state), Progress()
    nets.train()
    while step < options.vae_steps:
        rng = generator(options.seed, 1, step)
        chosen = torch.randint(len(gray), (options.batch,), generator=rng)
        colours = torch.randint(len(TINTS), (options.batch,), generator=rng)
        rgb = tint(gray[chosen], jitter(colours, rng))
        mean, log_variance = encoder(rgb)
        noise = torch.randn(mean.shape, generator=rng)
        out = decoder(mean + noise * (0.5 * log_variance).exp())
        pixel = (out - rgb).abs().mean()
        edge = sum((a - b).abs().mean() for a, b in zip(edges(out), edges(rgb)))
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        loss = pixel + 0.5 * edge + 5e-4 * kl
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.vae_steps, 2e-3)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        step += 1
        progress.show("vae", step, options.vae_steps,
                      f"L1 {pixel.item():.4f}  KL {kl.item():.2f}", step == options.vae_steps)
        checkpoint.save("vae", {"nets": nets.state_dict(), "optimizer": optimizer.state_dict(),
                                "step": step, "seconds": watch.read()},
                        step == options.vae_steps)
    return encoder.eval(), decoder.eval(), checkpoint.load("vae")["seconds"]


@torch.no_grad()
def encode_all(encoder, gray, labels, options, copies, phase):
    """Latents (means) of every image in `copies` colours: latents, labels, colour numbers."""
    latents, names, colour_numbers = [], [], []
    progress = Progress()
    total, step = copies * len(gray), 0
    for copy in range(copies):
        for start in range(0, len(gray), 500):
            rng = generator(options.seed, phase, copy * len(gray) + start)
            part = gray[start:start + 500]
            colours = torch.randint(len(TINTS), (len(part),), generator=rng)
            latents.append(encoder(tint(part, jitter(colours, rng)))[0])
            names.append(labels[start:start + 500])
            colour_numbers.append(colours)
            step += len(part)
            progress.show("latents", step, total, "", step == total)
    return torch.cat(latents), torch.cat(names), torch.cat(colour_numbers)


def make_latents(encoder, gray, labels, options, checkpoint):
    state = checkpoint.load("latents")
    if state is None:
        watch = Stopwatch(None)
        latents, labels, colours = encode_all(encoder, gray, labels, options, COPIES, 2)
        mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
        state = {"latents": (latents - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1),
                 "labels": labels, "colours": colours, "mean": mean, "std": std,
                 "seconds": watch.read()}
        checkpoint.save("latents", state, True)
    return state


def flow_loss(pipeline, latent, tokens, t, noise):
    """|| v(x_t, t, text) - (noise - data) ||^2, x_t = (1 - t) data + t noise."""
    blend = t.view(-1, 1, 1, 1)
    velocity = pipeline.dit((1 - blend) * latent + blend * noise, t, pipeline.text(tokens))
    return (velocity - (noise - latent)).square().mean()


def train_dit(data, options, checkpoint):
    torch.manual_seed(options.seed + 1)
    pipeline = reference.Pipeline()
    weights = [*pipeline.text.parameters(), *pipeline.dit.parameters()]
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    average = [w.detach().clone() for w in weights]
    state = checkpoint.load("dit")
    if state:
        pipeline.load_state_dict(state["pipeline"])
        optimizer.load_state_dict(state["optimizer"])
        average = state["average"]
    step, watch, progress = state["step"] if state else 0, Stopwatch(state), Progress()
    smooth = None
    while step < options.dit_steps:
        rng = generator(options.seed, 3, step)
        chosen = torch.randint(len(data["latents"]), (options.batch,), generator=rng)
        draws = torch.rand(options.batch, 5, generator=rng).tolist()
        tokens = torch.tensor([
            tokenize(write_caption(label, colour, draw)) for label, colour, draw in
            zip(data["labels"][chosen].tolist(), data["colours"][chosen].tolist(), draws)])
        t = torch.randn(options.batch, generator=rng).sigmoid()  # logit-normal (Esser et al. 2024)
        noise = torch.randn(options.batch, *data["latents"].shape[1:], generator=rng)
        loss = flow_loss(pipeline, data["latents"][chosen], tokens, t, noise)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.dit_steps, options.rate)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        step += 1
        decay = min(0.999, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [w.detach() for w in weights], 1 - decay)
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        last = step == options.dit_steps
        progress.show("dit", step, options.dit_steps, f"loss {smooth:.4f}", last)
        checkpoint.save("dit", {
            "pipeline": pipeline.state_dict(), "optimizer": optimizer.state_dict(),
            "average": average, "step": step, "seconds": watch.read()}, last)
    with torch.no_grad():
        for w, mean in zip(weights, average):
            w.copy_(mean)
    return pipeline.eval(), checkpoint.load("dit")["seconds"]


@torch.no_grad()
def judge(pipeline, encoder, options):
    """Errors on the 10 000 test images, none of them seen in training."""
    gray, labels = load_split(options.data, "t10k")
    gray, labels = gray[:2000], labels[:2000]
    raw, _, colours = encode_all(encoder, gray, labels, options, 1, 4)
    decoder = pipeline.decoder
    latents = (raw - decoder.latent_mean.view(1, -1, 1, 1)) / decoder.latent_std.view(1, -1, 1, 1)
    rgb = tint(gray, TINTS[colours])
    exact = (encoder(rgb)[0] - decoder.latent_mean.view(1, -1, 1, 1)) / \
        decoder.latent_std.view(1, -1, 1, 1)
    mse = (decoder(exact) - rgb).square().mean(dim=(1, 2, 3))
    tokens = torch.tensor([tokenize(f"a {COLOUR_NAMES[c]} {ITEMS[label][0]}")
                           for label, c in zip(labels.tolist(), colours.tolist())])
    rng = generator(options.seed, 5, 0)
    noise = torch.randn(latents.shape, generator=rng)
    t = (torch.arange(len(latents)) + 0.5) / len(latents)
    order = torch.randperm(len(latents), generator=rng)
    return {"reconstruction_psnr_db": (-10 * mse.log10()).mean().item(),
            "reconstruction_rmse": mse.mean().sqrt().item(),
            "test_flow_loss": flow_loss(pipeline, latents, tokens, t[order], noise).item()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", default="build/train", help="checkpoints; same folder = resume")
    parser.add_argument("--out", default=str(reference.HERE / "fashion.safetensors"))
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--vae-steps", type=int, default=700)
    parser.add_argument("--dit-steps", type=int, default=2500)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate of the DiT")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()

    gray, labels = load_split(options.data, "train")
    checkpoint = Checkpoint(options.work)
    encoder, decoder, vae_seconds = train_vae(gray, options, checkpoint)
    data = make_latents(encoder, gray, labels, options, checkpoint)
    pipeline, dit_seconds = train_dit(data, options, checkpoint)
    pipeline.decoder.load_state_dict(decoder.state_dict())
    with torch.no_grad():
        pipeline.decoder.latent_mean.copy_(data["mean"])
        pipeline.decoder.latent_std.copy_(data["std"])
    reference.save_weights(pipeline, options.out, {
        "seed": options.seed, "vae_steps": options.vae_steps, "dit_steps": options.dit_steps,
        "batch": options.batch, "dataset": "Fashion-MNIST (Zalando SE, MIT licence), tinted"})
    pipeline = reference.load_pipeline(options.out)
    report = judge(pipeline, encoder, options)
    phases = {"vae": vae_seconds, "latents": data["seconds"], "dit": dit_seconds}
    report["threads"] = options.threads
    report["wall_s"] = {name: round(s[0], 1) for name, s in phases.items()}
    report["processor_s"] = {name: round(s[1], 1) for name, s in phases.items()}
    report["wall_s"]["all"] = round(sum(s[0] for s in phases.values()), 1)
    report["processor_s"]["all"] = round(sum(s[1] for s in phases.values()), 1)
    text = json.dumps(report, indent=1)
    (pathlib.Path(options.work) / "report.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
