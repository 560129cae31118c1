"""Step 3: how does a network learn to read digits?

A neural network is a long calculation. Ours turns the 784 pixels of a picture into ten numbers, one
for each of the digits 0 to 9. The numbers that it multiplies by and adds are called weights. They
are random at first; training changes them little by little, until most answers are right.

Run it with: python 03_train.py
"""
# %% Settings
import time

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

import common

EPOCHS = 10  # how often the network sees all training digits; more of them take longer
LEARNING_RATE = 0.003  # how far the weights move: smaller is slower, larger is less exact
BATCH_SIZE = 128  # digits in a batch; with larger batches there are fewer updates in an epoch

# %% The network is a stack of layers
# Each layer turns the row of numbers that it gets into a new row. Each number of a Linear layer is
# a sum: every number it gets, times a weight, plus one more weight (the bias). ReLU replaces
# negative numbers by 0. Without it several Linear layers could do no more than one, since sums of
# sums are sums again. The layers between input and output are called hidden: here two, of 256 and
# of 128 numbers. (For other ones change first_network in common.py, not here: step 4 builds the
# same network from there.)
torch.manual_seed(common.SEED)  # the same random numbers in each run
network = common.first_network()
print(network)
number_of_weights = sum(weights.numel() for weights in network.parameters())  # numel: how many
print(f"{number_of_weights:,} weights\n")

# %% One digit by hand: logits, probabilities, loss
# What comes out are ten logits: any numbers, the higher the likelier. Softmax turns them into
# probabilities, ten positive numbers that add up to 1: e to the power of each logit, divided by the
# sum of all ten of these. The digit is one of the validation digits, so it will not be learned.
training_loader, validation_loader = common.training_loaders(BATCH_SIZE)
images, labels = next(iter(validation_loader))  # (1000, 784) and (1000,)
digit, label = images[0], labels[0]  # (784,), and a whole number


def show(logits):
    """Print ten logits, and the probabilities that softmax makes of them"""
    powers = logits.exp()  # e to the power of each
    probabilities = powers / powers.sum()  # PyTorch knows it as logits.softmax(dim=0)
    for name, logit, probability in zip(common.CLASS_NAMES, logits, probabilities):
        print(f"    {name:<11}  logit {logit:6.2f}  probability {probability:6.1%}")
    return probabilities


logits = network(digit)  # through all layers: (784,) -> (10,)
print(f"A {common.CLASS_NAMES[label]}, before training:")
probabilities = show(logits)  # (10,)
print(f"The highest logit is its answer: {common.CLASS_NAMES[logits.argmax()]}")

# How wrong is that? The loss says it in one number: minus the natural logarithm of the probability
# that the right digit got. It is 0 for 100 %, 0.7 for 50 %, and 2.3 for 10 %, which is guessing.
# cross_entropy computes it from the logits: it contains the softmax, so the network ends without.
print(f"The loss by hand:       {-probabilities[label].log():.4f}")
print(f"... with cross_entropy: {cross_entropy(logits, label):.4f}")

# The same for many digits at once. Accuracy is the share of them that are read right; before
# training it is no better than that of guessing.
logits = network(images)  # (1000, 784) -> (1000, 10)
guesses = logits.argmax(dim=1)  # in each row, the place of the highest of the ten: (1000,)
accuracy = (guesses == labels).float().mean()  # True counts as 1, False as 0
print(f"Accuracy before training: {accuracy:.1%}")

# %% One update by hand: how a network learns
# For a whole batch, the loss is the mean of the digits' losses.
batch, batch_labels = next(iter(training_loader))  # (128, 784) and (128,)
loss = cross_entropy(network(batch), batch_labels)
print(f"\nThe loss of one batch: {loss:.4f}")

# PyTorch has recorded how the loss was computed from the weights. backward() goes that way back and
# puts the gradient of each weight into its .grad: how fast the loss would grow if the weight grew.
# Where it is negative, a larger weight would make the loss smaller.
loss.backward()
weights = network[4].weight  # of the last layer, 128 for each of its ten logits: (10, 128)
place = 3, 12  # one of them, of the logit for a 3; any other would do
print(f"One weight: {weights[place]:.6f}, its gradient: {weights.grad[place]:.6f}")

# For the last layer the way back is short. The probability of a 3 should be 1 for a 3, and 0 for
# each other digit. What it is too high by (too low: a negative number), times the number that the
# weight is multiplied by, is the digit's share; the gradient is the mean of all shares.
hidden = network[:4](batch)  # what the last layer gets: (128, 128)
too_high = network[4](hidden).softmax(dim=1)[:, 3] - (batch_labels == 3).float()  # (128,)
print(f"The gradient by hand: {(too_high * hidden[:, 12]).mean():.6f}")

