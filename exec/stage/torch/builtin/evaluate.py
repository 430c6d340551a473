"""How well the built-in model obeys its prompts: prints one JSON object.

  python3 evaluate.py [--pictures 3] [--steps 20] [--guidance 3]

Item: a small classifier (784-128-10) is trained on the silhouettes of tinted training images and
asked about the generated ones; its accuracy on real test images is printed beside it.
Colour: the mean colour of the item's pixels, nearest among the means of real tinted images.
"""

import argparse
import json

import torch
import torch.nn.functional as F
from torch import nn

import reference
from train import COLOUR_NAMES, ITEMS, TINTS, generator, jitter, load_split, tint


def silhouette(rgb):
    """[B, 3, 32, 32] in [0, 1] -> [B, 784]: distance from white, scaled to a maximum of 1."""
    distance = (1 - rgb).square().sum(dim=1).sqrt()[:, 2:30, 2:30].flatten(1)
    return distance / distance.amax(dim=1, keepdim=True).clamp_min(1e-3)


def item_colour(rgb):
    """Mean RGB of the pixels that are item: at least half as far from white as the farthest."""
    mask = (silhouette(rgb) > 0.5).float().unsqueeze(1)
    inner = rgb[:, :, 2:30, 2:30].flatten(2)
    return (inner * mask).sum(dim=2) / mask.sum(dim=2).clamp_min(1)


def train_classifier(gray, labels, epochs=4):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for epoch in range(epochs):
        rng = generator(0, 6, epoch)
        order = torch.randperm(len(gray), generator=rng)
        for chosen in order.split(200):
            colours = torch.randint(len(TINTS), (len(chosen),), generator=rng)
            loss = F.cross_entropy(net(silhouette(tint(gray[chosen], jitter(colours, rng)))),
                                   labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weights", default=reference.HERE / "fashion.safetensors")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--pictures", type=int, default=3, help="of each of the 100 prompts")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--guidance", type=float, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.enable_grad():
        classifier = train_classifier(*load_split(options.data, "train"))

    gray, labels = load_split(options.data, "t10k")
    colours = torch.randint(len(TINTS), (len(gray),), generator=generator(0, 7, 0))
    real = tint(gray, TINTS[colours])
    real_items = classifier(silhouette(real)).argmax(dim=1)
    means = torch.stack([item_colour(real[colours == c]).mean(dim=0) for c in range(len(TINTS))])

    def nearest(rgb):
        return torch.cdist(item_colour(rgb), means).argmin(dim=1)

    pipeline = reference.load_pipeline(options.weights)
    item_right, colour_right = torch.zeros(10), torch.zeros(10)
    for item in range(10):
        prompts = [f"a {colour} {ITEMS[item][0]}" for colour in COLOUR_NAMES] * options.pictures
        seeds = [1000 * item + i for i in range(len(prompts))]
        rgb = pipeline.generate(prompts, seeds, options.steps, options.guidance)
        rgb = rgb.permute(0, 3, 1, 2).float() / 255
        item_right[item] = (classifier(silhouette(rgb)).argmax(dim=1) == item).float().mean()
        wanted = torch.arange(10).repeat(options.pictures)
        colour_right += (nearest(rgb) == wanted).view(options.pictures, 10).float().sum(dim=0)
    per_colour = colour_right / (10 * options.pictures)
    print(json.dumps({
        "pictures": 100 * options.pictures,
        "item_accuracy": round(item_right.mean().item(), 3),
        "item_accuracy_real": round((real_items == labels).float().mean().item(), 3),
        "colour_accuracy": round(per_colour.mean().item(), 3),
        "colour_accuracy_real": round((nearest(real) == colours).float().mean().item(), 3),
        "by_item": {ITEMS[i][0]: round(item_right[i].item(), 2) for i in range(10)},
        "by_colour": {n: round(per_colour[i].item(), 2) for i, n in enumerate(COLOUR_NAMES)},
    }, indent=1))


if __name__ == "__main__":
    main()
