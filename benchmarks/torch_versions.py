"""The workloads as a PyTorch user would write them: in-place optimizers, fused library calls."""

import torch
import torch.nn.functional as F

from benchmarks.data import leaves
from benchmarks.workloads import Missing

sdpa = F.scaled_dot_product_attention


def erf_cdf(x):
    return 0.5 + 0.5 * torch.erf(x * 0.5**0.5)


def black_scholes(s, k, t, r=0.03, sigma=0.25):
    spread = sigma * t.sqrt()
    d1 = ((s / k).log() + (r + 0.5 * sigma**2) * t) / spread
    discounted = k * (-r * t).exp()
    call = s * erf_cdf(d1) - discounted * erf_cdf(d1 - spread)
    return call, call - s + discounted


def mandelbrot(cr, ci):
    cr, ci = cr[None, :], ci[:, None]
    zr = torch.zeros(ci.shape[0], cr.shape[1])
    zi, count = zr, zr.int()
    for _ in range(50):
        rr, ii = zr * zr, zi * zi
        inside = rr + ii <= 4
        zr, zi, count = (
            torch.where(inside, rr - ii + cr, zr),
            torch.where(inside, 2 * zr * zi + ci, zi),
            count + inside,
        )
    return count


def nbody(position, velocity, mass):
    d = position[None, :] - position[:, None]
    inverse = torch.rsqrt((d * d).sum(-1) + 0.01)
    velocity = velocity + 0.01 * (d * (mass * inverse * inverse * inverse)[..., None]).sum(1)
    return position + 0.01 * velocity, velocity


def jacobi(u):
    u, new = u.clone(), u.clone()
    for _ in range(10):
        new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u, new = new, u
    return u


def unrolled(x):
    for i in range(50):
        x = x + 0.2 * torch.cos(x + i)
    return x


def mlp_loss(params, x, y):
    for layer in params[:-1]:
        x = F.relu(x @ layer["w"] + layer["b"])
    return F.cross_entropy(x @ params[-1]["w"] + params[-1]["b"], y)


