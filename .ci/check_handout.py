"""Each step of a handout says what is to be written, and passes when its functions are put back"""
import runpy
import subprocess
import sys
from pathlib import Path

handout = runpy.run_path("tests/handout.py")
names = handout["TO_WRITE"]["common.py"] | handout["TO_WRITE"]["05_save.py"]


def check(step, done):
    """Run a step's tests in a handout that has the functions of the steps that are done"""
    course = Path(sys.argv[1], f"step{step}with{done}")
    handout["make_handout"](course, done)
    files = course.glob(f"tests/test_0{step}_*")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", *files]
    tests = subprocess.run(command, cwd=course, capture_output=True, text=True)
    print(tests.stdout)
    assert tests.returncode == (done < step) and "Error" not in tests.stdout
    return tests.stdout


for step in range(1, 6):
    said = check(step, done=step - 1)
    for name in names:
        assert names[name] != step or f": write {name} in " in said, f"{name} is not asked for"
    check(step, done=step)
