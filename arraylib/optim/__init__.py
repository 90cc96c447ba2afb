"""Optimisers as pairs of functions, and what they are put together from, under Optax's names.

    from arraylib import optim

    optimiser = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(3e-4))
    state = optimiser.init(params)
    updates, state = optimiser.update(gradients, state, params)
    params = optim.apply_updates(params, updates)

Under `jit` the update of all parameters is one launch of kernels, however many arrays there are.
"""

from arraylib.optim.accumulation import (
    ApplyIfFiniteState as ApplyIfFiniteState,
    MultiSteps as MultiSteps,
    MultiStepsState as MultiStepsState,
    apply_if_finite as apply_if_finite,
    incremental_update as incremental_update,
)
from arraylib.optim.clipping import (
    clip as clip,
    clip_by_block_rms as clip_by_block_rms,
    clip_by_global_norm as clip_by_global_norm,
    clip_by_norm as clip_by_norm,
    global_norm as global_norm,
)
from arraylib.optim.moments import (
    ScaleByAdamState as ScaleByAdamState,
    ScaleByAmsgradState as ScaleByAmsgradState,
    ScaleByLionState as ScaleByLionState,
    ScaleByRmsState as ScaleByRmsState,
    ScaleByRssState as ScaleByRssState,
    ScaleByScheduleState as ScaleByScheduleState,
    ScaleByStdDevState as ScaleByStdDevState,
    TraceState as TraceState,
    add_decayed_weights as add_decayed_weights,
    scale as scale,
    scale_by_adam as scale_by_adam,
    scale_by_amsgrad as scale_by_amsgrad,
    scale_by_learning_rate as scale_by_learning_rate,
    scale_by_lion as scale_by_lion,
    scale_by_rms as scale_by_rms,
    scale_by_rss as scale_by_rss,
    scale_by_schedule as scale_by_schedule,
    scale_by_stddev as scale_by_stddev,
    trace as trace,
)
from arraylib.optim.optimizers import (
    adagrad as adagrad,
    adam as adam,
    adamw as adamw,
    amsgrad as amsgrad,
    lion as lion,
    nadam as nadam,
    rmsprop as rmsprop,
    sgd as sgd,
)
from arraylib.optim.schedules import (
    ScalarOrSchedule as ScalarOrSchedule,
    Schedule as Schedule,
    constant_schedule as constant_schedule,
    cosine_decay_schedule as cosine_decay_schedule,
    exponential_decay as exponential_decay,
    join_schedules as join_schedules,
    linear_schedule as linear_schedule,
    piecewise_constant_schedule as piecewise_constant_schedule,
    polynomial_schedule as polynomial_schedule,
    warmup_constant_schedule as warmup_constant_schedule,
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
)
from arraylib.optim.transformation import (
    EmptyState as EmptyState,
    GradientTransformation as GradientTransformation,
    MaskedNode as MaskedNode,
    MaskedState as MaskedState,
    OptState as OptState,
    Params as Params,
    Updates as Updates,
    apply_updates as apply_updates,
    chain as chain,
    identity as identity,
    masked as masked,
    partition as partition,
    set_to_zero as set_to_zero,
    stateless as stateless,
)
