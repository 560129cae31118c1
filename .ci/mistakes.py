"""Wrong works, each with one mistake, and right ones that look different

Of each: the file, what stands there once, what takes its place, and for a wrong one the test that
must fail. `python .ci/check_mistakes.py` tries them.
"""
COMMON, LOAD, SHOW, TRAIN, TUNE, SAVE = (
    "common.py", "01_load_data.py", "02_visualize.py", "03_train.py", "04_evaluate.py",
    "05_save.py")

WRONG = [
    # ---- step 1 ----
    (COMMON, "manual_seed(SEED)  # so that", "manual_seed(SEED + batch_size)  # so that",
     "test_the_split_is_always_the_same"),
    (COMMON, "torch.Generator().manual_seed(SEED)  # so that", "torch.Generator()  # so that",
     "test_the_seed_and_nothing_else_chooses_the_split"),
    (COMMON, "torch.Generator().manual_seed(SEED)  # so that", "torch.manual_seed(SEED)  # so that",
     "test_the_seed_and_nothing_else_chooses_the_split"),
    (COMMON, "torch.Generator().manual_seed(SEED)  # so that", "None  # so that",
     "test_the_split_is_always_the_same"),
    (COMMON, "[11 / 12, 1 / 12], generator)", "[1 / 12, 11 / 12], generator)",
     "test_every_training_digit_is_in_exactly_one_of_training_and_validation"),
    (COMMON, "    return training_loader, DataLoader(validation,",
     "    return training_loader, DataLoader(training,",
     "test_every_training_digit_is_in_exactly_one_of_training_and_validation"),
    (COMMON, "    return training_loader, DataLoader(validation,",
     "    return training_loader, DataLoader(load_digits(train=False),",
     "test_every_training_digit_is_in_exactly_one_of_training_and_validation"),
    (COMMON, "DataLoader(training, batch_size, shuffle=True)",
     "DataLoader(training, batch_size, shuffle=True, drop_last=True)",
     "test_every_training_digit_is_in_exactly_one_of_training_and_validation"),
    (COMMON, "random_split(load_digits(train=True), [11 / 12, 1 / 12], generator)",
     """[
        torch.utils.data.Subset(load_digits(train=True), part)
        for part in torch.arange(len(load_digits(train=True))).split(3667)]""",
     "test_the_seed_and_nothing_else_chooses_the_split"),
    (COMMON, "DataLoader(training, batch_size, shuffle=True)", "DataLoader(training, batch_size)",
     "test_training_digits_come_in_a_new_order_each_epoch"),
    (COMMON, "DataLoader(training, batch_size, shuffle=True)",
     "DataLoader(training, 128, shuffle=True)",
     "test_the_training_loader_makes_batches_of_the_size_that_is_asked_for"),
    (COMMON, "DataLoader(load_digits(train=False), batch_size=1000)",
     "DataLoader(load_digits(train=True), batch_size=1000)",
     "test_the_test_loader_gives_each_digit_of_the_test_set"),
    (COMMON, "DataLoader(load_digits(train=False), batch_size=1000)",
     "DataLoader(load_digits(train=False))",
     "test_the_test_loader_gives_each_digit_of_the_test_set"),
    (COMMON, "DataLoader(load_digits(train=False), batch_size=1000)",
     "DataLoader(load_digits(train=False), 1000, shuffle=True)",
     "test_the_test_loader_gives_each_digit_of_the_test_set"),
    (COMMON, "DataLoader(load_digits(train=False), batch_size=1000)",
     "DataLoader(load_digits(train=False), 300, drop_last=True)",
     "test_the_test_loader_gives_each_digit_of_the_test_set"),
    (COMMON, "MEAN, STD = 0.1307, 0.3081", "MEAN, STD = 0.3081, 0.1307",
     "test_images_are_784_normalized_numbers"),
    (COMMON, "v2.Normalize([MEAN], [STD])", "v2.Normalize([0.5], [0.5])",
     "test_images_are_784_normalized_numbers"),
    (COMMON, "v2.ToDtype(torch.float32, scale=True),  # decimals",
     "v2.ToDtype(torch.float32),  # decimals",
     "test_images_are_784_normalized_numbers"),
    (COMMON, "    nn.Flatten(start_dim=-3),\n", "    nn.Flatten(start_dim=-2),\n",
     "test_one_picture_becomes_784_numbers_row_by_row"),
    (COMMON, "    v2.ToImage(),  # whole",
     "    v2.ToImage(),\n    v2.RandomRotation(10),  # whole",
     "test_every_training_digit_is_in_exactly_one_of_training_and_validation"),
    (COMMON, "raw.data.unsqueeze(1)", "raw.data.mT.unsqueeze(1)",
     "test_every_training_digit_is_in_exactly_one_of_training_and_validation"),
    (COMMON, "transform(pictures), raw.targets)", "transform(pictures), raw.targets.flip(0))",
     "test_labels_still_belong_to_their_images"),
    (COMMON, "transform(pictures), raw.targets)", "transform(pictures), raw.targets.float())",
     "test_images_are_784_normalized_numbers"),
    (COMMON, "transform(pictures), raw.targets)",
     "transform(pictures), torch.eye(10)[raw.targets])",
     "test_labels_still_belong_to_their_images"),
    # ---- step 2 ----
    (COMMON, "(flat * STD + MEAN) * 255", "((flat + MEAN) * STD) * 255",
     "test_the_inverse_restores_every_pixel"),
    (COMMON, "pixels.round().to(", "pixels.to(", "test_the_inverse_restores_every_pixel"),
    (COMMON, ".to(torch.uint8).unflatten", ".unflatten", "test_the_inverse_restores_every_pixel"),
    (COMMON, ".to(torch.uint8).unflatten", ".int().unflatten",
     "test_the_inverse_restores_every_pixel"),
    (COMMON, ".unflatten(-1, (28, 28))\n", ".reshape(-1, 28, 28)\n",
     "test_the_inverse_restores_every_pixel"),
    (COMMON, ".unflatten(-1, (28, 28))\n", ".unflatten(-1, (28, 28)).mT\n",
     "test_the_inverse_restores_every_pixel"),
    (COMMON, "pixels = (flat * STD + MEAN) * 255", "pixels = flat.mul_(STD).add_(MEAN) * 255",
     "test_the_inverse_restores_every_pixel"),
    (SHOW, "for label in labels]", "for label in labels.flip(0)]",
     "test_a_figure_shows_training_digits_upright_and_with_their_labels"),
    (SHOW, "draw_digits(pictures[:32],", "draw_digits(pictures[:32].flip(2),",
     "test_a_figure_shows_training_digits_upright_and_with_their_labels"),
    (SHOW, "draw_digits(pictures[:32],", "draw_digits(pictures[:32].flip(1),",
     "test_a_figure_shows_training_digits_upright_and_with_their_labels"),
    (SHOW, "training_digits, training_labels = training_loader.dataset[:]",
     "training_digits, training_labels = validation_loader.dataset[:]",
     "test_a_first_reading_is_judged_by_other_digits_than_it_has_learned"),
    (SHOW, "digits, right_answers = validation_loader.dataset[:]",
     "digits, right_answers = training_loader.dataset[:]",
     "test_a_first_reading_is_judged_by_other_digits_than_it_has_learned"),
    (SHOW, "common.save_figure(figure, \"02_counts.png\")",
     "common.save_figure(plt.figure(), \"02_counts.png\")",
     "test_the_script_draws_its_four_figures"),
    # ---- step 3: the network ----
    (COMMON, "nn.Linear(784, width),  # (batch, 784) -> (batch, 256)\n        nn.ReLU(),",
     "nn.Linear(784, width),",
     "test_there_is_a_non_linearity_after_each_hidden_layer"),
    (COMMON, "nn.Linear(width, width // 2),  # -> (batch, 128)\n        nn.ReLU(),",
     "nn.Linear(width, width // 2),",
     "test_there_is_a_non_linearity_after_each_hidden_layer"),
    (COMMON, "        nn.Linear(width // 2, 10),  # -> (batch, 10)\n",
     "        nn.Linear(width // 2, 10),\n        nn.ReLU(),\n",
     "test_the_first_network_gives_ten_plain_logits_for_each_digit"),
    (COMMON, "        nn.Linear(width // 2, 10),  # -> (batch, 10)\n",
     "        nn.Linear(width // 2, 10),\n        nn.Softmax(dim=1),\n",
     "test_the_first_network_gives_ten_plain_logits_for_each_digit"),
    (COMMON, "        nn.Linear(width, width // 2),  # -> (batch, 128)\n        nn.ReLU(),\n"
     "        nn.Linear(width // 2, 10),", "        nn.Linear(width, 10),",
     "test_the_first_network_has_two_hidden_layers"),
    (COMMON, "nn.Linear(width // 2, 10),  # -> (batch, 10)",
     "nn.Linear(width // 2, 11),", "test_the_first_network_gives_ten_plain_logits_for_each_digit"),
    (COMMON, "first_network(width=256):\n",
     "first_network(width=256):\n    width = 256\n",
     "test_the_first_network_is_as_wide_as_is_asked_for"),
    # ---- step 3: the loop ----
    (COMMON, "        optimizer.zero_grad()  # forget", "        # forget",
     "test_gradients_do_not_pile_up_from_batch_to_batch"),
    (COMMON, "        optimizer.step()  # move", "        # move",
     "test_an_epoch_changes_every_weight"),
    (COMMON, "        loss.backward()  # one", "        # one",
     "test_an_epoch_changes_every_weight"),
    (COMMON, "    network.train()\n", "",
     "test_an_epoch_shows_each_batch_in_training_mode"),
    (COMMON, "    return sum(losses) / len(losses)", "    return losses[-1]",
     "test_an_epoch_returns_the_mean_loss_as_a_number"),
    (COMMON, "    return sum(losses) / len(losses)", "    return sum(losses)",
     "test_an_epoch_returns_the_mean_loss_as_a_number"),
    (COMMON, "        losses.append(loss.item())", "        losses.append(loss.detach())",
     "test_an_epoch_returns_the_mean_loss_as_a_number"),
    (COMMON, "        losses.append(loss.item())\n    return",
     "        losses.append(loss.item())\n        return",
     "test_an_epoch_shows_each_batch_in_training_mode"),
    (COMMON, ", label_smoothing=smoothing)  # how", ")  # how",
     "test_an_epoch_uses_smoothing_and_augment"),
    (COMMON, "            images = augment(images)", "            augment(images)",
     "test_an_epoch_uses_smoothing_and_augment"),
    (COMMON, "        if schedule:\n            schedule.step()  # the",
     "    if schedule:\n        schedule.step()  # the\n    for _ in []:  # the",
     "test_an_epoch_moves_the_schedule_once_for_each_batch"),
    (COMMON, "logits = network(images.to(DEVICE))  # (batch", "logits = network(images)  # (batch",
     "test_the_digits_are_taken_to_the_device_of_the_network"),
    (COMMON, "labels.to(DEVICE), label_smoothing", "labels, label_smoothing",
     "test_the_digits_are_taken_to_the_device_of_the_network"),
    (COMMON, "cross_entropy(logits, labels.to(DEVICE)",
     "cross_entropy(logits.softmax(dim=1), labels.to(DEVICE)",
     "test_an_epoch_returns_the_mean_loss_as_a_number"),
    # ---- step 3: reading ----
    (COMMON, "@torch.no_grad()  # record", "# record",
     "test_evaluation_switches_dropout_batch_norm_and_gradients_off"),
    (COMMON, "    network.eval()\n    all_logits", "    all_logits",
     "test_evaluation_switches_dropout_batch_norm_and_gradients_off"),
    (COMMON, "network(images.to(DEVICE)).cpu())", "network(images).cpu())",
     "test_the_digits_are_taken_to_the_device_of_the_network"),
    (COMMON, "network(images.to(DEVICE)).cpu())", "network(images.to(DEVICE)))",
     "test_the_digits_are_taken_to_the_device_of_the_network"),
    (COMMON, "return torch.cat(all_logits), torch.cat(all_labels)",
     "return torch.cat(all_labels), torch.cat(all_logits)",
     "test_predict_gives_the_logits_and_labels_of_all_digits"),
    (COMMON, "return torch.cat(all_logits), torch.cat(all_labels)",
     "return all_logits[-1], all_labels[-1]",
     "test_predict_gives_the_logits_and_labels_of_all_digits"),
    (COMMON, "return loss.item(), right.float().mean().item()", "return loss, right.float().mean()",
     "test_evaluate_gives_the_mean_loss_and_the_share_of_right_answers"),
    (COMMON, "return loss.item(), right.float().mean().item()",
     "return right.float().mean().item(), loss.item()",
     "test_evaluate_gives_the_mean_loss_and_the_share_of_right_answers"),
    (COMMON, "return loss.item(), right.float().mean().item()",
     "return loss.item(), 100 * right.float().mean().item()",
     "test_evaluate_gives_the_mean_loss_and_the_share_of_right_answers"),
    (COMMON, "logits, labels = predict(network, loader)\n    loss = cross_entropy(logits, labels)",
     "logits, labels = predict(network, loader)\n    loss = cross_entropy(labels, logits)",
     "test_evaluate_gives_the_mean_loss_and_the_share_of_right_answers"),
    (COMMON, "right = logits.argmax(dim=1) == labels", "right = logits.argmin(dim=1) == labels",
     "test_evaluate_gives_the_mean_loss_and_the_share_of_right_answers"),
    # ---- step 3: the script ----
    (TRAIN, "common.evaluate(network, validation_loader)",
     "common.evaluate(network, training_loader)", "test_the_validation_accuracy_is_true"),
    (TRAIN, "train_one_epoch(network, training_loader,",
     "train_one_epoch(network, validation_loader,",
     "test_no_network_learns_from_validation_digits"),
    (TRAIN, "training_loss = common.train_one_epoch(",
     "common.train_one_epoch(network, validation_loader, optimizer)\n"
     "    training_loss = common.train_one_epoch(",
     "test_no_network_learns_from_validation_digits"),
    (TRAIN, "axis.plot(epochs, validation_losses,", "axis.plot(epochs, training_losses,",
     "test_both_loss_curves_are_drawn"),
    (TRAIN, '''training_losses, "o-", label="training")
axis.plot(epochs, validation_losses, "s--",''', '''validation_losses, "o-", label="training")
axis.plot(epochs, training_losses, "s--",''',
     "test_both_loss_curves_are_drawn"),
    (TRAIN, "validation_losses.append(validation_loss)",
     "validation_losses.append(training_loss * 1.1)",
     "test_both_loss_curves_are_drawn"),
    (TRAIN, 'save_network("first_network.pt", "first", network,',
     'save_network("first_network.pt", "first", common.first_network(),',
     "test_the_script_trains_a_network_that_reads_digits"),
    (TRAIN, "torch.manual_seed(common.SEED)\nnetwork", "torch.seed()\nnetwork",
     "test_the_script_trains_the_same_network_whatever_the_test_digits"),
    (TRAIN, "AdamW(network.parameters(), lr=LEARNING_RATE",
     "AdamW(common.first_network().to(common.DEVICE).parameters(), lr=LEARNING_RATE",
     "test_the_script_trains_a_network_that_reads_digits"),
    (TRAIN, "LEARNING_RATE = 0.003", "LEARNING_RATE = 3",
     "test_the_script_trains_a_network_that_reads_digits"),
    (TRAIN, "network, validation_accuracy=accuracy)", "network, validation_accuracy=0.98)",
     "test_the_validation_accuracy_is_true"),
    # ---- step 4 ----
    (COMMON, """        nn.Linear(784, width),  # (batch, 784) -> (batch, 256)
        nn.ReLU(),
        nn.Linear(width, width // 2),  # -> (batch, 128)
        nn.ReLU(),
        nn.Linear(width // 2, 10),""", """        nn.Linear(784, 4),
        nn.ReLU(),
        nn.Linear(4, width),
        nn.ReLU(),
        nn.Linear(width, 10),""", "test_the_first_network_reaches_the_threshold"),
    (COMMON, "nn.Unflatten(1, (1, 28, 28)),  # (batch, 784) -> (batch, 1, 28, 28)",
     "nn.Unflatten(1, (28, 28)),",
     "test_a_convolutional_network_gives_ten_plain_logits_for_each_digit"),
    (COMMON, "        nn.BatchNorm2d(32),\n        nn.ReLU(),", "        nn.BatchNorm2d(32),",
     "test_a_convolutional_network_has_a_non_linearity_after_each_hidden_layer"),
    (COMMON, "        nn.BatchNorm2d(128),\n        nn.ReLU(),", "        nn.BatchNorm2d(128),",
     "test_a_convolutional_network_has_a_non_linearity_after_each_hidden_layer"),
    (COMMON, "        nn.Linear(512, 10),  # -> (batch, 10)\n",
     "        nn.Linear(512, 10),\n        nn.LogSoftmax(dim=1),\n",
     "test_a_convolutional_network_gives_ten_plain_logits_for_each_digit"),
    (TUNE, "    torch.manual_seed(common.SEED)\n    loader",
     "    torch.seed()\n    loader",
     "test_the_test_digits_play_no_part_in_training_and_choosing"),
    (TUNE, "for image, label in validation_digits]",
     "for image, label in common.load_digits(train=False)]",
     "test_the_candidates_are_judged_on_validation_digits"),
    (TUNE, "for image, label in validation_digits]", "for image, label in training_loader.dataset]",
     "test_the_candidates_are_judged_on_validation_digits"),
    (TUNE, "network = train(training_loader.dataset, **settings)",
     "network = train(common.load_digits(train=True), **settings)",
     "test_the_candidates_learn_from_training_digits_alone"),
    (TUNE, "network = train(training_loader.dataset, **settings)",
     "network = train(validation_digits, **settings)",
     "test_the_candidates_learn_from_training_digits_alone"),
    (TUNE, "best = max(accuracies", "best = min(accuracies", "test_the_best_candidate_was_taken"),
    (TUNE, 'settings = CANDIDATES[best] | {"epochs": EPOCHS}',
     'settings = CANDIDATES["  512 and 256 wide"] | {"epochs": EPOCHS}',
     "test_the_best_candidate_was_taken"),
    (TUNE, 'settings["name"], tuned)', 'settings["name"], network)',
     "test_the_printed_test_accuracy_was_computed"),
    (TUNE, "{1 - wrong.float().mean():.2%}", "99.65 %",
     "test_the_printed_test_accuracy_was_computed"),
    (TUNE, "common.predict(tuned, common.test_loader())",
     "common.predict(tuned, validation_loader)",
     "test_the_printed_test_accuracy_was_computed"),
    (TUNE, "random_move = v2.RandomAffine(", "random_move = v2.Compose([\n"
     "    v2.RandomHorizontalFlip(), v2.RandomAffine(0)])\nunused = v2.RandomAffine(",
     "test_no_network_has_learned_mirrored_digits"),
    (TUNE, "optimizer, schedule, smoothing, augment)",
     "optimizer, schedule, smoothing, augment and (\n"
     "            lambda images: v2.RandomHorizontalFlip()(\n"
     "                augment(images).unflatten(1, (28, 28))).flatten(1)))",
     "test_no_network_has_learned_mirrored_digits"),
    (TUNE, "random_move = v2.RandomAffine(", "random_move = v2.Compose([\n"
     "    v2.RandomVerticalFlip(), v2.RandomAffine(0)])\nunused = v2.RandomAffine(",
     "test_no_network_has_learned_mirrored_digits"),
    (TUNE, "    degrees=6,", "    degrees=180,",
     "test_no_network_has_learned_mirrored_digits"),
    (TUNE, "# %% The winner, trained for longer",
     "common.evaluate(first, common.test_loader())\n# %% The winner, trained for longer",
     "test_the_test_digits_come_last"),
    (TUNE, "        if epochs > 1:  # it takes a while",
     "        common.evaluate(network, common.test_loader())\n"
     "        if epochs > 1:  # it takes a while", "test_the_test_digits_come_last"),
    (TUNE, '"smoothing": 0.1},\n    "  ... and', '"smoothing": 0.0},\n    "  ... and',
     "test_no_two_candidates_end_with_the_same_weights"),
    (TUNE, "    network = common.NETWORKS[name]().to(common.DEVICE)\n",
     "    network = train.__dict__.setdefault(name, common.NETWORKS[name]().to(common.DEVICE))\n",
     "test_each_candidate_is_a_new_network"),
    (TUNE, 'common.save_figure(figure, "04_confusion_matrix.png")',
     'common.save_figure(plt.figure(), "04_confusion_matrix.png")', "test_three_figures_are_drawn"),
    (TUNE, "smoothing=0.0, augment=None, epochs=1):\n",
     "smoothing=0.0, augment=None, epochs=1):\n    name = name.replace('convolutional', 'first')\n",
     "test_the_best_candidate_was_taken"),
    # ---- step 5: files ----
    (SAVE, 'facts["network"], tuned, test_accuracy',
     'facts["network"], common.NETWORKS[facts["network"]](), test_accuracy',
     "test_the_file_gives_the_same_logits_as_the_tuned_network"),
    (SAVE, "tuned, test_accuracy=accuracy)", "tuned, test_accuracy=before)",
     "test_the_file_says_how_good_the_network_is"),
    (COMMON, "    return network.eval(), contents", "    return network.train(), contents",
     "test_the_network_is_loaded_in_evaluation_mode"),
    (COMMON, "map_location=DEVICE, weights_only=True)\n        build",
     "map_location=DEVICE, weights_only=False)\n        build",
     "test_a_damaged_file_is_a_line_that_says_what_to_run"),
    (COMMON, "network.load_state_dict(contents",
     "network.load_state_dict(strict=False, state_dict=contents",
     "test_a_damaged_file_is_a_line_that_says_what_to_run"),
    (COMMON, "    except Exception:  # there is", "    except EOFError:  # there is",
     "test_a_damaged_file_is_a_line_that_says_what_to_run"),
    # ---- step 5: one digit ----
    (SAVE, "np.argwhere(small).mean(axis=0) - 14",
     "(np.argwhere(small).max(axis=0) + np.argwhere(small).min(axis=0)) / 2 - 14",
     "test_as_mnist_makes_28_x_28_and_keeps_the_proportions"),
    (SAVE, "top, left = np.argwhere", "left, top = np.argwhere",
     "test_as_mnist_makes_28_x_28_and_keeps_the_proportions"),
    (SAVE, "[max(1, round(scale * side)) for side in digit.size]", "(20, 20)",
     "test_as_mnist_makes_28_x_28_and_keeps_the_proportions"),
    (SAVE, "digit = ink.crop(ink.getbbox())", "digit = ink",
     "test_as_mnist_makes_28_x_28_and_keeps_the_proportions"),
    (SAVE, "return ImageOps.autocontrast(centred, cutoff=(0, 4))", "return centred",
     "test_as_mnist_keeps_thin_strokes_and_makes_them_clear"),
    (SAVE, """    small = digit.resize([max(1, round(scale * side)) for side in digit.size])
    top, left = np.argwhere(small).mean(axis=0) - 14
    centred = small.crop((left, top, left + 28, top + 28))  # with 0 around it
    return ImageOps.autocontrast(centred, cutoff=(0, 4))""",
     """    digit = ImageOps.autocontrast(digit, cutoff=(0, 4))
    small = digit.resize([max(1, round(scale * side)) for side in digit.size])
    top, left = np.argwhere(small).mean(axis=0) - 14
    return small.crop((left, top, left + 28, top + 28))""",
     "test_as_mnist_keeps_thin_strokes_and_makes_them_clear"),
    (SAVE, "max(1, round(scale * side)) for", "round(scale * side) for",
     "test_as_mnist_keeps_thin_strokes_and_makes_them_clear"),
    (SAVE, "mean(axis=0) - 14\n", "mean(axis=0) - 10\n",
     "test_as_mnist_makes_28_x_28_and_keeps_the_proportions"),
    (SAVE, "    digit = ink.crop(ink.getbbox())\n",
     "    return ImageOps.pad(ink.crop(ink.getbbox()), (28, 28))\n"
     "    digit = ink.crop(ink.getbbox())\n",
     "test_as_mnist_makes_28_x_28_and_keeps_the_proportions"),
    # ---- step 5: pages ----
    (SAVE, "ImageOps.exif_transpose(Image.open(path))", "Image.open(path)",
     "test_pages_are_read_row_by_row"),
    (SAVE, '    picture = picture.convert("RGBA")\n', '    return picture.convert("RGB")\n',
     "test_pages_are_read_row_by_row"),
    (SAVE, "    if (darker**3).sum() < 0:", "    if False:", "test_pages_are_read_row_by_row"),
    (SAVE, "def keep_digits(pieces):\n", '''def keep_digits(pieces):
    for piece in list(pieces):  # holes
        hole = piece.point(lambda pixel: 255 * (pixel > 60))
        ImageDraw.floodfill(hole, (0, 0), 255)
        hole = ImageOps.invert(hole)
        if hole.getbbox():
            pieces.append(hole)
''', "test_pages_are_read_row_by_row"),
    (SAVE, "is_ink = max_pool2d(is_ink, 2, ceil_mode=True)  # half",
     "is_ink = torch.nn.functional.interpolate(is_ink[None], size=[\n"
     "        -(-side // 2) for side in is_ink.shape[1:]])[0]  # half",
     "test_pages_are_read_row_by_row"),
    (SAVE, "if 0.4 < height / usual < 2]", "if 0.8 < height / usual < 2]",
     "test_pages_are_read_row_by_row"),
    (SAVE, "key=lambda row: row[0].getbbox()[1])", "key=lambda row: -row[0].getbbox()[1])",
     "test_pages_are_read_row_by_row"),
    (SAVE, "for digit in sorted(digits, key=Image.Image.getbbox):", "for digit in digits:",
     "test_pages_are_read_row_by_row"),
    (SAVE, "    return top < (right_top + right_bottom) / 2 < bottom", "    return True",
     "test_pages_are_read_row_by_row"),
    (SAVE, "common.transform(picture) for picture in pictures]",
     "pil_to_tensor(picture).flatten() / 255 for picture in pictures]",
     "test_a_digit_of_mnist_is_read_as_it_is"),
    (SAVE, "    except (OSError,", "    except (EOFError,",
     "test_what_cannot_be_read_gets_a_line_and_exit_code_1"),
    (SAVE, "        failed = True\n", "", "test_what_cannot_be_read_gets_a_line_and_exit_code_1"),
    (SAVE, "        failed = True\n        continue", "        failed = True\n        break",
     "test_what_cannot_be_read_gets_a_line_and_exit_code_1"),
    (SAVE, '        raise ValueError("there is no digit in it")', "        return [[ink]]",
     "test_what_cannot_be_read_gets_a_line_and_exit_code_1"),
]

