"""The course as an exercise: some functions are left to be written, or one line is wrong

python tests/handout.py ../my_course    leaves out the functions of the list below
python tests/handout.py ../hunt 3       makes mistake 3 of hunt.py, or one by chance: ../hunt any
"""
import ast
import random
import shutil
import sys
from pathlib import Path

from hunt import MISTAKES

ROOT = Path(__file__).resolve().parents[1]
TO_WRITE = {  # in each file the functions to be written, and the step for which they are
    "common.py": {
        "transform": 1, "training_loaders": 1, "inverse_transform": 2, "first_network": 3,
        "train_one_epoch": 3, "predict": 3, "evaluate": 3, "convolutional_network": 4,
    },
    "05_save.py": {"as_mnist": 5},
}


def copy_course(folder):
    skip = ".[!g]*", ".git", "workflows", "data", "outputs", "__pycache__", "venv", "env"
    skip += "handout.py", "hunt.py", "test_course.py"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*skip))


def leave_out(lines, node, said):
    """Put one line in place of a function's body; its docstring stays, and so does all before it"""
    rest = [f'    raise NotImplementedError("{said}")']
    if isinstance(node, ast.FunctionDef):
        first = node.body[1].lineno  # the docstring is number 0
    else:  # transform, a variable: a function takes its place
        first = node.lineno
        rest.insert(0, f"def {node.targets[0].id}(picture):  # the variable goes here, instead")
    lines[first - 1:node.end_lineno] = rest


def make_handout(folder, done=0):
    """Write the course; the functions of the steps that are done stay in it"""
    copy_course(folder)
    for file, steps in TO_WRITE.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in reversed(ast.parse(text).body):  # from the end, so that line numbers stay
            target = node.targets[0] if isinstance(node, ast.Assign) else node
            name = getattr(target, "id", getattr(target, "name", ""))
            if steps.get(name, 0) > done:
                leave_out(lines, node, f"step {steps[name]}: write {name} in {file}")
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_hunt(folder, mistake):
    """Write the course with a mistake in it"""
    copy_course(folder)
    _, file, line, wrong_line, *_ = mistake
    text = (ROOT / file).read_text(encoding="utf-8")
    (folder / file).write_text(text.replace(line, wrong_line), encoding="utf-8")


if __name__ == "__main__":
    hunts = {str(number): mistake for number, mistake in enumerate(MISTAKES, 1)}
    hunts["any"] = random.choice(MISTAKES)
    folder, number, *_ = sys.argv[1:] + ["", ""]
    target = Path(folder)
    if target.exists():  # as . does, if there is no name
        sys.exit(f"{target} exists already, and is left as it is.\n{__doc__}")
    if not number:
        make_handout(target)
        print(f"""{target} holds the course; eight functions and transform are left to be written.
Go there, read 01_load_data.py, write what it is the first to say is missing, and run it again.
When it runs: python -m pytest tests/test_01_load_data.py. Then the next step.""")
    elif number in hunts:
        make_hunt(target, hunts[number])
        print(f"""{target} holds the course, and one line in it is wrong. Run the scripts, look at
what they print and draw, and find it. The tests know, if you give up.""")
    else:
        sys.exit(f"There is no mistake {number!r}. A folder's name with a blank needs quotes.")
