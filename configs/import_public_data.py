#!/usr/bin/env python3
"""Writes configs/models/*.yaml and configs/hardware/*.yaml from the published data tables.

    python3 configs/import_public_data.py DATA_FOLDER [OUT_FOLDER]

DATA_FOLDER holds model_architectures.csv and gpus.csv; OUT_FOLDER defaults to this script's folder.
The output depends on the two tables, the counts of the real modules
(tests/predictor/data/flop_counts.csv) and the corrections below alone: a rerun writes the same
bytes. Numbers are copied as the tables print them; an empty cell becomes an absent key (unknown,
not zero).
"""

import csv
import json
import pathlib
import re
import sys

# Columns of model_architectures.csv that struct Architecture (base/scenario.hpp) holds, in order.
TEXT_FIELDS = ["task", "block_type", "text_encoder", "image_encoder"]
NUMBER_FIELDS = [
    "dit_params_b", "text_params_b", "vae_params_m",
    "double_layers", "single_layers", "hidden", "heads", "head_dim", "ffn_dim", "ffn_mats",
    "patch_t", "patch_h", "patch_w", "vae_channels", "vae_t", "vae_s",
    "text_seq_in_dit", "text_max_tokens", "text_layers", "text_hidden", "text_ffn",
    "text_dim_to_dit", "passes_per_step", "default_steps", "default_width", "default_height",
    "default_frames", "fps", "lin_gmac_per_img_token", "lin_gmac_per_text_token",
    "image_attention_layers", "text_gmac_per_prompt", "vae_kflop_per_pixel",
]

# Where counting the real modules (docs/models/flop-counts.md) gave other numbers than the table.
CORRECTIONS = {
    "SD3.5-medium": {"lin_gmac_per_img_token": "0.8022", "image_attention_layers": "13",
                     "dit_params_b": "2.24"},
    "LTX-Video-2B": {"vae_params_m": "419.2"},
    "LTX-Video-13B": {"vae_params_m": "1246.9"},
    "LTX-2-19B": {"lin_gmac_per_img_token": "12.885", "lin_gmac_per_text_token": "2.058",
                  "dit_params_b": "18.88", "vae_params_m": "1222.5"},
    "HunyuanImage-2.1": {"text_seq_in_dit": "1128", "lin_gmac_per_text_token": "9.5217",
                         "dit_params_b": "17.43", "text_params_b": "8.51", "vae_params_m": "405.6"},
    "HunyuanVideo": {"text_params_b": "7.63"},
    "HunyuanVideo-1.5": {"text_seq_in_dit": "1985", "text_params_b": "7.29", "vae_params_m": "1260.6"},
    "Wan2.2-TI2V-5B": {"lin_gmac_per_img_token": "4.4079"},
}
COUNTS = pathlib.Path(__file__).parent.parent / "tests/predictor/data/flop_counts.csv"
# Decoders that were not counted themselves, with one of the same layers (latent channels differ).
VAE_LIKE = {"sd3-vae": "flux.1-vae", "sd-vae-ft": "sdxl-vae"}

# Text encoders by the table's wording. The same wording is the same checkpoint, so the same weights
# name, and its pool can be shared between models.
TEXT_WEIGHTS = {
    "umt5-xxl encoder": "umt5-xxl",
    "t5-v1.1-xxl encoder": "t5-xxl",
    "t5-v1.1-xxl + CLIP-L": "t5-xxl+clip-l",
    "t5-v1.1-xxl + CLIP-L + CLIP-G": "t5-xxl+clip-l+clip-g",
    "llava-llama-3-8b + CLIP-L": "llava-llama-3-8b+clip-l",
    "Qwen2.5-VL-7B": "qwen2.5-vl-7b",
    "Qwen2.5-VL-7B + glyph ByT5": "qwen2.5-vl-7b+glyph-byt5",
    "Gemma-3-12B": "gemma-3-12b",
    "Mistral-Small-3.x-24B (layers 10 20 30)": "mistral-small-3-24b",
    "Qwen3-4B": "qwen3-4b",
    "Qwen3-8B": "qwen3-8b",
}

# VAE decoders: models of one family were published with one VAE checkpoint. Where that is not sure
# (LTX's releases) each model keeps its own.
VAE_WEIGHTS = [
    (r"Wan2\.1-|Wan2\.2-.*A14B$", "wan2.1-vae"),
    (r"Wan2\.2-TI2V-5B$", "wan2.2-vae"),
    (r"HunyuanVideo$", "hunyuanvideo-vae"),
    (r"HunyuanVideo-1\.5$", "hunyuanvideo-1.5-vae"),
    (r"CogVideoX", "cogvideox-vae"),
    (r"FLUX\.1-|Z-Image", "flux.1-vae"),
    (r"FLUX\.2-", "flux.2-vae"),
    (r"SD3", "sd3-vae"),
    (r"Qwen-Image", "qwen-image-vae"),
    (r"PixArt-alpha", "sd-vae-ft"),
    (r"PixArt-Sigma", "sdxl-vae"),
    (r"HunyuanImage-2\.1$", "hunyuanimage-2.1-vae"),
]


def conditions_on_image(row):
    """Whether the encoder stage encodes an image beside the prompt (so it has other weights)."""
    return row["task"] in ("i2v", "i2i")


