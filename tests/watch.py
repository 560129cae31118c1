"""Run a script, and keep what a test cannot see from outside: python watch.py script

watched.pt holds the weights of each network that was trained, in the order in which they were
begun, the small pictures that each figure shows, and the number of validation digits.
"""
import runpy
import sys

import matplotlib.pyplot as plt
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

trained = {}


def remember(optimizer, arguments, keywords):
    """Called by PyTorch after each update of any optimizer"""
    weights = optimizer.param_groups[0]["params"]
    trained[id(weights[0])] = weights


def small_pictures(figure):
    pictures = []
    for axis in figure.axes:
        for image in axis.images:
            pixels = torch.tensor(image.get_array().tolist())
            if pixels.numel() == 784:
                pictures.append(pixels.float().flatten())
    return pictures


register_optimizer_step_post_hook(remember)
sys.path.insert(0, ".")
runpy.run_path(sys.argv[1], run_name="__main__")

import common  # noqa: E402  (the script's own, which it has imported before)

networks = []
for weights in trained.values():
    networks.append(torch.cat([weight.detach().cpu().flatten() for weight in weights]))
figures = [small_pictures(plt.figure(number)) for number in plt.get_fignums()]
_, validation_loader = common.training_loaders()
number = sum(len(labels) for _, labels in validation_loader)
torch.save({"networks": networks, "figures": figures, "validation": number}, "watched.pt")
