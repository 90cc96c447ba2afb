"""What the command line takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from arraylib.hlo.command import steps
from arraylib.hlo.command.arrays import is_made

_DESCRIPTION = """\
Check, print, rewrite, run and measure a StableHLO program. Without options it is checked and
printed in canonical form. FILE is text in MLIR's pretty or generic form; "-" is standard input.
"""

_EXAMPLES = """\
examples:
  check a program and print it             python -m arraylib.hlo model.mlir
  from standard input, in core StableHLO   ... | python -m arraylib.hlo - --legalize
  what the optimiser makes of it           python -m arraylib.hlo model.mlir --passes all --pretty
  ... and which kernels                    python -m arraylib.hlo model.mlir --passes all,fuse
  each step of that                        ... --passes all --print-after-all 2> steps.mlir
  run it                                   ... --run inputs.npz --backend cpu --output results.npz
  run it on anything that fits             ... --run random:7
  what it costs                            ... --stats
  a picture for the browser                ... --passes all,fuse --html model.html
  which pass changes its results           ... --bisect random

Arrays in .npz files belong to the inputs that their names tell, if all are called arg0 or arr_0,
arg1 or arr_1, and so on, and otherwise to the inputs in the file's order. Arrays of dtypes that
NumPy lacks are stored as their bits, in unsigned integers, under a name that ends in the dtype:
arg1.bfloat16. Results are written as result0, result1, ..., in the same way.

It ends with 0; with 1 if the program is wrong, cannot run or is changed by a pass that --bisect
finds; with 2 if the command line makes no sense.
"""

# Options that only mean something with another.
_NEED = (("output", "run"), ("backend", "run"), ("tolerance", "bisect"),
         ("print_after_all", "passes"))


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options in a command line; SystemExit with status 2 if it makes no sense."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name, other in _NEED:
        if getattr(options, name) not in (None, False) and not getattr(options, other):
            parser.error(f"--{name.replace('_', '-')} needs --{other}")
    for name in ("run", "bisect"):
        source = getattr(options, name)
        if source and source.startswith(("random:", "zeros:", "ones:")) and not is_made(source):
            parser.error(f"--{name} {source}: the seed is a number, as in random:7")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m arraylib.hlo", description=_DESCRIPTION, epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", help='the program; "-" is standard input')
    _add_rewriting(parser.add_argument_group("what happens to the program first"))
    _add_printing(parser.add_argument_group(
        "what is printed", "The program, unless --verify, --stats, --html, --run or --bisect\n"
        "ask for something else; with --pretty or --locations it always is."))
    _add_running(parser.add_argument_group(
        "running", "INPUTS is a .npz file, or one of zeros, ones, random and random:SEED."))
    parser.add_argument("--debug", action="store_true",
                        help="show Python's traceback of an error, too")
    return parser


def _add_rewriting(group: Any) -> None:
    group.add_argument("--entry", metavar="NAME",
                       help="take this function, and those that it calls, instead of main")
    group.add_argument("--legalize", dest="passes", action="append_const", const=["legalize"],
                       help="write it in core StableHLO; the same as --passes legalize")
    group.add_argument("--passes", metavar="NAME,NAME..", action="append", type=_names,
                       help="run these passes in this order; all is the whole optimiser, fuse "
                            "shows the CPU's kernels")
    group.add_argument("--print-after-all", action="store_true",
                       help="print the program after each pass, on standard error")
    group.add_argument("--list-passes", action=_ListPasses, nargs=0,
                       help="list the passes and end")


def _add_printing(group: Any) -> None:
    group.add_argument("--pretty", action="store_true",
                       help="print a short list of definitions, for people to read")
    group.add_argument("--locations", action="store_true",
                       help="print with each operation the line it comes from")
    group.add_argument("--verify", action="store_true",
                       help="only check the program: print one line")
    group.add_argument("--stats", action="store_true",
                       help="print what each function costs: operations, flops, bytes, memory")
    group.add_argument("--html", metavar="FILE", help="write a picture of the entry for a browser")


def _add_running(group: Any) -> None:
    either = group.add_mutually_exclusive_group()
    either.add_argument("--run", metavar="INPUTS", help="run the entry and print its results")
    either.add_argument("--bisect", metavar="INPUTS",
                        help="say which pass (of --passes, or of the optimiser) changes results")
    group.add_argument("--backend", choices=("reference", "cpu"),
                       help="interpret one operation after the other (default), or compile")
    group.add_argument("--output", metavar="FILE", help="write the results as .npz instead")
    group.add_argument("--tolerance", type=float, metavar="T",
                       help="the difference of results that --bisect lets pass (default 0)")


def _names(text: str) -> list[str]:
    try:
        return [steps.check(name.strip()) for name in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class _ListPasses(argparse.Action):
    """Prints and ends, as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        names = steps.names()
        width = max(map(len, names))
        for name, meaning in names.items():
            print(f"{name:{width}}  {meaning}")
        parser.exit()
