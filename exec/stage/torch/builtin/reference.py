"""The built-in model in PyTorch: what train.py trains and what the C++ must equal.

Three stages, as DisagFusion serves them:

  TextEncoder  token ids [B, 12] -> text embedding [B, 12, 64]
  Dit          latent [B, 4, 8, 8], time [B], text [B, 12, 64] -> velocity [B, 4, 8, 8]
  Decoder      latent [B, 4, 8, 8] -> RGB in [0, 1], [B, 3, 32, 32]

Methods: flow matching on the straight path (Lipman et al. 2023; Liu et al. 2023), DiT blocks with
adaLN-zero (Peebles and Xie 2023) whose modulation is one shared projection plus a table per block
(Chen et al. 2024), cross-attention to the text, classifier-free guidance (Ho and Salimans 2022).

Run as a program it writes the golden tensors of the C++ tests or a contact sheet:

  reference.py golden --out DIR/golden.safetensors
  reference.py sheet --out DIR/builtin-model.png
"""

import argparse
import json
import math
import pathlib
import statistics

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
FORMAT = "disagfusion.builtin/1"

ARCHITECTURE = {
    "image_size": 32,
    "latent_channels": 4,
    "latent_size": 8,
    "patch": 2,
    "text_tokens": 12,
    "text_width": 64,
    "text_layers": 2,
    "text_heads": 4,
    "dit_width": 128,
    "dit_blocks": 6,
    "dit_heads": 4,
    "time_features": 64,
    "decoder_channels": [96, 48, 24],
    "norm_groups": 8,
    "steps": 20,
    "guidance": 3.0,
}

# Words of one line share a token. Order is part of the weights: never reorder, only append.
WORDS = [
    ["[pad]"], ["[unk]"],
    ["a", "an", "the", "one", "some"], ["photo", "picture", "image"], ["of"], ["in"], ["pair"],
    ["color", "colour", "colored", "coloured"],
    ["red", "crimson", "scarlet"], ["orange"], ["yellow", "golden"], ["green"],
    ["teal", "cyan", "turquoise"], ["blue", "navy"], ["purple", "violet"], ["pink", "magenta"],
    ["brown"], ["black"],
    ["tshirt", "tshirts", "tee", "top"],
    ["trouser", "trousers", "pants", "jeans"],
    ["pullover", "pullovers", "sweater", "sweaters", "jumper", "hoodie"],
    ["dress", "dresses", "gown"],
    ["coat", "coats", "jacket", "jackets"],
    ["sandal", "sandals", "heels"],
    ["shirt", "shirts", "blouse"],
    ["sneaker", "sneakers", "trainer", "trainers"],
    ["bag", "bags", "handbag", "purse"],
    ["boot", "boots"],
    ["ankle"],
]
VOCABULARY = {word: index for index, words in enumerate(WORDS) for word in words}
PAD, UNKNOWN = 0, 1


def tokenize(prompt, vocabulary=VOCABULARY, length=ARCHITECTURE["text_tokens"]):
    """A list of `length` token ids.

    ASCII letters are lowered; hyphens and apostrophes vanish ("T-shirt" is "tshirt"); every other
    character outside a-z and 0-9 ends a word. A word outside the vocabulary is [unk]. Where the
    prompt is longer than `length`, unknown words go first, then the tail.
    """
    words, word = [], ""
    for byte in prompt.encode("utf-8") + b" ":
        char = chr(byte).lower() if byte < 128 else " "
        if char in "-'":
            continue
        if char.isalnum():
            word += char
        elif word:
            words.append(word)
            word = ""
    ids = [vocabulary.get(word, UNKNOWN) for word in words]
    if len(ids) > length:
        ids = [token for token in ids if token != UNKNOWN]
    return (ids + [PAD] * length)[:length]


# --- The random numbers of the first latent -----------------------------------------------------

PURPOSE = 9  # Purpose::weights of base/random.hpp
MASK = 2**64 - 1


