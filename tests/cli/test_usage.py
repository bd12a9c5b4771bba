"""Help, options and variables, and what is said to a command line that cannot be meant."""

import re
import subprocess
from pathlib import Path

import click
import pytest

import countermark
from countermark.cli.main import cli
from support.command import COMMAND, ROOT, environment, run

SPEC = (ROOT / "specs/cli.md").read_text(encoding="utf-8")

# These accept more than usual, leave something out or replace something, so that only
# somebody who types them gets them; the last two are other names of --format.
GROUPS = ("cert ", "content ", "watermark ")
WITHOUT_VARIABLE = {
    "sign": {"--cache", "--ignore-path", "--allow-symlinks", "--replace"},
    "verify": {
        "--cache",
        "--ignore-path",
        "--ignore-unsigned",
        "--partial",
        "--accept-partial",
        "--allow-uncovered-weights",
    },
    "cert dev-ca": {"--replace"},
    "content sign": {"--in-place", "--replace"},
    "content scan": {"--resume", "--replace"},
    "content trust make": {"--list", "--tsa", "--cawg", "--allow", "--purpose", "--replace"},
    "watermark detect": {"--no-common", "--resume"},
    "watermark scan": {"--no-common"},
    "watermark calibrate": {"--replace"},
    "watermark generate": {"--replace"},
    "watermark report": {"--no-common", "--replace"},
}
SHORTHANDS = {"--json", "--quiet"}
SHARED = {
    "--format": "COUNTERMARK_FORMAT",
    "--no-progress": "COUNTERMARK_NO_PROGRESS",
    "--debug": "COUNTERMARK_DEBUG",
}


