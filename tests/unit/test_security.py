"""What docs/explanation/security promises about the code, looked up in the code."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "stxm_live"

FORBIDDEN = {
    "pickle": r"^\s*(?:import|from)\s+(?:c?pickle|dill|cloudpickle|shelve|marshal|joblib)\b",
    "eval": r"(?<![\w.])(?:eval|exec)\s*\(",
    "shell": r"shell\s*=\s*True|os\.system\(|os\.popen\(",
    "yaml": r"yaml\.(?:load|unsafe_load|full_load)\(",
    "numpy pickles": r"allow_pickle\s*=\s*True",
    "all interfaces": r"0\.0\.0\.0:|tcp://\*",
    "temporary names": r"\bmktemp\(",
}


def lines_of_code():
    for path in sorted(PACKAGE.rglob("*.py")):
        in_docstring = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            quotes = line.count('"""')
            if not in_docstring and quotes == 0:
                yield f"{path.relative_to(PACKAGE)}:{number}", line.split("  #")[0]
            in_docstring ^= quotes == 1


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_package_does_not_use(what):
    pattern = re.compile(FORBIDDEN[what])
    assert [where for where, line in lines_of_code() if pattern.search(line)] == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("pickle", "    from pickle import loads"),
        ("eval", "value = eval(text)"),
        ("shell", "run(command, shell=True)"),
        ("yaml", "yaml.load(text)"),
        ("numpy pickles", "np.load(path, allow_pickle=True)"),
        ("all interfaces", 'bind("0.0.0.0:5578")'),
    ],
)
def test_the_patterns_find_what_they_look_for(what, line):
    assert re.search(FORBIDDEN[what], line)