def philox4x64(counter, key):
    """Philox4x64-10 (Salmon et al. 2011): four 64-bit words from a counter and a key."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(second >> 64) ^ c[1] ^ k[0], second & MASK, (first >> 64) ^ c[3] ^ k[1], first & MASK]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
    return c


def initial_latent(seed, shape):
    """Standard normal noise of `shape`, float32: element i of the flat tensor depends on (seed, i).

    RandomStream(seed, Purpose::weights, 0).normal() of base/random.hpp: word i is word i mod 4
    of Philox with counter (i / 4, 0, 0, 0) and key (seed, purpose); its upper 52 bits, plus a
    half, over 2^52 are u in (0, 1); the number is the normal quantile of u (Wichura 1988, AS 241,
    which is also Python's inv_cdf).
    """
    count = math.prod(shape)
    words = [word for block in range((count + 3) // 4)
             for word in philox4x64((block, 0, 0, 0), (seed, PURPOSE))]
    quantile = statistics.NormalDist().inv_cdf
    values = [quantile(((word >> 12) + 0.5) * 2.0**-52) for word in words[:count]]
    return torch.from_numpy(np.asarray(values, dtype=np.float32)).reshape(shape)


# --- Layers ------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Multi-head attention of x [B, N, width] to context [B, M, context_width]."""

    def __init__(self, width, heads, context_width=None):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(context_width or width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        batch, count, width = x.shape

        def split(y):
            return y.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        keys, values = self.kv(context).chunk(2, dim=-1)
        y = F.scaled_dot_product_attention(split(self.q(x)), split(keys), split(values))
        return self.out(y.transpose(1, 2).reshape(batch, count, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.down(F.gelu(self.up(x), approximate="tanh"))


def plain_norm(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class TextBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y)
        return x + self.mlp(self.norm2(x))


class TextEncoder(nn.Module):
    """A small transformer over word tokens. Padding is attended to: its embedding is learned."""

    def __init__(self, a=ARCHITECTURE, tokens=len(WORDS)):
        super().__init__()
        width = a["text_width"]
        self.tokens = nn.Embedding(tokens, width)
        self.positions = nn.Parameter(torch.zeros(a["text_tokens"], width))
        self.blocks = nn.ModuleList(
            TextBlock(width, a["text_heads"]) for _ in range(a["text_layers"]))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.normal_(self.tokens.weight, std=0.3)
        nn.init.normal_(self.positions, std=0.1)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class DitBlock(nn.Module):
    def __init__(self, width, heads, text_width):
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(6, width))
        self.attention = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width, eps=1e-6)
        self.cross = Attention(width, heads, text_width)
        self.mlp = Mlp(width)
        nn.init.normal_(self.modulation[:2], std=0.02)
        nn.init.zeros_(self.cross.out.weight)
        nn.init.zeros_(self.cross.out.bias)

    def forward(self, x, modulation, text):
        m = (modulation + self.modulation).unbind(1)  # each [B, width]
        shift1, scale1, gate1, shift2, scale2, gate2 = (y.unsqueeze(1) for y in m)
        y = plain_norm(x) * (1 + scale1) + shift1
        x = x + gate1 * self.attention(y, y)
        x = x + self.cross(self.cross_norm(x), text)
        return x + gate2 * self.mlp(plain_norm(x) * (1 + scale2) + shift2)


def time_features(time, count):
    """cos and sin of 1000 t / 10000^(k / half), k = 0 .. half-1; the angle is made in double."""
    half = count // 2
    frequency = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float64) / half)
    angle = 1000.0 * time.double().unsqueeze(1) * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1).float()


