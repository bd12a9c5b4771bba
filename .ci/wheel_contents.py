"""Compare what was built with what git tracks: `wheel_contents.py TREE_WHEEL SDIST_WHEEL SDIST`.

A file that git knows and the wheel lacks is an ImportError for users only; a file the wheel has
and git does not is somebody's leftover; a top-level name besides `countermark` overwrites other
projects. Each is refused, and so is a wheel that the sdist does not reproduce.
"""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

PACKAGE = "countermark"


def tracked(*pathspecs: str) -> set[str]:
    """Return the names of the files that git tracks below `pathspecs`."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *pathspecs], check=True, capture_output=True, text=True
    )
    return set(listing.stdout.split("\0")) - {""}


def expected_members() -> set[str]:
    """Return the wheel's names as pyproject.toml maps them from the tracked files."""
    build = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    wheel = build["tool"]["hatch"]["build"]["targets"]["wheel"]
    linked = {link.name for link in Path("src", PACKAGE).iterdir() if link.is_symlink()}
    mapped = set(wheel["sources"]) - {f"src/{PACKAGE}"}
    if mapped != linked:
        sys.exit(f"pyproject.toml maps {sorted(mapped)}, src/{PACKAGE} links {sorted(linked)}")
    names = {f"{PACKAGE}/{name}" for name in tracked(*mapped)}
    roots = tracked(f"src/{PACKAGE}") - {f"src/{PACKAGE}/{name}" for name in linked}
    return names | {name.removeprefix("src/") for name in roots}


def read_wheel(path: Path) -> dict[str, bytes]:
    """Return every member of a wheel; a name given twice is refused."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != len(set(names)):
            sys.exit(f"{path.name}: a name occurs twice")
        return {name: archive.read(name) for name in names}


def differences(what: str, want: set[str], got: set[str]) -> list[str]:
    """Return one line for each name that is only on one side."""
    lines = [f"{what} lacks {name}" for name in sorted(want - got)]
    return lines + [f"{what} has {name}, which nobody put there" for name in sorted(got - want)]


def main(tree_wheel: Path, sdist_wheel: Path, sdist: Path) -> None:
    """Print what differs and exit 1, or print how much is the same."""
    members = read_wheel(tree_wheel)
    info = {name for name in members if name.split("/")[0].endswith(".dist-info")}
    problems = differences("the wheel", expected_members(), set(members) - info)
    for needed in ("licenses/LICENSE", "entry_points.txt"):
        if not any(name.endswith(f".dist-info/{needed}") for name in info):
            problems.append(f"the wheel's dist-info lacks {needed}")

    if read_wheel(sdist_wheel) != members:
        problems.append("the wheel built from the sdist is not the wheel built from the tree")

    with tarfile.open(sdist) as archive:
        inside = {m.name.partition("/")[2] for m in archive.getmembers() if not m.isdir()}
    extra = inside - tracked(".") - {"PKG-INFO"}
    problems += [f"the sdist has {name}, which git does not track" for name in sorted(extra)]
    missing = tracked("tests", "specs", "docs", "examples") - inside
    problems += [f"the sdist lacks {name}" for name in sorted(missing)]

    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(members)} members, {len(info)} of them dist-info; both wheels are equal")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
