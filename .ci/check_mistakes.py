"""Does the test that is meant for it fail for each mistake, and none for a right work?

Run it with: python .ci/check_mistakes.py [from [to]]     It takes half an hour.
"""
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from shutil import copytree, ignore_patterns

from mistakes import RIGHT, WRONG

ROOT = Path(__file__).resolve().parents[1]
TESTS = sorted(ROOT.glob("tests/test_*.py"))


def failed_tests(changes, files):
    """The tests that fail when a copy of the course has been changed, and the table's end"""
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder, "course")
        copytree(ROOT, course, ignore=ignore_patterns(".*", "data", "outputs", "__pycache__"))
        for file, old, new in changes:
            text = (course / file).read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
            (course / file).write_text(text.replace(old, new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rEf", *files]
        done = subprocess.run(command, cwd=course, capture_output=True, text=True)
        return re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE), done.stdout


def try_wrong(number):
    file, old, new, test = WRONG[number]
    files = [f"tests/{path.name}" for path in TESTS if f"def {test}" in path.read_text()]
    failed, said = failed_tests([(file, old, new)], files)
    verdict = "caught" if any(name.startswith(test) for name in failed) else "NOT CAUGHT"
    print(f"{number:3} {verdict}: {file} {new.strip()[:60]!r} {failed}\n{said}", flush=True)
    return verdict == "caught"


def try_right(name):
    failed, said = failed_tests(RIGHT[name], ["tests"])
    print(f"right: {name}: {failed or 'passes'}\n{said}", flush=True)
    return not failed and "passed" in said


numbers = range(len(WRONG))[slice(*map(int, sys.argv[1:]))] if sys.argv[1:] else range(len(WRONG))
with ThreadPoolExecutor(cpu_count()) as pool:
    caught = sum(pool.map(try_wrong, numbers))
    passed = sum(pool.map(try_right, [] if sys.argv[1:] else RIGHT))
print(f"{caught} of {len(numbers)} mistakes are caught by their test, "
      f"{passed} of {len(RIGHT)} right works pass")
sys.exit(caught < len(numbers) or passed < len(RIGHT))
