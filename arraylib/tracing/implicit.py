"""Solutions of equations with derivatives by the implicit function theorem."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from arraylib import dtypes as dt, tree
from arraylib.errors import DtypeError, ShapeError, StructureError, mistake
from arraylib.hlo.ir import Graph, type_of
from arraylib.hlo.ops import implicit as ops
from arraylib.tracing.control import same_captures
from arraylib.tracing.core import Flat, flatten_arguments, trace
from arraylib.tracing.derivatives import linearize, transposed

Function = Callable[..., Any]
Traced = tuple[Graph, list[Any]]


class _Equation:
    """What one call's functions have in common: vectors of one structure and of these types."""

    def __init__(self, name: str, vector: Any) -> None:
        self.name = name
        self.leaves, self.structure = flatten_arguments(name, (vector,))
        self.types = [type_of(x) for x in self.leaves]

    def traced(self, what: str, function: Function, vectors: int = 1,
               has_aux: bool = False) -> tuple[Flat, Traced]:
        """A function of vectors that returns one, checked; with `has_aux` also other things."""
        vector = tree.unflatten(self.structure.children[0], self.types)
        flat = Flat(self.name, function, tree.structure((vector,) * vectors), has_aux)
        graph, captured = trace(flat, self.types * vectors)
        self._check(what, flat, graph)
        return flat, (graph, captured)

    def _check(self, what: str, flat: Flat, graph: Graph) -> None:
        out = flat.unflatten(graph.output_types)[0]
        wanted = self.structure.children[0]
        if tree.structure(out) is not wanted:
            raise mistake(StructureError, self.name, f"{what} returns {tree.structure(out)}, but "
                          f"it is given {wanted}", hint="return a container like that")
        for (path, found), type in zip(tree.leaves_with_path(out), self.types):
            if found is not type:
                kind = ShapeError if found.shape != type.shape else DtypeError
                raise mistake(kind, self.name, f"{what} returns {found} at the result"
                              f"{tree.keystr(path)}, but it is given {type}",
                              hint="return arrays of the shapes and dtypes that it is given")

    def solved(self, flat: Flat, outs: Sequence[Any], has_aux: bool) -> Any:
        found, aux = flat.unflatten(outs)
        return (found, aux) if has_aux else found


def custom_linear_solve(matvec: Function, b: Any, solve: Function,
                        transpose_solve: Function | None = None, symmetric: bool = False,
                        has_aux: bool = False) -> Any:
    """The x with matvec(x) = b, as `solve` finds it, with derivatives that solve once more.

    Nothing inside of `solve` is differentiated.

    Args:
        matvec: a linear function from containers like `b` to such.
        b: the right side, a container of arrays.
        solve: `solve(matvec, b)` returns x.
        transpose_solve: `transpose_solve(vecmat, b)` solves the transposed equation, for reverse
            mode; vecmat is the transpose of matvec.
        symmetric: the equation is its own transpose, and `solve` solves both.
        has_aux: the solvers return (x, other things); those have no derivative.

    Raises: StructureError, ShapeError, DtypeError if a function returns something unlike b;
    TraceError in reverse mode if there is neither transpose_solve nor symmetry.

        >>> solve = lambda matvec, b: b / matvec(1.0)
        >>> grad(lambda a: custom_linear_solve(lambda x: a * x, 1.0, solve, symmetric=True))(2.0)
        Array(-0.25, dtype=float32)
    """
    equation = _Equation("custom_linear_solve", b)
    _check_floats(equation)
    _, forth = equation.traced("matvec", matvec)
    flat, solved = equation.traced("solve", partial(solve, matvec), has_aux=has_aux)
    everything = [forth, solved]
    if not symmetric and transpose_solve is not None:
        vecmat = _transposed(matvec, tree.unflatten(equation.structure, equation.leaves)[0])
        everything += [equation.traced("the transpose of matvec", vecmat)[1],
                       equation.traced("transpose_solve", partial(transpose_solve, vecmat),
                                       has_aux=has_aux)[1]]
    count = len(equation.types)
    graphs, captured = same_captures(everything, [count] * len(everything))
    back = graphs[2:] or (graphs if symmetric else (None, None))
    outs = ops.linear_solve(*equation.leaves, *captured, count=count, matvec=graphs[0],
                            body=graphs[1], vecmat=back[0], back=_without_aux(back[1], count))
    return equation.solved(flat, outs, has_aux)


def _check_floats(equation: _Equation) -> None:
    for i, type in enumerate(equation.types):
        if not dt.is_inexact(type.dtype):
            raise mistake(DtypeError, equation.name, f"leaf {i} of b is {type}, which is no float",
                          hint="convert it with x.astype(jnp.float32)")


def _transposed(matvec: Function, like: Any) -> Function:
    back = transposed(matvec, like)
    return lambda ct: back(ct)[0]


def _without_aux(graph: Graph | None, count: int) -> Graph | None:
    return graph and Graph(graph.inputs, graph.nodes, graph.outputs[:count])


def custom_root(f: Function, initial_guess: Any, solve: Function, tangent_solve: Function,
                has_aux: bool = False) -> Any:
    """The x with f(x) = 0, as `solve` finds it, with derivatives in what f reads from outside.

    Nothing inside of `solve` is differentiated, and the guess has no derivative.

    Args:
        f: a function from containers like the guess to such.
        initial_guess: where `solve` begins.
        solve: `solve(f, initial_guess)` returns x.
        tangent_solve: `tangent_solve(g, y)` returns the x with g(x) = y for a linear function g,
            f's derivative at the root. For a number: `lambda g, y: y / g(1.0)`.
        has_aux: `solve` returns (x, other things); those have no derivative.

    Raises: StructureError, ShapeError, DtypeError if a function returns something unlike the guess.

        >>> newton = lambda f, x: fori_loop(0, 9, lambda _, x: x - f(x) / grad(f)(x), x)
        >>> square_root = lambda a: custom_root(lambda x: x * x - a, 1.0, newton,
        ...                                     lambda g, y: y / g(1.0))
        >>> value_and_grad(square_root)(4.0)
        (Array(2., dtype=float32), Array(0.25, dtype=float32))
    """
    equation = _Equation("custom_root", initial_guess)

    def solve_tangent(x: Any, y: Any) -> Any:
        return tangent_solve(linearize(f, x)[1], y)

    _, zero = equation.traced("f", f)
    flat, solved = equation.traced("solve", partial(solve, f), has_aux=has_aux)
    _, tangent = equation.traced("tangent_solve", solve_tangent, vectors=2)
    count = len(equation.types)
    graphs, captured = same_captures([zero, solved, tangent], [count, count, 2 * count])
    outs = ops.root(*equation.leaves, *captured, count=count, f=graphs[0], body=graphs[1],
                    tangent=graphs[2])
    return equation.solved(flat, outs, has_aux)
