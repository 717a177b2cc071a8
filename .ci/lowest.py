"""Print the lowest version that pyproject.toml allows of each direct dependency, as constraints."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
wanted = list(project["dependencies"])
for extra in sys.argv[1:]:
    wanted += project["optional-dependencies"][extra]
pattern = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)")
lowest = dict(match.groups() for item in wanted if (match := pattern.match(item)))
print("\n".join(f"{name}=={version}" for name, version in sorted(lowest.items())))
