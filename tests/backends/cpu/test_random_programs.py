"""Random programs, loops and branches among them, compute what the interpreter does."""

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from arraylib.compile import compile_graph
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.pretty import pretty


@pytest.mark.parametrize("seed", range(40))
def test_random_program(seed):
    graph = random_graph(seed)
    arrays = random_inputs(graph, seed)
    with config.using(cache=False), np.errstate(all="ignore"):
        results = compile_graph(graph).run(arrays)
        for ours, wanted in zip(results, interpret(graph, arrays), strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=1e-5, err_msg=pretty(graph))