# The update: each weight moves against its gradient, by 0.1 times as much (the learning rate).
with torch.no_grad():  # this calculation is not to be recorded for backward()
    for some_weights in network.parameters():
        some_weights -= 0.1 * some_weights.grad  # changes the weights of the network themselves
print(f"The weight minus 0.1 x its gradient: {weights[place]:.6f}")
loss = cross_entropy(network(batch), batch_labels)
print(f"The loss of the same batch now: {loss:.4f}\n")

# %% The next update, with an optimizer
# An optimizer moves the weights. torch.optim.SGD does it as above. backward() adds to the gradients
# that it finds, so zero_grad() forgets the old ones before; else each batch would have a say in all
# updates after its own.
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
batch, batch_labels = next(iter(training_loader))  # another batch
loss = cross_entropy(network(batch), batch_labels)
optimizer.zero_grad()
loss.backward()
optimizer.step()
loss_after = cross_entropy(network(batch), batch_labels)
print(f"The loss of another batch: {loss:.4f}, and after an update by SGD: {loss_after:.4f}\n")

# %% Training: the same update for every batch, in every epoch
# common.train_one_epoch does it. The optimizer is AdamW, which does more than SGD: it moves all
# weights by similar amounts however small their gradients are, and pulls each a little towards 0
# (weight decay), so that none grows without need. A schedule lowers the learning rate after each
# update, from LEARNING_RATE to 0 along a cosine curve: large moves at first, exact ones at the end.
torch.manual_seed(common.SEED)
network = common.first_network()  # afresh, so that all weights are random again
before = network[:4](images).detach()  # for the map below, without the record: (1000, 128)
network.to(common.DEVICE)
optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.1)
updates = EPOCHS * len(training_loader)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)

training_losses = []
validation_losses = []
print("epoch  training loss  validation loss  validation accuracy  seconds")
for epoch in range(1, EPOCHS + 1):
    start = time.perf_counter()
    training_loss = common.train_one_epoch(network, training_loader, optimizer, schedule)
    validation_loss, accuracy = common.evaluate(network, validation_loader)
    seconds = time.perf_counter() - start
    training_losses.append(training_loss)
    validation_losses.append(validation_loss)
    losses = f"{training_loss:13.4f}  {validation_loss:15.4f}"
    print(f"{epoch:5}  {losses}  {accuracy:19.2%}  {seconds:7.1f}")

after = network[:4](images.to(common.DEVICE)).detach().cpu()  # (1000, 128)

print(f"\nThe same {common.CLASS_NAMES[label]}, after training:")
show(network(digit.to(common.DEVICE)))

# %% Both loss curves
# As long as both curves fall, the network learns what all sevens have in common. Where the training
# loss goes on falling and the validation loss does not, it only learns what is peculiar to the
# training digits. That is called overfitting; step 4 has remedies. (In the first epoch the training
# loss is the higher one: the first batches met a network that had not learned anything yet.)
epochs = range(1, EPOCHS + 1)
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
axis.plot(epochs, training_losses, "o-", label="training")
axis.plot(epochs, validation_losses, "s--", label="validation")
axis.set(title="Loss: lower is better", xlabel="epoch", ylabel="mean cross-entropy")
axis.legend()
common.save_figure(figure, "03_loss_curves.png")

# %% What the hidden layers are for: a map of 1,000 validation digits
# The last hidden layer makes 128 numbers of each digit: a place in a space of 128 dimensions. PCA
# finds the two directions in which the digits are spread widest; these are drawn. Before training
# most of them lie in one cloud; afterwards each kind has a patch of its own, so that the last
# layer, with nothing but sums, can tell them apart. (Patches that lie on each other here are apart
# in another of the 128 dimensions.)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for axis, hidden, title in zip(axes, [before, after], ["before training", "after training"]):
    _, _, directions = torch.pca_lowrank(hidden, 2)  # (128, 2)
    places = hidden @ directions  # (1000, 2)
    for number, name in enumerate(common.CLASS_NAMES):
        x, y = places[labels == number].T
        axis.scatter(x, y, marker=f"${name}$")  # its name for each digit, a colour for each name
    axis.set_title(title)
common.save_figure(figure, "03_map.png")

# %% A file for step 4
common.save_network("first_network.pt", "first", network, validation_accuracy=accuracy)
print(f"Validation accuracy {accuracy:.2%} at the end. Next: python 04_evaluate.py")

# Try this: LEARNING_RATE = 0.1, then 0.00005. How do the curves show that it is too large or small?
# Try this: torch.optim.SGD without weight_decay instead of AdamW, and LEARNING_RATE = 0.1.
# Try this: EPOCHS = 30. From which epoch on does the validation loss no longer fall?
# (Each run replaces outputs/first_network.pt, so let the last one before step 4 be a good one.)
# Write it yourself: common.first_network, train_one_epoch, predict and evaluate.
