"""Does its test fail for each mistake in mistakes.py, and none for a right work? Takes half an hour

Run it with: python .ci/check_mistakes.py
"""
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

from mistakes import RIGHT, WRONG

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(ROOT.glob("tests/test_*.py"))


def failed_tests(changes, files):
    """Which tests fail in a copy of the course with these changes; whether all passed; the table"""
    with TemporaryDirectory() as folder:
        course = Path(folder, "course")
        copytree(ROOT, course, ignore=ignore_patterns(".*", "data", "outputs", "__pycache__"))
        for file, old, new in changes:
            text = (course / file).read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
            (course / file).write_text(text.replace(old, new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rEf"]
        command += [course / "tests" / file.name for file in files]
        tests = subprocess.run(command, cwd=course, capture_output=True, text=True)
    names = re.findall(r"^(?:FAILED|ERROR) .*::(\w+)", tests.stdout, re.MULTILINE)
    _, _, table = tests.stdout.partition("= steps =")
    return names, tests.returncode == 0, table.partition("\n=")[0]


def is_caught(mistake):
    *change, test = mistake
    files = [file for file in FILES if test in file.read_text(encoding="utf-8")]
    names, _, table = failed_tests([change], files)
    verdict = "caught" if test in names else "NOT CAUGHT"
    print(f"{verdict} by {test}: {change[0]}, {change[2]!r}{table}", flush=True)
    return verdict == "caught"


def passes(name):
    _, all_passed, table = failed_tests(RIGHT[name], FILES)
    print(f"right: {name}, {'passes' if all_passed else 'fails'}{table}", flush=True)
    return all_passed


with ThreadPoolExecutor(cpu_count()) as pool:
    caught = sum(pool.map(is_caught, WRONG))
    passed = sum(pool.map(passes, RIGHT))
print(f"{caught} of {len(WRONG)} mistakes are caught, {passed} of {len(RIGHT)} right works pass")
sys.exit(caught < len(WRONG) or passed < len(RIGHT))
