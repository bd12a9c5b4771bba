"""The command lines that `signing.py` compares: ours, model-signing, digest tools, readers."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import checkpoints
from compare import Job

# The least Python that reads every byte: what any reader without mmap has to pay.
_READ_LOOP = """
import sys
buffer = bytearray(1 << 18)
for path in sys.argv[1:]:
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
"""

Command = tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """How each program is called; None when it is absent.

    Attributes:
        countermark: Ours.
        model_signing: The reference implementation's command.
        openssl: Also makes the keys.
        b3sum: The BLAKE3 team's command.
        python: The interpreter that runs `countermark`, else this one.

    """

    countermark: Command
    model_signing: Command
    openssl: Command
    b3sum: Command
    python: tuple[str, ...]

    @classmethod
    def find(cls, *, countermark: Sequence[str], model_signing: Sequence[str]) -> "Tools":
        """Look the programs up on PATH; the given commands may be paths and carry options."""
        ours = _found(countermark)
        beside = Path(ours[0]).with_name("python") if ours else Path(sys.executable)
        return cls(
            countermark=ours,
            model_signing=_found(model_signing),
            openssl=_found(["openssl"]),
            b3sum=_found(["b3sum"]),
            python=(str(beside if beside.exists() else sys.executable),),
        )

    def versions(self) -> dict[str, str]:
        """Return what each program that is present says its version is."""
        programs = {
            "countermark": (self.countermark, "--version"),
            "model-signing": (self.model_signing, "--version"),
            "openssl": (self.openssl, "version"),
            "b3sum": (self.b3sum, "--version"),
        }
        found: dict[str, str] = {}
        for name, (command, option) in programs.items():
            if command is not None:
                run = subprocess.run(
                    [*command, option], capture_output=True, text=True, check=False
                )
                found[name] = run.stdout.strip()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Tools, keys and a folder in which models are made when a row first asks for them."""

    tools: Tools
    work: Path
    private_key: Path
    public_key: Path
    size_gib: float
    small_files: int
    progress: Callable[[str], None]

    @property
    def size_bytes(self) -> int:
        """Size of the large models in bytes."""
        return int(self.size_gib * checkpoints.GIB)

    def sharded(self) -> Path:
        """Return the large model of three shards."""
        write = checkpoints.write_sharded
        return self._made("sharded", lambda folder: write(folder, self.size_bytes))

    def single(self, size_bytes: int) -> Path:
        """Return a folder with one safetensors file of `size_bytes`."""
        write = checkpoints.write_single
        return self._made(f"single-{size_bytes}", lambda folder: write(folder, size_bytes))

    def many(self) -> Path:
        """Return a folder of many small files."""
        write = checkpoints.write_many
        return self._made("many", lambda folder: write(folder, self.small_files))

    def tiny(self) -> Path:
        """Return a model of a few dozen KiB."""
        return self._made("tiny", checkpoints.write_tiny)

    def signature(self, row: str, name: str) -> Path:
        """Return where a signature goes: alone in its folder, which may gain side files."""
        return self.work / "signatures" / row / name / "model.sig"

    def ours(self, name: str, *arguments: str) -> Job:
        """Return a call of countermark."""
        return Job(name=name, argv=_call(self.tools.countermark, *arguments))

    def peer(self, name: str, *arguments: str) -> Job:
        """Return a call of model-signing."""
        return Job(name=name, argv=_call(self.tools.model_signing, *arguments))

    def sign(
        self,
        name: str,
        model: Path,
        signature: Path,
        *options: str,
        also_before: Callable[[], None] | None = None,
    ) -> Job:
        """Return our signing of `model`; earlier output is removed before each run."""

        def before() -> None:
            _empty_folder(signature.parent)
            if also_before is not None:
                also_before()

        files = ("--private-key", str(self.private_key), "--signature", str(signature))
        argv = _call(self.tools.countermark, "sign", str(model), *files, *options)
        return Job(name=name, argv=argv, before=before)

    def verify(self, name: str, model: Path, signature: Path, *options: str) -> Job:
        """Return our verification of `model`."""
        files = ("--signature", str(signature), "--public-key", str(self.public_key))
        return self.ours(name, "verify", str(model), *files, *options)

    def peer_sign(self, name: str, model: Path, signature: Path) -> Job:
        """Return model-signing's signing of `model`."""
        files = ("--private_key", str(self.private_key), "--signature", str(signature))
        argv = _call(self.tools.model_signing, "sign", "key", str(model), *files)
        return Job(name=name, argv=argv, before=lambda: _empty_folder(signature.parent))

    def peer_verify(self, name: str, model: Path, signature: Path) -> Job:
        """Return model-signing's verification of `model`."""
        files = ("--public_key", str(self.public_key), "--signature", str(signature))
        return self.peer(name, "verify", "key", str(model), *files)

    def _made(self, name: str, write: Callable[[Path], None]) -> Path:
        folder = self.work / "models" / name
        if not folder.exists():
            self.progress(f"making model {name}")
            write(folder)
        # Into the page cache: disks are not compared.
        cat = ["cat", *files_of(folder)]
        subprocess.run(cat, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        return folder


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make a P-256 key pair with openssl; return the private and the public PEM file."""
    private_key, public_key = folder / "key.pem", folder / "key.pub"
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    public = ["-in", str(private_key), "-pubout", "-out", str(public_key)]
    subprocess.run(["openssl", "genpkey", *curve, "-out", str(private_key)], check=True)
    subprocess.run(["openssl", "pkey", *public], check=True)
    return private_key, public_key


def reader_jobs(model: Path) -> tuple[Job, ...]:
    """Return jobs that only read: nothing that hashes can cost less without mapping."""
    files = files_of(model)
    return (
        Job(name="cat", argv=("cat", *files), folder=model),
        Job(name="python readinto", argv=(sys.executable, "-c", _READ_LOOP, *files), folder=model),
    )


def digest_jobs(tools: Tools, model: Path) -> tuple[Job, ...]:
    """Return jobs that hash every file and sign nothing."""
    files = files_of(model)
    commands = {
        "openssl dgst -sha256": _call(tools.openssl, "dgst", "-sha256", *files),
        "b3sum --no-mmap": _call(tools.b3sum, "--no-mmap", *files),  # One thread, always.
        "b3sum, 1 thread": _call(tools.b3sum, "--num-threads", "1", *files),
        "b3sum, 2 threads": _call(tools.b3sum, "--num-threads", "2", *files),
    }
    return tuple(Job(name=name, argv=argv, folder=model) for name, argv in commands.items())


def files_of(model: Path) -> list[str]:
    """Return the sorted paths of all files below `model`, relative to it.

    Relative, because 20,000 long ones would not fit on a command line.
    """
    return sorted(str(path.relative_to(model)) for path in model.rglob("*") if path.is_file())


def _found(command: Sequence[str]) -> Command:
    program = shutil.which(command[0]) if command else None
    return None if program is None else (program, *command[1:])


def _call(command: Command, *arguments: str) -> Command:
    return None if command is None else (*command, *arguments)


def _empty_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