class Dit(nn.Module):
    """Velocity of the flow: x_t = (1 - t) data + t noise, velocity = noise - data."""

    def __init__(self, a=ARCHITECTURE):
        super().__init__()
        self.a = a
        width, patch = a["dit_width"], a["patch"]
        grid = a["latent_size"] // patch
        self.patch_in = nn.Linear(a["latent_channels"] * patch**2, width)
        self.positions = nn.Parameter(torch.zeros(grid * grid, width))
        self.time_in = nn.Linear(a["time_features"], width)
        self.time_out = nn.Linear(width, width)
        self.text_in = nn.Linear(a["text_width"], width)
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(
            DitBlock(width, a["dit_heads"], a["text_width"]) for _ in range(a["dit_blocks"]))
        self.final_modulation = nn.Linear(width, 2 * width)
        self.patch_out = nn.Linear(width, a["latent_channels"] * patch**2)
        nn.init.normal_(self.positions, std=0.3)
        for layer in (self.modulation, self.final_modulation, self.patch_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, latent, time, text):
        batch, channels, size, _ = latent.shape
        p, grid = self.a["patch"], size // self.a["patch"]
        x = latent.view(batch, channels, grid, p, grid, p).permute(0, 2, 4, 1, 3, 5)
        x = self.patch_in(x.reshape(batch, grid * grid, channels * p * p)) + self.positions
        condition = self.time_out(F.silu(self.time_in(time_features(
            time, self.a["time_features"])))) + self.text_in(text.mean(dim=1))
        condition = F.silu(condition)
        modulation = self.modulation(condition).view(batch, 6, -1)
        for block in self.blocks:
            x = block(x, modulation, text)
        shift, scale = self.final_modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        x = self.patch_out(plain_norm(x) * (1 + scale) + shift)
        x = x.view(batch, grid, grid, channels, p, p).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(batch, channels, size, size)


class ResidualBlock(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x):
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


class Decoder(nn.Module):
    """The VAE decoder. Takes the latent in unit variance, as the DiT makes it."""

    def __init__(self, a=ARCHITECTURE):
        super().__init__()
        first, second, third = a["decoder_channels"]
        groups, latent = a["norm_groups"], a["latent_channels"]
        self.latent_mean = nn.Parameter(torch.zeros(latent), requires_grad=False)
        self.latent_std = nn.Parameter(torch.ones(latent), requires_grad=False)
        self.conv_in = nn.Conv2d(latent, first, 3, padding=1)
        self.block8 = ResidualBlock(first, groups)
        self.up16 = nn.Conv2d(first, 4 * second, 1)
        self.block16 = ResidualBlock(second, groups)
        self.up32 = nn.Conv2d(second, 4 * third, 1)
        self.block32 = ResidualBlock(third, groups)
        self.conv_out = nn.Conv2d(third, 3, 3, padding=1)

    def forward(self, latent):
        x = latent * self.latent_std.view(1, -1, 1, 1) + self.latent_mean.view(1, -1, 1, 1)
        x = self.block8(self.conv_in(x))
        x = self.block16(F.pixel_shuffle(self.up16(x), 2))
        x = self.block32(F.pixel_shuffle(self.up32(x), 2))
        return (self.conv_out(x) + 0.5).clamp(0, 1) if not self.training else self.conv_out(x) + 0.5


# --- The pipeline ------------------------------------------------------------------------------


class Pipeline(nn.Module):
    """The three stages one after the other; the names below are the names in the weights file."""

    def __init__(self, architecture=ARCHITECTURE, tokens=len(WORDS)):
        super().__init__()
        self.text = TextEncoder(architecture, tokens)
        self.dit = Dit(architecture)
        self.decoder = Decoder(architecture)
        self.a = architecture

    def encode(self, prompts):
        """(cond, uncond), each [B, 12, 64]; uncond is the embedding of the empty prompt."""
        ids = torch.tensor([tokenize(p) for p in prompts] + [tokenize("")])
        text = self.text(ids)
        return text[:-1], text[-1:].expand(len(prompts), -1, -1)

    def velocity(self, latent, time, cond, uncond, guidance):
        """Guided velocity v_uncond + guidance (v_cond - v_uncond); guidance [B]."""
        both = self.dit(torch.cat([latent, latent]), torch.cat([time, time]),
                        torch.cat([cond, uncond]))
        v_cond, v_uncond = both.chunk(2)
        return v_uncond + guidance.view(-1, 1, 1, 1) * (v_cond - v_uncond)

    def step(self, latent, index, steps, cond, uncond, guidance):
        """Euler step `index` of `steps` from t = 1 - index / steps to 1 - (index + 1) / steps."""
        time = torch.full((len(latent),), 1.0 - index / steps, dtype=torch.float64)
        return latent - (1.0 / steps) * self.velocity(latent, time, cond, uncond, guidance)

    def decode(self, latent):
        """RGB [B, 32, 32, 3] uint8: round half to even of 255 x."""
        return (self.decoder(latent) * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)

    @torch.no_grad()
    def generate(self, prompts, seeds, steps=None, guidance=None):
        steps = steps or self.a["steps"]
        scale = torch.full((len(prompts),), self.a["guidance"] if guidance is None else guidance)
        cond, uncond = self.encode(prompts)
        size = self.a["latent_size"]
        latent = torch.stack([
            initial_latent(seed, (self.a["latent_channels"], size, size)) for seed in seeds])
        for index in range(steps):
            latent = self.step(latent, index, steps, cond, uncond, scale)
        return self.decode(latent)


