"""Mistakes that people really make: one of them is planted into the course of a hunt

Of each: the step whose tests see it, the file, its line, the wrong line, what can be seen when the
scripts run, and what the tests name.
"""
MISTAKES = [
    (3, "common.py",
     "        optimizer.zero_grad()  # forget the last batch's gradients: backward() adds to what "
     "it finds\n", "",
     "step 3: the loss stays at 2.3, although each of the two updates by hand made it lower",
     "zero_grad()"),
    (5, "05_save.py", "digit = ink.crop(ink.getbbox())", "digit = ink",
     "step 5: in 05_one_digit.png the digit as MNIST's is as small as the one only shrunk", "crop"),
    (1, "common.py", "MEAN, STD = 0.1307, 0.3081", "MEAN, STD = 0.3081, 0.1307",
     "step 1: mean and deviation of all pixels are not those in common.py", "MEAN and STD"),
    (3, "common.py", "loss = cross_entropy(logits, labels.to(DEVICE)",
     "loss = cross_entropy(logits.softmax(dim=1), labels.to(DEVICE)",
     "step 3: the training loss stays above 1.46, far from the validation loss", "plain logits"),
    (1, "common.py", "DataLoader(training, batch_size, shuffle=True)",
     "DataLoader(training, batch_size)",
     "step 3: another batch has exactly the loss that the same batch had last", "shuffle"),
    (1, "common.py", "DataLoader(validation, batch_size=1000)",
     "DataLoader(load_digits(train=False), batch_size=1000)",
     "step 1: there are 10,000 validation digits, not 5,000", "train=False"),
    (1, "common.py", "TensorDataset(transform(pictures), raw.targets)",
     "TensorDataset(transform(pictures), raw.targets.roll(1))",
     "step 2: the digits have the titles of others; step 3: the loss stays at 2.3", "labels"),
    (3, "03_train.py", "LEARNING_RATE = 0.003", "LEARNING_RATE = 3",
     "step 3: the first losses are enormous, and few digits are read", "learning rate"),
    (3, "common.py", "        if schedule:\n", "        if schedule and not losses:\n",
     "step 3: the losses still go up and down in the last epochs, and 97.3 % are read, not 98.2 %",
     "schedule.step()"),
    (2, "common.py", "return pixels.round().to(torch.uint8).unflatten(-1, (28, 28))",
     "return pixels.round().to(torch.uint8).unflatten(-1, (28, 28)).flip(-1)",
     "step 2: the digits are drawn as in a mirror", "inverse"),
]
