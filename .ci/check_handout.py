"""Each step of a handout passes when its functions are there, and each mistake of a hunt is seen"""
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, "tests")
import handout

FOLDER = Path(sys.argv[1])
names = handout.TO_WRITE["common.py"] | handout.TO_WRITE["05_save.py"]


def run_tests(course, step):
    files = course.glob(f"tests/test_0{step}_*")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", *files]
    tests = subprocess.run(command, cwd=course, capture_output=True, text=True)
    print(tests.stdout)
    return tests.returncode, tests.stdout


for step in range(1, 6):
    for done in [step - 1, step]:  # the steps whose functions are there
        course = FOLDER / f"step{step}with{done}"
        handout.make_handout(course, done)
        failed, said = run_tests(course, step)
        assert failed == (done < step) and "Error" not in said
        for name in names:
            asked = f": write {name} in " in said
            assert asked or names[name] != step or done == step, f"{name} is not asked for"

for number, mistake in enumerate(handout.MISTAKES):
    step, *_, named = mistake
    course = FOLDER / f"hunt{number}"
    handout.make_hunt(course, mistake)
    failed, said = run_tests(course, step)
    assert failed and named in said, f"{named} is not named"
