"""Step 3: how does a network learn to read digits?

A network with two hidden layers (those between input and output) guesses, is told how wrong it was (the loss), and
moves its weights (the numbers it multiplies by and those it adds) a little: that is training.
Run it with: python 03_train.py
"""
# %% Settings
import time

import matplotlib.pyplot as plt
import torch

import common

EPOCHS = 12  # how often every digit is shown; more of them take longer and in the end learn the digits by heart
LEARNING_RATE = 0.003  # scale of a step, at its highest; too small is slow, too large destroys what was learned
BATCH_SIZE = 128  # digits a step; larger batches make fewer and smoother steps

# %% Digits and network
torch.manual_seed(common.SEED)
training_loader, validation_loader = common.training_loaders(BATCH_SIZE)
network = common.first_network().to(common.DEVICE)
print(network)  # Linear: weighted sums; ReLU: negative ones become 0
print(f"{sum(weights.numel() for weights in network.parameters()):,} weights\n")


# %% What comes out: ten logits
# A logit is any number, higher for a digit that the network thinks more likely. Softmax turns ten of them into
# probabilities that add up to 1. It is not a layer of the network, because the loss (cross_entropy) contains it already
# and computes it more exactly together with its logarithm. To choose a digit the largest logit is enough.
def show_probabilities(when):
    logits, labels = common.predict(network, validation_loader)  # (5000, 10) and (5000,)
    probabilities = logits[0].softmax(dim=0)
    shown = "  ".join(f"{name}: {p:.1%}" for name, p in zip(common.CLASS_NAMES, probabilities))
    print(f"{when} training, a validation digit labelled {common.CLASS_NAMES[labels[0]]}:  {shown}\n")


show_probabilities("Before")

# %% Training
# AdamW gives every weight a step length of its own, and pulls all of them a little towards 0. The schedule sets its
# learning rate anew for each batch; it rises to LEARNING_RATE and falls to nearly 0: first careful, then quick, at last
# exact. One epoch, line by line, is train_one_epoch in common.py.
optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.1)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=EPOCHS * len(training_loader))
training_losses, validation_losses, accuracies = [], [], []
print("epoch  training loss  validation loss  validation accuracy  seconds")
for epoch in range(1, EPOCHS + 1):
    start = time.perf_counter()
    training_losses.append(common.train_one_epoch(network, training_loader, optimizer, schedule))
    validation_loss, accuracy = common.evaluate(network, validation_loader)
    validation_losses.append(validation_loss)
    accuracies.append(accuracy)
    print(f"{epoch:5}  {training_losses[-1]:13.4f}  {validation_loss:15.4f}  {accuracy:19.2%}  "
          f"{time.perf_counter() - start:7.1f}")
print()
show_probabilities("After")

# %% Both loss curves
# While both fall, the network learns what digits have in common. Where the training loss falls and the validation
# loss does not, it learns the training digits by heart: overfitting. Step 4 has remedies. (At first the training loss
# is the higher one, because it is averaged while the weights still improve.)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
epochs = range(1, EPOCHS + 1)
left.plot(epochs, training_losses, "o-", label="training")
left.plot(epochs, validation_losses, "s--", label="validation")
left.set(title="Loss: lower is better", xlabel="epoch", ylabel="mean cross-entropy", xticks=epochs)
left.legend()
right.plot(epochs, [100 * accuracy for accuracy in accuracies], "s--", color="tab:orange")
right.set(title="Validation accuracy: higher is better", xlabel="epoch", ylabel="read right (%)", xticks=epochs)
common.save_figure(figure, "03_loss_curves.png")

# %% A file for step 4
if accuracies[-1] < 0.2:
    raise SystemExit("The network has learned next to nothing and is not saved: change LEARNING_RATE.")
common.save_network("first_network.pt", "first", network, validation_accuracy=accuracies[-1])
print(f"Validation accuracy {accuracies[-1]:.2%} in {EPOCHS} epochs. Next: python 04_evaluate.py")

# Try this: LEARNING_RATE = 0.1, then 0.00005. How do the two curves tell you that it is too large or too small?
# Try this: EPOCHS = 30. When do the two curves part?
