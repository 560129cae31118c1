"""The course as an exercise, with some functions left to be written

Run it with: python tests/handout.py ../my_course
"""
import ast
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TO_WRITE = {  # the step in which a function is written, and its file
    "transform": (1, "common.py"),
    "training_loaders": (1, "common.py"),
    "test_loader": (1, "common.py"),
    "inverse_transform": (2, "common.py"),
    "first_network": (3, "common.py"),
    "train_one_epoch": (3, "common.py"),
    "predict": (3, "common.py"),
    "evaluate": (3, "common.py"),
    "convolutional_network": (4, "common.py"),
    "as_mnist": (5, "05_save.py"),
}


def leave_out(lines, node, name):
    """Put one line in place of a function's body; its docstring stays, and so does all before it"""
    step, file = TO_WRITE[name]
    rest = [f'    raise NotImplementedError("step {step}: write {name} in {file}")']
    if isinstance(node, ast.FunctionDef):
        first = node.body[1].lineno  # the docstring is number 0
    else:  # transform, a variable: a function takes its place
        first = node.lineno
        rest.insert(0, f"def {name}(picture):")
    lines[first - 1:node.end_lineno] = rest


def make_handout(folder):
    skip = shutil.ignore_patterns(".*", "data", "outputs", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=skip)
    for file in {file for _, file in TO_WRITE.values()}:
        text = (folder / file).read_text()
        lines = text.splitlines()
        for node in reversed(ast.parse(text).body):  # from the end, so that line numbers stay
            target = node.targets[0] if isinstance(node, ast.Assign) else node
            name = getattr(target, "id", getattr(target, "name", None))
            if name in TO_WRITE:
                leave_out(lines, node, name)
        (folder / file).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    if target.exists():
        sys.exit(f"{target} exists already, and is left as it is.")
    make_handout(target)
    print(f"{target} holds the course, and {len(TO_WRITE)} functions are to be written. Go there.")
    print("Read 01_load_data.py, write what it is the first to say is missing, and run it again.")
    print("When it runs: python -m pytest tests/test_01_load_data.py. Then the next step.")