def gpt_loss(p, tokens):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    b, t = inputs.shape
    heads, _, d = p["layers"][0]["wo"].shape
    x = F.embedding(inputs, p["wte"]) + p["wpe"]
    for layer in p["layers"]:
        h = F.layer_norm(x, (d,), layer["s1"], layer["b1"])
        q, k, v = ((h @ layer[w]).view(b, t, heads, -1).transpose(1, 2) for w in ("wq", "wk", "wv"))
        a = sdpa(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
        x = x + a @ layer["wo"].view(d, d)
        h = F.layer_norm(x, (d,), layer["s2"], layer["b2"])
        x = (
            x
            + F.gelu(h @ layer["up"] + layer["up_b"], approximate="tanh") @ layer["down"]
            + layer["down_b"]
        )
    logits = F.layer_norm(x, (d,), p["s"], p["b"]) @ p["wte"].T
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def per_example_grads(params, x, y):
    return torch.func.vmap(torch.func.grad(mlp_loss), (None, 0, 0))(params, x, y)


def hessian(w, x, y):
    loss = lambda w: F.softplus(-y * (x @ w)).mean() + 0.01 * (w * w).sum()
    return torch.func.hessian(loss)(w)


PLAIN = {  # forward functions of the workload's own arguments
    "dispatch/add4": lambda x: x + 1,
    "dispatch/eager_add4": lambda x: x + 1,
    "dispatch/pytree100": lambda t: {k: v * 2 + 1 for k, v in t.items()},
    "elementwise/axpy": lambda x, y: 2 * x + y,
    "elementwise/exp": torch.exp,
    "elementwise/chain": lambda x: F.gelu(x, approximate="tanh") * torch.sigmoid(x) + torch.sin(x),
    "reduce/sum_rows": lambda x: x.sum(1),
    "reduce/sum_cols": lambda x: x.sum(0),
    "reduce/max_rows": lambda x: x.amax(1),
    "reduce/max_cols": lambda x: x.amax(0),
    "reduce/var_rows": lambda x: x.var(1, correction=0),
    "reduce/var_cols": lambda x: x.var(0, correction=0),
    "reduce/logsumexp": lambda x: torch.logsumexp(x, -1),
    "reduce/softmax": lambda x: F.softmax(x, -1),
    "matmul/bias_relu": lambda x, w, b: F.relu(torch.addmm(b, x, w)),
    "matmul/": torch.matmul,
    "random/bits": lambda seed: (
        torch.empty(1 << 24, dtype=torch.int32).random_(-(2**31), 2**31).view(torch.uint32)
    ),
    "random/normal": lambda seed: torch.randn(1 << 24),
    "gather/scatter_add": lambda x, i, y: x.index_add(0, i, y),
    "gather/sort": lambda x: torch.sort(x).values,
    "gather/argsort": torch.argsort,
    "gather/cumsum": lambda x: torch.cumsum(x, 0),
    "gather/top_k": lambda x: tuple(torch.topk(x, 50)),
    "vmap/per_example_grads": per_example_grads,
    "vmap/hessian": hessian,
    "numeric/black_scholes": black_scholes,
    "numeric/mandelbrot": mandelbrot,
    "numeric/nbody": nbody,
    "numeric/jacobi": jacobi,
    "numeric/fft": torch.fft.fft,
    "fourier/fft2": torch.fft.fft2,
    "fourier/fft": torch.fft.fft,
    "fourier/rfft": torch.fft.rfft,
    "fourier/irfft": torch.fft.irfft,
    "numeric/cholesky": torch.linalg.cholesky,
    "numeric/solve": torch.linalg.solve,
    "numeric/slogdet": lambda a: torch.linalg.slogdet(a)[1],
    "numeric/qr": lambda a: tuple(torch.linalg.qr(a)),
    "compile/add4": lambda x: x + 1,
    "compile/chain200": unrolled,
}
DIFFERENTIABLE = {  # also run with gradients, where the workload's last argument is the cotangent
    "reduce/layernorm": lambda x, scale, bias: F.layer_norm(x, (x.shape[-1],), scale, bias),
    "gather/embed": lambda table, i: F.embedding(i, table),
    "matmul/gelu": lambda h, w: F.gelu(h, approximate="tanh") @ w,
    "attention/": lambda q, k, v: sdpa(q[None], k[None], v[None], is_causal=True)[0],
}


def train(loss, compile, args):
    loss, params = compile(loss), args[0]
    weights = [p.requires_grad_() for p in leaves(params)]
    if torch.is_tensor(args[1]):
        batch, optimizer = args[1:], torch.optim.SGD(weights, lr=0.1)
    else:
        m, v, step, *batch = args[1:]
        optimizer = torch.optim.Adam(weights, lr=1e-3, fused=True)
        for p, m1, v1 in zip(weights, leaves(m), leaves(v)):
            optimizer.state[p] = {"step": step.clone(), "exp_avg": m1, "exp_avg_sq": v1}

    def run(*batch):
        optimizer.zero_grad()
        value = loss(params, *batch)
        value.backward()
        optimizer.step()
        return (value, params) if len(args) == 3 else (value, params, m, v)

    return run, batch


def adamw(params, m, v, step, grads):
    """The library's update of all arrays at once, in place."""
    weights = [p.requires_grad_() for p in params]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.01, fused=True)
    for p, m1, v1, g in zip(weights, m, v, grads):
        p.grad = g
        # It counts the step itself.
        optimizer.state[p] = {"step": step - 1, "exp_avg": m1, "exp_avg_sq": v1}

    def run():
        optimizer.step()
        return params, m, v

    return run, ()