def save_weights(pipeline, path, extra):
    """float16 weights with the architecture and the vocabulary in the header."""
    tensors = {name: value.detach().to(torch.float16).contiguous()
               for name, value in pipeline.state_dict().items()}
    metadata = {"format": FORMAT, "architecture": json.dumps(pipeline.a, sort_keys=True),
                "vocabulary": json.dumps(VOCABULARY, sort_keys=True),
                **{key: str(value) for key, value in extra.items()}}
    save_file(tensors, str(path), metadata=metadata)


def load_pipeline(path):
    """The pipeline with the numbers of the file, in float32."""
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    if metadata.get("format") != FORMAT:
        raise SystemExit(f"{path}: expected format {FORMAT}, got {metadata.get('format')}")
    pipeline = Pipeline(json.loads(metadata["architecture"]))
    pipeline.load_state_dict(tensors)
    return pipeline.eval()


# --- Golden tensors and the contact sheet ------------------------------------------------------

GOLDEN = [("a red sneaker", 7, 3.0), ("Blue T-shirt", 2**40 + 11, 2.0), ("a zebra handbag", 0, 1.0)]
GOLDEN_STEPS = 4


@torch.no_grad()
def write_golden(pipeline, path):
    """Every boundary of the pipeline for the cases of GOLDEN, each run alone (batch 1)."""
    tensors = {}
    for case, (prompt, seed, guidance) in enumerate(GOLDEN):
        cond, uncond = pipeline.encode([prompt])
        size = pipeline.a["latent_size"]
        latent = initial_latent(seed, (1, pipeline.a["latent_channels"], size, size))
        name = f"case{case}."
        tensors[name + "tokens"] = torch.tensor([tokenize(prompt)], dtype=torch.int64)
        tensors[name + "cond"], tensors[name + "uncond"] = cond, uncond.contiguous()
        tensors[name + "latent0"] = latent
        scale = torch.tensor([guidance])
        for index in range(GOLDEN_STEPS):
            latent = pipeline.step(latent, index, GOLDEN_STEPS, cond, uncond, scale)
            tensors[name + f"latent{index + 1}"] = latent
        tensors[name + "rgb"] = pipeline.decoder(latent).contiguous()
        tensors[name + "image"] = pipeline.decode(latent).contiguous()
    cases = [{"prompt": p, "seed": s, "guidance": g} for p, s, g in GOLDEN]
    save_file(tensors, str(path), metadata={
        "format": "disagfusion.builtin.golden/1",
        "cases": json.dumps(cases), "steps": str(GOLDEN_STEPS)})


def write_sheet(pipeline, path, zoom=2):
    """Ten items by ten colours, seed = row, all at the default steps and guidance."""
    from PIL import Image
    items = ["t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
             "bag", "ankle boot"]
    colours = [words[0] for words in WORDS[8:18]]
    sheet = np.full((10 * 34 + 2, 10 * 34 + 2, 3), 255, dtype=np.uint8)
    for row, item in enumerate(items):
        images = pipeline.generate([f"a {c} {item}" for c in colours],
                                   [100 * row + c for c in range(10)]).numpy()
        for column, image in enumerate(images):
            y, x = 2 + 34 * row, 2 + 34 * column
            sheet[y:y + 32, x:x + 32] = image
    picture = Image.fromarray(sheet)
    picture = picture.resize((picture.width * zoom, picture.height * zoom), Image.NEAREST)
    picture.quantize(256).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["golden", "sheet"])
    parser.add_argument("--weights", default=HERE / "fashion.safetensors")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = load_pipeline(arguments.weights)
    {"golden": write_golden, "sheet": write_sheet}[arguments.what](pipeline, arguments.out)


if __name__ == "__main__":
    main()
