"""Compares what `asl` says of definitions with what two other validators say: valid or not.

`python3 e2e/validators.py FOLDER STATELINT ASL_VALIDATOR` takes a folder of definitions and the commands
of statelint (PyPI) and asl-validator (npm); the definitions of `asl/tests/corpus` are compared as well.
Where a validator says otherwise is listed with the reason in `asl/tests/not-passed/validators.txt`:
validator, definition and reason, with tabs between; a * at the end of the definition stands for any rest.
A line that is not needed is as wrong as one that is missing.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = ROOT / "asl/tests/not-passed/validators.txt"


def collect(folder: Path, into: Path) -> list[str]:
    """Puts every definition under a name of its own into one folder."""
    for file in folder.glob("*.json"):
        (into / file.name).write_bytes(file.read_bytes())
    for file in (ROOT / "asl/tests/corpus").glob("*.json"):
        definition = json.loads(file.read_text())["definition"]
        (into / f"corpus-{file.name}").write_text(json.dumps(definition))
    return sorted(file.name for file in into.iterdir())


def run(command: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def asl(names: list[str], folder: Path) -> dict[str, bool]:
    manifest = ["--manifest-path", str(ROOT / "Cargo.toml")]
    command = ["cargo", "run", "-q", *manifest, "-p", "asl", "--example", "diagnose", "--", *names]
    lines = [line.split(" ", 1) for line in run(command, folder)[1].splitlines() if line[:1].strip()]
    return {name: verdict == "valid" for verdict, name in lines}


def statelint(command: str, names: list[str], folder: Path) -> dict[str, bool]:
    return {name: run([command, name], folder)[0] == 0 for name in names}


def asl_validator(command: str, names: list[str], folder: Path) -> dict[str, bool]:
    paths = [part for name in names for part in ("--json-path", name)]
    said = run([command, *paths], folder)[1]
    return {name: verdict == "valid" for name, verdict in re.findall(r'"([^"]+)" is (valid|invalid)', said)}


def listed() -> list[tuple[str, str]]:
    lines = [line.split("\t") for line in LIST.read_text().splitlines() if not line.startswith("#")]
    assert all(len(line) == 3 and line[2] for line in lines), "each line has a validator, a definition and a reason"
    return [(validator, definition) for validator, definition, _ in lines]


def covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def main(folder: str, statelint_command: str, asl_validator_command: str) -> int:
    with tempfile.TemporaryDirectory() as place:
        into = Path(place)
        names = collect(Path(folder), into)
        ours = asl(names, into)
        theirs = {
            "statelint": statelint(statelint_command, names, into),
            "asl-validator": asl_validator(asl_validator_command, names, into),
        }
    patterns = listed()
    needed: set[tuple[str, str]] = set()
    problems = []
    for validator, verdicts in theirs.items():
        for name in names:
            if name not in ours or name not in verdicts:
                problems.append(f"{validator}: nothing is said of {name}")
                continue
            hits = {one for one in patterns if one[0] == validator and covers(one[1], name)}
            needed |= hits
            if (ours[name] != verdicts[name]) != bool(hits):
                mark = "agrees, but is listed" if hits else f"says {'valid' if verdicts[name] else 'invalid'}"
                problems.append(f"{validator}: {name}: {mark}")
        same = sum(ours.get(name) == verdicts.get(name) for name in names)
        print(f"{validator}: agrees on {same} of {len(names)}")
    problems += [f"{validator}: {name} is listed but names none" for validator, name in set(patterns) - needed]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