def lstm(compile, wx, wh, b, xs, *cotangent):
    layer = torch.nn.LSTM(wx.shape[0], wh.shape[0])
    for name, value in (
        ("weight_ih_l0", wx.T),
        ("weight_hh_l0", wh.T),
        ("bias_ih_l0", b),
        ("bias_hh_l0", 0 * b),
    ):
        getattr(layer, name).data.copy_(value)

    def gradients(xs, ct):
        layer.zero_grad()
        value = (layer(xs)[0] * ct).sum()
        value.backward()
        return value, (layer.weight_ih_l0.grad.T, layer.weight_hh_l0.grad.T, layer.bias_ih_l0.grad)

    if cotangent:
        return gradients, (xs, *cotangent)
    layer.requires_grad_(False)
    return (lambda xs: layer(xs)[0]), (xs,)


def conv(compile, x, w, *cotangent):
    """Tensors in channels_last layout, which is NHWC in memory, with the logical order NCHW."""
    x, w = (
        x.permute(0, 3, 1, 2),
        w.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last),
    )
    f = compile(lambda x, w: F.conv2d(x, w, padding=1))
    if not cotangent:
        return (lambda x, w: f(x, w).permute(0, 2, 3, 1)), (x, w)
    run, args = with_grad(f, 2, x, w, cotangent[0].permute(0, 3, 1, 2))

    def nhwc(*args):
        value, (dx, dw) = run(*args)
        return value, (dx.permute(0, 2, 3, 1), dw.permute(2, 3, 1, 0))

    return nhwc, args


def resnet_block(compile, params, x, ct):
    """Tensors in channels_last layout, and the library's own batch normalisation."""
    names = ("w1", "w2", "s1", "s2", "b1", "b2")
    image, memory = (0, 3, 1, 2), torch.channels_last

    def block(w1, w2, s1, s2, b1, b2, x):
        y = F.batch_norm(F.conv2d(x, w1, padding=1), None, None, s1, b1, training=True)
        y = F.batch_norm(F.conv2d(F.relu(y), w2, padding=1), None, None, s2, b2, training=True)
        return F.relu(x + y)

    weights = [
        p.permute(3, 2, 0, 1).contiguous(memory_format=memory) if p.ndim == 4 else p
        for p in (params[name] for name in names)
    ]
    run, args = with_grad(compile(block), 7, *weights, x.permute(image), ct.permute(image))

    def nhwc(*args):
        value, (*grads, dx) = run(*args)
        grads = {n: g.permute(2, 3, 1, 0) if g.ndim == 4 else g for n, g in zip(names, grads)}
        return value, (grads, dx.permute(0, 2, 3, 1))

    return nhwc, args


def with_grad(f, n, *args):
    def run(*args):
        inputs = [a.detach().requires_grad_() for a in args[:n]]
        value = (f(*inputs, *args[n:-1]) * args[-1]).sum()
        return value, torch.autograd.grad(value, inputs)

    return run, args


def versions(workload, compile, args):
    name = workload.name
    if name.endswith(("lstm", "lstm_grad")):
        if workload.group == "compile":
            raise Missing("torch.nn.LSTM is precompiled")
        return lstm(compile, *args)
    if name.startswith("train/resnet_block"):
        return resnet_block(compile, *args)
    if name in ("conv/forward", "conv/forward_backward"):
        return conv(compile, *args)
    if name.startswith("train/adamw"):
        return adamw(*args)
    for ending, loss in (
        ("mlp_sgd", mlp_loss),
        ("mlp_adam", mlp_loss),
        ("gpt_adam", gpt_loss),
        ("gpt24_tiny", gpt_loss),
    ):
        if name.endswith(ending):
            return train(loss, compile, args)
    for prefix, f in DIFFERENTIABLE.items():
        if name.startswith(prefix):
            f = compile(f)
            return with_grad(f, workload.grad, *args) if workload.grad else (f, args)
    for prefix, f in PLAIN.items():
        if name.startswith(prefix):
            return (compile(f) if workload.jit else f), args
    raise Missing("no version written")