def encoder_weights(row):
    text = TEXT_WEIGHTS[row["text_encoder"]]
    if not conditions_on_image(row):
        return text
    image = "+clip-vit-h" if row["image_encoder"].startswith("CLIP") else ""
    return f"{text}{image}+{vae_weights(row)}-encoder"


def vae_weights(row):
    for pattern, weights in VAE_WEIGHTS:
        if re.match(pattern, row["model"]):
            return weights
    return row["model"].lower() + "-vae"


def corrected(row):
    """The row with CORRECTIONS and the fields `corrected` and, by what was counted,
    text_gmac_per_prompt and vae_kflop_per_pixel."""
    mended = CORRECTIONS.get(row["model"], {})
    return {"image_attention_layers": "", "text_gmac_per_prompt": "", "vae_kflop_per_pixel": "",
            **row, **mended, "corrected": ", ".join(mended)}


def add_counts(rows):
    """Fills in what a model's text encoder and decoder count, or those of a model that shares them."""
    by_name = {row["model"].lower(): row for row in rows}
    texts, decoders = {}, {}  # by model and by what is shared
    for count in read_rows(COUNTS):
        row = by_name[count["model"]]
        flop = int(count["linear_flop"]) + int(count["attention_flop"])
        if count["stage"] == "encoder":
            texts[row["model"]] = texts[row["text_encoder"], row["text_max_tokens"]] = flop / 2e9
        if count["stage"] == "decoder":
            pixels = int(count["width"]) * int(count["height"]) * int(count["frames"])
            decoders[vae_weights(row)] = flop / pixels / 1e3
    for row in rows:
        text = texts.get(row["model"]) or texts.get((row["text_encoder"], row["text_max_tokens"]))
        vae = vae_weights(row)
        decoder = decoders.get(VAE_LIKE.get(vae, vae))
        row["text_gmac_per_prompt"] = f"{text:.6g}" if text else ""
        row["vae_kflop_per_pixel"] = f"{decoder:.6g}" if decoder else ""


def quoted(text):
    """A YAML double-quoted scalar; JSON's strings are a subset."""
    return json.dumps(text, ensure_ascii=False)


def model_yaml(row):
    name = row["model"].lower()
    lines = [
        "# Written by configs/import_public_data.py; do not edit.",
        f"# {row['model']}. Checked at the source: {row['checked']}.",
        *([f"# By a count of the module, not by the table: {row['corrected']}."]
          if row["corrected"] else []),
        f"name: {name}",
        "stages:",
        f"  - {{name: encoder, kind: encoder, weights: {encoder_weights(row)}}}",
        f"  - {{name: dit, kind: dit, after: [encoder], weights: {name}-dit}}",
        f"  - {{name: decoder, kind: decoder, after: [dit], weights: {vae_weights(row)}}}",
        "architecture:",
    ]
    for field in TEXT_FIELDS:
        if row[field]:
            lines.append(f"  {field}: {quoted(row[field])}")
    for field in NUMBER_FIELDS:
        if row[field]:
            lines.append(f"  {field}: {row[field]}")
    lines.append(f"  source: {quoted(row['source'])}")
    return "\n".join(lines) + "\n"


def gpu_yaml(row):
    lines = ["# Written by configs/import_public_data.py; do not edit.", f"name: {row['gpu']}"]
    lines.append(f"arch: {row['arch']}")
    for field in ("bf16_dense_tflops", "fp16_dense_tflops", "fp8_dense_tflops",
                  "fp4_dense_tflops"):
        if row[field]:
            lines.append(f"{field}: {row[field]}")
    lines.append(f"memory: {row['mem_gb']} GB")
    lines.append(f"memory_bandwidth: {row['mem_bw_gbs']} GB/s")
    if row["nvlink_total_gbs"] not in ("", "0"):
        lines.append(f"nvlink_bandwidth: {row['nvlink_total_gbs']} GB/s")
    lines.append(f"pcie_bandwidth: {row['pcie_gbs_per_dir']} GB/s")
    lines.append(f"tdp_w: {row['tdp_w']}")
    for field, column in (("price_low", "price_low_usd_h"), ("price_high", "price_high_usd_h")):
        if row[column]:
            lines.append(f"{field}: {row[column]} USD/h")
    for field, column in (("price_date", "price_date"), ("price_source", "price_source"),
                          ("source", "spec_source"), ("notes", "notes")):
        if row[column]:
            lines.append(f"{field}: {quoted(row[column])}")
    return "\n".join(lines) + "\n"


def write_folder(folder, files):
    """Writes `files` (name -> text); removes other .yaml files that this script wrote earlier."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.yaml"):
        written_by_us = old.read_text(encoding="utf-8").startswith("# Written by configs/import_")
        if written_by_us and old.name not in files:
            old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    data = pathlib.Path(arguments[1])
    out = pathlib.Path(arguments[2]) if len(arguments) == 3 else pathlib.Path(__file__).parent
    models = [corrected(row) for row in read_rows(data / "model_architectures.csv")]
    add_counts(models)
    gpus = read_rows(data / "gpus.csv")
    write_folder(out / "models",
                 {f"{row['model'].lower()}.yaml": model_yaml(row) for row in models})
    write_folder(out / "hardware", {f"{row['gpu']}.yaml": gpu_yaml(row) for row in gpus})
    print(f"{len(models)} models, {len(gpus)} GPU types")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
