"""The `safas` command: parsing and printing only. Each command's module is read when it is asked for."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from safas import __version__
from safas.commands.common import typed
from safas.errors import InputError, SafasError
from safas.frame_size import most_pixels

COMMANDS = {
    "demo": "simulate, train ERM and SA-FAS, test on an unseen domain, and write a report: start here",
    "simulate": "make video files of simulated people and attacks in four domains",
    "audit": "compare a data set on disk with what its owners published",
    "prepare": "turn videos into face crops and a table",
    "pack": "put prepared crops into one file that opens at once, however many they are",
    "train": "train one method on the source domains of a protocol",
    "distill": "train a small student of a trained run, quick and a few megabytes at most",
    "evaluate": "score a run on the domain it has never seen",
    "benchmark": "train and evaluate methods x protocols x seeds, and print one table",
    "report": "error rates of anyone's scores in the style of ISO/IEC 30107-3, with intervals and warnings",
    "export": "turn a run into a bundle: a folder with the network as ONNX and all that a decision needs",
    "predict": "judge images, videos or a camera by a bundle: live, spoof, unsure or no face",
    "serve": "answer over HTTP and WebSocket by a bundle, with a page to try it",
    "stress": "see what a bundle bears: errors against blur, tilt, compression, a misplaced face box ...",
    "doctor": "say what of safas works on this machine, and what to do about the rest",
}
_BARE = ("predict", "stress", "doctor")  # what needs nothing beyond the base packages
_ABOUT = "Tell a live face from a spoofed one in places the model has never seen (SA-FAS, CVPR 2023)."
_STYLE = (tyro.conf.PositionalMetavarFromFieldName, tyro.conf.DisallowNone, tyro.conf.AvoidSubcommands)
FAILED, STOPPED = 2, 130  # exit codes: a user's error; Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 or what the command says, 130 for Ctrl-C.

    A user's error gives one line on stderr and 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        # OpenCV reads it when it is imported, which is later, and holds it for kinds of images that we cannot measure.
        os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(most_pixels()))
        code: int | None = _parse(arguments).run(typed(arguments))
    except SafasError as error:
        return _fail(str(error))
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a folder that may not be written, a full disk
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("safas: stopped; the same command goes on where it was", file=sys.stderr)  # noqa: T201 - the CLI prints
        return STOPPED
    except SystemExit as end:  # tyro has printed the help or what is wrong
        return end.code if isinstance(end.code, int) else FAILED
    return code or 0


def _parse(arguments: list[str]) -> Any:
    """The command with its settings, ready to run."""
    if not arguments or arguments[0] not in COMMANDS:
        return _parse_top(arguments)
    name, rest = arguments[0], arguments[1:]
    module = _module(name)
    command = module.command_class(rest) if hasattr(module, "command_class") else module.Command
    return tyro.cli(command, prog=f"safas {name}", args=rest, config=_STYLE)


def _module(name: str) -> Any:
    """The command's module. Raises InputError when a package that it needs is not installed."""
    try:
        return importlib.import_module(f"safas.commands.{name}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if name in _BARE or missing in ("", "safas"):
            raise
        extra = name if name in ("serve", "report") else "train"
        raise InputError(
            f"needs the package {missing}, which is not installed",
            where=f"safas {name}",
            remedy=f'Install what it needs: pip install "safas[{extra}]"',
        ) from error


def _parse_top(arguments: list[str]) -> Any:
    """Help, version, or an unknown command; never returns a command that could run."""
    if arguments == ["--version"]:
        print(f"safas {__version__}")  # noqa: T201 - the CLI prints
        raise SystemExit(0)
    stubs = {name: _stub(about) for name, about in COMMANDS.items()}
    return tyro.extras.subcommand_cli_from_dict(
        stubs, prog="safas", description=_ABOUT, args=arguments or ["--help"]
    )


def _stub(about: str) -> Any:
    def stub() -> None: ...

    stub.__doc__ = about
    return stub


def _fail(message: str) -> int:
    print(f"safas: error: {message}", file=sys.stderr)  # noqa: T201 - the CLI prints
    return FAILED