def verbs(group: click.Group = cli, prefix: str = "") -> dict[str, click.Command]:
    """Return every verb by name; those of a group are named with it."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found |= verbs(command, f"{prefix}{name} ")
        elif command is not None:
            found[prefix + name] = command
    return found


def section(verb: str) -> str:
    """Return what the specification says of a verb, up to the next one."""
    return SPEC.partition(f"**`countermark {verb}")[2].partition("\n**")[0]


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {
        next(text for text in option.opts if text.startswith("--")): option
        for option in command.params
        if isinstance(option, click.Option)
    }


OPTIONS = [(verb, name) for verb, command in verbs().items() for name in options_of(command)]


def test_the_specification_has_each_verb() -> None:
    watermarks = ["keygen", "generate", "detect", "scan", "calibrate", "report", "vllm-config"]
    names = ["keygen", "sign", "verify", "inspect", "diff"]
    content = ["sign", "verify", "scan", "trust make", "trust show"]
    assert list(verbs()) == [
        *names,
        *(f"watermark {name}" for name in watermarks),
        *(f"content {name}" for name in content),
        *(f"cert {name}" for name in ("dev-ca", "dev-tsa", "lint")),
        "demo",
    ]
    for verb in verbs():
        assert section(verb)


@pytest.mark.parametrize(("verb", "name"), OPTIONS, ids="".join)
def test_option_has_help_a_variable_and_a_row_in_the_specification(verb: str, name: str) -> None:
    option = options_of(verbs()[verb])[name]
    assert option.help
    where = section(verb) if verb.startswith(GROUPS) and name not in SHARED else SPEC
    if name not in SHORTHANDS:
        assert re.search(rf"`{re.escape(name)}\b", where), f"specs/cli.md does not have {name}"
    if name in WITHOUT_VARIABLE.get(verb, set()) | SHORTHANDS:
        assert option.envvar is None
        assert not option.allow_from_autoenv
    else:
        own = re.sub("[ -]", "_", f"COUNTERMARK_{verb}_{name[2:]}".upper())
        variable = SHARED.get(name, own)
        assert option.envvar == variable
        # The many of a group follow a rule that is stated once.
        assert f"`{variable}`" in SPEC or verb.startswith(GROUPS)


def test_specification_has_no_variable_that_no_option_reads() -> None:
    read = {str(options_of(verbs()[verb])[name].envvar) for verb, name in OPTIONS}
    named = set(re.findall(r"`(COUNTERMARK_[A-Z_]+)`", SPEC))
    assert named - read == {"COUNTERMARK_KEY_PASSWORD"}


@pytest.mark.parametrize("verb", list(verbs()))
def test_help_of_a_verb_has_examples_variables_and_fits_a_terminal(
    tmp_path: Path, verb: str
) -> None:
    ran = run(*verb.split(), "--help", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert f"\n  Examples:\n    countermark {verb}" in ran.out
    assert ran.out.count("Options without a variable") == 1
    # The longest names are broken where there are but 80 columns.
    wide = run(*verb.split(), "--help", cwd=tmp_path, variables={"COLUMNS": "100"}).out
    shown = set(re.findall(r"COUNTERMARK_[A-Z_]+", wide)) - {"COUNTERMARK_KEY_PASSWORD"}
    assert shown == {str(o.envvar) for o in options_of(verbs()[verb]).values() if o.envvar}
    prose = ran.out.partition("Examples:")[0]
    assert max(len(line) for line in prose.splitlines()) <= 80


@pytest.mark.parametrize("verb", list(verbs()))
def test_examples_in_help_are_understood(desk: Path, verb: str) -> None:
    shown = run(*verb.split(), "--help", cwd=desk).out.partition("Examples:\n")[2]
    examples = shown.partition("\n\n")[0].replace("\\\n", " ").splitlines()
    assert examples
    for example in examples:
        options = set(re.findall(r" (--[a-z-]+)", example))
        assert options <= set(options_of(verbs()[verb])), example


def test_version_and_top_help(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).out == f"countermark {countermark.__version__}\n"
    for word in ("--help", "-h"):
        ran = run(word, cwd=tmp_path)
        assert ran.code == 0
        for verb in verbs():
            assert f"\n  {verb.split()[0]} " in ran.out
        for code in (0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 130):
            assert re.search(rf"\b{code}   \w", ran.out), code


def test_nothing_typed_shows_the_help_and_is_a_usage_error(tmp_path: Path) -> None:
    ran = run(cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "Commands:" in ran.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["vrify"], "there is no command 'vrify'. Did you mean 'verify'?"),
        (["qqqq"], "there is no command 'qqqq'."),
        (["verify", "--publik-key", "x"], "Did you mean '--public-key'?"),
        (["--verison"], "Did you mean --version?|No such option '--verison'"),
        (["verify"], "Missing argument 'MODEL'."),
        (["verify", "gone"], "Path 'gone' does not exist."),
        (["verify", "hf://org/name"], "'hf://org/name' is an address"),
        (["sign", "hf://org/name", "--private-key", __file__], "'hf://org/name' is an address"),
        (["diff", "hf://org/name", "."], "'hf://org/name' is an address"),
        (["verify", "-"], "'-' cannot be a model"),
        (["verify", ".", "--identity", "a@b.c"], "--identity needs --cert-chain"),
        (["keygen", "k", "--type", "dsa"], "'dsa' is not one of 'ec-p256'"),
        (["verify", "a\x1b[31m\nb"], "Path 'a\\x1b[31m"),
        (["sign", ".", "--private-key"], "requires an argument"),
    ],
    ids=lambda value: " ".join(value)[:24] if isinstance(value, list) else "",
)
def test_usage_errors_say_what_was_wrong_and_where_help_is(
    tmp_path: Path, words: list[str], sentence: str
) -> None:
    ran = run(*words, cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    first, second = ran.err.splitlines()
    assert first.startswith("countermark: error[usage]: ")
    assert any(part in first for part in sentence.split("|"))
    assert re.fullmatch(r"  do: see 'countermark( \w+)? --help'", second)
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "gone", "--json"],
        ["verify", "gone", "--format", "json"],
        ["verify", "gone", "--format=json"],
        ["vrify", "--json"],
        ["verify", ".", "-q", "--json"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_documents_too(tmp_path: Path, words: list[str]) -> None:
    ran = run(*words, cwd=tmp_path)
    assert (ran.code, ran.err) == (2, "")
    assert ran.document["error"]["code"] == "usage"


def test_format_comes_from_its_variable_unless_it_is_typed(desk: Path) -> None:
    words = ("verify", "model", "--public-key", "release.pub")
    as_json = {"COUNTERMARK_FORMAT": "json"}
    assert run(*words, cwd=desk, variables=as_json).document["verdict"] == "verified"
    assert run("verify", "gone", cwd=desk, variables=as_json).document["verdict"] == "error"
    typed = run(*words, "--format", "human", cwd=desk, variables=as_json)
    assert typed.out.startswith("VERIFIED")
    assert run(*words, "-q", cwd=desk, variables=as_json).out == ""
    assert run(*words, cwd=desk, variables={"COUNTERMARK_FORMAT": "xml"}).code == 2


def test_keys_to_trust_may_come_from_a_variable_and_one_that_is_typed_wins(desk: Path) -> None:
    one = {"COUNTERMARK_VERIFY_PUBLIC_KEY": "release.pub"}
    two = {"COUNTERMARK_VERIFY_PUBLIC_KEY": "release.pub:stranger.pub"}
    assert run("verify", "model", cwd=desk).code == 12
    assert run("verify", "model", cwd=desk, variables=one).code == 0
    assert run("verify", "model", cwd=desk, variables=two).code == 12
    typed = ("--public-key", "stranger.pub")
    assert run("verify", "model", *typed, cwd=desk, variables=one).code == 12


@pytest.mark.parametrize("name", sorted(WITHOUT_VARIABLE["verify"] - {"--cache"}))
def test_no_variable_makes_verify_accept_more(desk: Path, name: str) -> None:
    (desk / "model/config.json").unlink()
    (desk / "model/extra.bin").write_bytes(b"weights")
    words = ("verify", "model", "--public-key", "release.pub", "--json")
    variables = {
        f"COUNTERMARK_{prefix}{name[2:]}{suffix}".upper().replace("-", "_"): value
        for prefix in ("", "verify_")
        for suffix, value in (("", "1"), ("s", "config.json:extra.bin"))
    }
    assert run(*words, cwd=desk, variables=variables).document == run(*words, cwd=desk).document


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_and_words(tmp_path: Path, shell: str) -> None:
    source = run(cwd=tmp_path, variables={"_COUNTERMARK_COMPLETE": f"{shell}_source"})
    if shell == "bash" and "Couldn't detect Bash" in source.err:
        pytest.skip("no bash here")
    assert source.code == 0
    assert "_COUNTERMARK_COMPLETE" in source.out


def test_completion_completes_verbs_and_options(tmp_path: Path) -> None:
    for typed, expected in (("countermark ver", "verify"), ("countermark verify --pub", "key")):
        done = subprocess.run(
            [*COMMAND],
            cwd=tmp_path,
            env=environment(
                tmp_path,
                _COUNTERMARK_COMPLETE="bash_complete",
                COMP_WORDS=typed,
                COMP_CWORD=str(len(typed.split()) - 1),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert expected in done.stdout