RIGHT = {
    "SGD with momentum": [
        (TUNE, "torch.optim.AdamW(network.parameters(), weight_decay=0.1)",
         "torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True)"),
        (TUNE, "learning_rate=0.01,", "learning_rate=0.1,"),
        (TUNE, '"learning_rate": 0.001}', '"learning_rate": 0.01}')],
    "ReLU in place": [
        (COMMON, "(batch, 256)\n        nn.ReLU(),",
         "(batch, 256)\n        nn.ReLU(inplace=True),"),
        (COMMON, "nn.BatchNorm2d(16),\n        nn.ReLU(),",
         "nn.BatchNorm2d(16),\n        nn.ReLU(inplace=True),")],
    "GELU, three hidden layers with layer normalization, in a class": [
        (COMMON, "def first_network(width=256):\n", '''class Network(nn.Module):
    def __init__(self, width=256):
        super().__init__()
        self.one = nn.Linear(784, width)
        self.norm = nn.LayerNorm(width)
        self.two = nn.Linear(width, width // 2)
        self.three = nn.Linear(width // 2, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, images):
        hidden = nn.functional.gelu(self.norm(self.one(images)))
        hidden = nn.functional.gelu(self.two(hidden))
        return self.out(nn.functional.gelu(self.three(hidden)))

    def __getitem__(self, part):  # as the script asks for
        if part == 4:
            return nn.Sequential(nn.GELU(), self.three, nn.GELU(), self.out)
        return nn.Sequential(self.one, self.norm, nn.GELU(), self.two)


def first_network(width=256):
    return Network(width)
    \n'''),
        (TRAIN, "weights = network[4].weight", "weights = network.out.weight")],
    "another split, its seed as a default": [
        (COMMON, "def training_loaders(batch_size=128):",
         "def training_loaders(batch_size=128, seed=SEED):"),
        (COMMON, "    generator = torch.Generator().manual_seed(SEED)  # so", "    # so"),
        (COMMON, "training, validation = random_split("
         "load_digits(train=True), [11 / 12, 1 / 12], generator)",
         "digits = load_digits(train=True)\n"
         "    order = np.random.default_rng(seed).permutation(len(digits))\n"
         "    training = torch.utils.data.Subset(digits, order[len(order) // 5:])\n"
         "    validation = torch.utils.data.Subset(digits, order[:len(order) // 5])")],
    "evaluation in one loop, without predict": [
        (COMMON, "    logits, labels = predict(network, loader)\n", '''    network.eval()
    loss = right = count = 0
    with torch.inference_mode():
        for images, labels in loader:
            labels = labels.to(DEVICE)
            logits = network(images.to(DEVICE))
            loss += cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
    return loss / count, right / count
''')],
    "the device of the network, numpy's mean, gradients clipped": [
        (COMMON, "    losses = []\n",
         "    losses = []\n    device = next(network.parameters()).device\n"),
        (COMMON, "network(images.to(DEVICE))  # (batch", "network(images.to(device))  # (batch"),
        (COMMON, "labels.to(DEVICE), label", "labels.to(device), label"),
        (COMMON, "        optimizer.step()  # move",
         "        nn.utils.clip_grad_norm_(network.parameters(), 5)\n"
         "        optimizer.step()  # move"),
        (COMMON, "return sum(losses) / len(losses)", "return np.mean(losses)")],
    "a tensor by hand in an optimizer": [
        (TRAIN, "# %% Training: the same update", """by_hand = torch.ones(3, requires_grad=True)
by_hand.sum().backward()
torch.optim.SGD([by_hand], lr=0.1).step()
# %% Training: the same update""")],
    "the winner is not trained again": [
        (TUNE, "tuned = train(common.load_digits(train=True), **settings)",
         "tuned = train(training_loader.dataset, **CANDIDATES[best])")],
    "the middle of the ink weighted by its darkness, Lanczos": [
        (SAVE, "top, left = np.argwhere(small).mean(axis=0) - 14",
         "weights = np.asarray(small) / np.asarray(small).sum()\n"
         "    top = (weights.sum(axis=1) * np.arange(len(weights))).sum() - 14\n"
         "    left = (weights.sum(axis=0) * np.arange(weights.shape[1])).sum() - 14"),
        (SAVE, "for side in digit.size])", "for side in digit.size], Image.LANCZOS)")],
    "another transform": [
        (COMMON, "    nn.Flatten(start_dim=-3),\n",
         "    v2.Lambda(lambda picture: picture.flatten(-3)),\n"),
        (COMMON, "v2.Normalize([MEAN], [STD])", "v2.Normalize((MEAN,), (STD,))")],
    "digits found by empty rows and columns": [
        (SAVE, "    pieces = find_pieces(ink)\n", '''    is_ink = np.asarray(ink) >= INK
    rows = []
    for top, bottom in runs(is_ink.any(axis=1)):
        row = []
        for left, right in runs(is_ink[top:bottom].any(axis=0)):
            digit = Image.new("L", ink.size)
            digit.paste(ink.crop((left, top, right, bottom)), (left, top))
            if right - left < 3 * (bottom - top):
                row.append(digit)
        if row:
            rows.append(row)
    if not rows:
        raise ValueError("there is no digit in it")
    return rows
    pieces = find_pieces(ink)
'''),
        (SAVE, "def find_digits(picture):\n", '''def runs(has_ink):
    changes = np.diff(np.pad(has_ink, 1).astype(int))
    return changes.nonzero()[0].reshape(-1, 2).tolist()


def find_digits(picture):
''')],
    "an MLP is the winner": [
        (TUNE, '''    "convolutional": {"name": "convolutional"},
    "  label smoothing": {"name": "convolutional", "smoothing": 0.1},
    "  ... and augmentation": {"name": "convolutional", "smoothing": 0.1, "augment": move_digits},
''', '''    "smoothing": {"name": "first, wider", "smoothing": 0.1},
    "  augmentation": {"name": "first, wider", "smoothing": 0.1, "augment": move_digits},
    "  slower": {"name": "first, wider", "augment": move_digits, "learning_rate": 0.002},
'''), (TUNE, "EPOCHS = 8", "EPOCHS = 20")],
}
