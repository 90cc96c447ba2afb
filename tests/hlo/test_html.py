"""The picture of a graph: what the page holds, and what a browser makes of it."""

import base64
import hashlib
import json
import linecache
import re
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from random_graphs import random_graph

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt, lax
from arraylib.errors import Source
from arraylib.hlo.html import FAMILIES, family, page
from arraylib.hlo.ir import Type, regions, trace_graph
from arraylib.hlo.ops import TABLE
from arraylib.hlo.pretty import pretty

F32 = Type(dt.float32, (8,))
EVIL = "</script><script>document.documentElement.dataset.broken = 1</script><!--"


class Page(HTMLParser):
    """The elements of a page, the text of each script, style and title, and the facts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.attributes, self.ids = [], {}, [], set()
        self._inside = None
        self.feed(text)
        self.facts = json.loads(self.texts["facts"]) if "facts" in self.texts else None

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids.update(value for name, value in attrs if name == "id")
        self._inside = dict(attrs).get("id", tag)

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def operations(self):
        """The names of the operations, scope after scope; inputs are no operations."""
        kinds = self.facts["kinds"]
        return [kinds[node["kind"]][0] for node in self.facts["nodes"]
                if kinds[node["kind"]][1] != "input"]


def all_nodes(graph):
    """The nodes of a graph, each followed by those of its regions."""
    return [inner for node in graph.nodes
            for inner in (node, *(n for region in regions(node) for n in all_nodes(region)))]


def chain(length):
    def function(x):
        for _ in range(length):
            x = TABLE["sine"](x)
        return [x]
    return trace_graph([F32], function)


def fan(width):
    """A constant and a result that many read."""
    def function(x):
        c, t = TABLE["constant"](value=np.arange(8, dtype=np.float32)), TABLE["tanh"](x)
        return [TABLE["add"](TABLE["multiply"](x, c), t) for _ in range(width)]
    return trace_graph([F32], function)


def views(length):
    """A constant seen through a chain of views, all of them tucked away into the sum."""
    def function(x):
        view = TABLE["constant"](value=np.ones((8, 8), np.float32))
        for _ in range(length):
            view = TABLE["transpose"](view, permutation=(1, 0))
        return [TABLE["add"](x, view)]
    return trace_graph([F32.with_shape((8, 8))], function)


def mesh(size):
    """Each node reads two of the fifty before it."""
    rng = np.random.default_rng(0)

    def function(x):
        values = [x]
        for _ in range(size):
            near = values[-50:]
            values.append(TABLE["add"](*[near[i] for i in rng.integers(len(near), size=2)]))
        return values[-1:]
    return trace_graph([F32], function)


def loops():
    """A scan with a conditional inside, then a while."""
    def step(c, x):
        h = jnp.tanh(c @ x + 1.0)
        h = lax.cond(h.sum() > 0, lambda h: h * 2, jnp.sin, h)
        return h, (h * h).sum()

    def function(c, xs):
        c, ys = lax.scan(step, c, xs)
        return lax.while_loop(lambda s: s[1].sum() < 10, lambda s: (s[0] + 1, s[1] * 1.5), (0, ys))
    arrays = jnp.ones((4, 4)), jnp.ones((5, 4, 4))
    return arraylib.make_graph(function)(*arrays).graph


def training_step(layers=2):
    """The training step of examples/char_gpt.py, small."""
    example = pytest.importorskip("char_gpt", reason="the examples' own requirements are missing")
    params = example.init(arraylib.random.key(0), 16, width=32, layers=layers, heads=2)
    tokens, rate = np.zeros((2, 17), np.int32), np.float32(1e-3)
    step = arraylib.make_graph(example.train_step.__wrapped__)
    return step(example.start(params), tokens, rate).graph


@pytest.fixture
def examples(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "examples")


GRAPHS = {
    "empty": lambda: trace_graph([], list),
    "one node": lambda: chain(1),
    "fan": lambda: fan(30),
    "loops": loops,
    **{f"random {seed}": lambda seed=seed: random_graph(seed, 40) for seed in range(6)},
}

# -- the page's text ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_all_nodes_are_there(name):
    graph = GRAPHS[name]()
    found = Page(page(graph, name))
    assert found.operations() == [node.op.name for node in all_nodes(graph)]
    assert found.facts["lines"] == pretty(graph).split("\n")
    assert len(found.facts["lineNodes"]) == len(found.facts["lines"])
    scopes = [graph, *(region for node in all_nodes(graph) for region in regions(node))]
    assert len(found.facts["scopes"]) == len(scopes)
    assert sum(len(s["inputs"]) for s in found.facts["scopes"]) == sum(len(g.inputs)
                                                                     for g in scopes)


@pytest.mark.parametrize("name", GRAPHS)
def test_lines_name_what_the_facts_say(name):
    """Each node's line lists its results, operation and operands, in the names of the values."""
    facts = Page(page(GRAPHS[name]())).facts
    for number, node in enumerate(facts["nodes"]):
        op, kind, _ = facts["kinds"][node["kind"]]
        results = [f"{facts['names'][node['first'] + i]}: {facts['types'][t]}"
                   for i, t in enumerate(node["types"])]
        line = facts["lines"][node["line"]].strip()
        if kind == "input":
            assert results[0] in line
            continue
        operands = [facts["names"][value] for value in node["operands"]]
        assert line.startswith(" ".join([f"{', '.join(results)} =", op, *operands]))
        assert facts["lineNodes"][node["line"]] == number


def test_nothing_comes_from_elsewhere():
    text = page(random_graph(0))
    found = Page(text)
    loads = {"src", "href", "srcset", "action", "data", "style", "onload", "onclick"}
    assert not loads & {name for name, _ in found.attributes}
    assert found.tags.count("script") == 2 and not {"link", "iframe", "img"} & set(found.tags)
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|fetch\(|XMLHttp|innerHTML", text)


def test_the_policy_names_the_one_script_and_style():
    found = Page(page(chain(2)))
    policy = next(value for name, value in found.attributes if name == "content" and "src" in value)
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(found.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def evil_graph():
    """A graph of a program whose file, function and line are markup."""
    graph = chain(3)
    file = "/tmp/<b>&amp;.py"
    linecache.cache[file] = (1, None, [f"x = 1  # {EVIL}\n"], file)
    where = Source(file, 1, EVIL)
    return replace(graph, nodes=tuple(replace(node, where=where) for node in graph.nodes))


def test_what_the_user_wrote_stays_text():
    evil, plain = Page(page(evil_graph(), EVIL)), Page(page(chain(3), "plain"))
    assert evil.tags == plain.tags
    assert evil.texts["title"] == evil.texts["h1"] == EVIL
    assert ["<b>&amp;.py:1", EVIL, f"x = 1  # {EVIL}"] in evil.facts["sources"]
    assert not set(evil.texts["facts"]) & set("<>&")


def test_a_title_is_no_template():
    found = Page(page(chain(1), "{{script}} \\1 {{data}}"))
    assert found.texts["title"] == "{{script}} \\1 {{data}}"
    assert Page(page(chain(1))).texts["title"] == "graph"


def test_attributes_of_many_lines():
    """The listing then has lines that begin no node; they belong to the node before."""
    text = "one\nsine of\n  return\n"
    op = replace(TABLE["sine"], name="note", numpy=lambda x, *, text: x)
    graph = trace_graph([F32], lambda x: [TABLE["sine"](op(x, text=text))])
    facts = Page(page(graph)).facts
    assert facts["lines"] == pretty(graph).split("\n")
    assert facts["lineNodes"] == [-1, 1, 1, 1, 1, 2, -1]
    assert [facts["names"][n["first"]] for n in facts["nodes"]] == ["a", "b", "c"]


def test_values_of_any_letters():
    op = replace(TABLE["sine"], name="note", numpy=lambda x, *, text: x)
    graph = trace_graph([F32], lambda x: [op(x, text="\u2028 ż 水 \x00")])
    assert "\u2028 ż 水 \x00" in Page(page(graph)).facts["lines"][1]


@pytest.mark.parametrize("name", TABLE)
def test_every_operation_has_a_colour(name):
    for example in TABLE[name].examples:
        graph = trace_graph(example.types, partial(_outputs, TABLE[name], example.attrs))
        assert family(graph.nodes[-1]) in FAMILIES
        assert Page(page(graph)).operations()


def _outputs(op, attrs, *operands):
    found = op(*operands, **attrs)
    return found if op.multiple else [found]


def test_families():
    x, i = Type(dt.float32, (2, 3)), Type(dt.int32, ())

    def colour(function, *types):
        return family(trace_graph(types, lambda *xs: [function(*xs)]).nodes[-1])
    assert colour(TABLE["sine"], x) == "elementwise"
    assert colour(lambda x: TABLE["reduce_add"](x, dimensions=(0,)), x) == "reduction"
    assert colour(lambda x: TABLE["transpose"](x, permutation=(1, 0)), x) == "movement"
    assert colour(lambda: TABLE["iota"](shape=(2,), dimension=0, dtype=dt.int32)) == "constant"
    assert {family(n) for n in loops().nodes} == {"control", "constant"}
    dot = arraylib.make_graph(lambda a: a @ a.T)(jnp.ones((2, 3))).graph
    assert [family(n) for n in dot.nodes] == ["movement", "product"]
    assert i.rank == 0


def test_work_and_traffic():
    """A product of 2x3 and 3x4: twice 24 multiply-adds, 26 numbers in and out."""
    graph = arraylib.make_graph(jnp.matmul)(jnp.ones((2, 3)), jnp.ones((3, 4))).graph
    node = Page(page(graph)).facts["nodes"][-1]
    assert (node["flops"], node["bytes"]) == (48, 26 * 4)


def test_constants_are_shown_in_their_readers():
    graph = arraylib.make_graph(lambda x: 0.5 * x + 1)(jnp.ones((2, 3))).graph
    facts = Page(page(graph)).facts
    details = {facts["kinds"][n["kind"]][0]: n["detail"] for n in facts["nodes"] if "detail" in n}
    assert (details["multiply"], details["add"]) == ("0.5 ·", "· 1.0")
    quiet = [n for n in facts["nodes"] if "quiet" in n]
    assert {facts["kinds"][n["kind"]][1] for n in quiet} <= {"constant", "movement"}


def test_groups():
    graph = chain(4)
    first, second, third, _ = graph.nodes
    facts = Page(page(graph, groups={first: "f", second: "f", third: EVIL})).facts
    assert facts["groups"] == ["f", EVIL]
    assert [n.get("group") for n in facts["nodes"]] == [None, 0, 0, 1, None]


def test_lines_of_source_are_shown():
    graph = arraylib.make_graph(lambda x: jnp.sin(x) * 2)(1.0).graph
    sources = Page(page(graph)).facts["sources"]
    assert any(place.startswith("test_html.py:") and "jnp.sin(x) * 2" in text
               for place, _, text in sources)


def test_ten_thousand_in_a_row():
    assert len(Page(page(chain(10_000))).operations()) == 10_000


# -- in a browser ---------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--window-size=1200,800")
SAY = """
    const root = document.documentElement;
    const say = (name, value) => { root.dataset[name] = value; };
"""


@pytest.fixture
def browse(tmp_path):
    """Opens a page, runs a script in it, and gives what `data-` attributes its root has then."""
    def browse(text, script="", address=""):
        if script:  # which the page's policy forbids
            text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
            text = text.replace("</body>", f"<script>{{ {SAY} {script} }}</script></body>")
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
             f"{file.as_uri()}#{address}"], capture_output=True, timeout=120, check=True)
        found = Dataset(done.stdout.decode())
        return {name: json.loads(value) if name == "ready" else value
                for name, value in found.values.items()}
    return browse


class Dataset(HTMLParser):
    """The `data-` attributes of the root element."""

    def __init__(self, text):
        super().__init__()
        self.values = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "html":
            self.values = {name.removeprefix("data-"): value for name, value in attrs}


@needs_browser
def test_opens_a_training_step(browse, examples):
    graph = training_step()
    found = browse(page(graph, "step"))["ready"]
    assert found["nodes"] == len(all_nodes(graph)) + sum(
        len(g.inputs) for g in [graph, *(r for n in all_nodes(graph) for r in regions(n))])
    assert len(graph.nodes) / 2 < found["boxes"] <= len(graph.nodes) + len(graph.inputs)
    assert found["edges"] > found["boxes"] / 2


@needs_browser
@pytest.mark.parametrize("name, graph, boxes, edges", [
    ("empty", lambda: trace_graph([], list), 0, 0),
    ("one", lambda: chain(1), 2, 1),
    ("input returned", lambda: trace_graph([F32], lambda x: [x, x]), 1, 0),
    ("constant returned", lambda: trace_graph([], lambda: [np.float32(1)]), 1, 0),
    ("chain", lambda: chain(10_000), 10_001, 10_000),
    ("fan", lambda: fan(1000), 2002, 3001),
    ("views of a constant", lambda: views(10_000), 2, 1),
])
def test_extremes(browse, name, graph, boxes, edges):
    found = browse(page(graph(), name), address="select=b")
    assert (found["ready"]["boxes"], found["ready"]["edges"]) == (boxes, edges)
    assert found.get("chosen") == ("b" if boxes > 1 else None)


@needs_browser
def test_a_constant_with_a_thousand_readers_shown(browse):
    found = browse(page(fan(1000)), address="constants=1")["ready"]
    assert (found["boxes"], found["edges"]) == (2003, 4001)


@needs_browser
@pytest.mark.slow
def test_twenty_thousand_nodes_open(browse):
    found = browse(page(mesh(20_000)), address="fit=1")["ready"]
    assert (found["boxes"], found["edges"]) == (20_001, 40_000)
    assert found["layout"] + found["draw"] < 60_000  # 2 seconds if nothing else runs


@needs_browser
def test_nothing_the_user_wrote_runs(browse):
    found = browse(page(evil_graph(), EVIL, groups={n: EVIL for n in evil_graph().nodes}),
                   address="select=b")
    assert found["chosen"] == "b" and "broken" not in found


@needs_browser
def test_regions_open_and_close(browse):
    """By a click on the box, which `select` has brought to the middle, and by keys."""
    text = page(loops())
    found = browse(text, """
        const picture = document.getElementById("picture");
        const {left, top, width, height} = picture.getBoundingClientRect();
        const at = {clientX: left + width / 2, clientY: top + height / 2, pointerId: 1};
        const click = () => ["pointerdown", "pointerup"].forEach(
            (kind) => picture.dispatchEvent(new PointerEvent(kind, at)));
        const press = (key) => picture.dispatchEvent(new KeyboardEvent("keydown", {key}));
        say("start", root.dataset.open);
        click();
        say("clicked", root.dataset.open);
        press("Enter");
        say("closed", root.dataset.open);
        press("e");
        say("all", root.dataset.open);
        press("c");
        press("Escape");
        say("end", root.dataset.open + root.dataset.chosen);
    """, "select=c")
    assert [found[k] for k in ("start", "clicked", "closed", "all", "end")] == [
        "0", "1", "0", "3", "0"]
    assert browse(text)["ready"]["regions"] == 0
    opened = browse(text, address="open=all")["ready"]
    assert opened["regions"] == 5 and opened["boxes"] > browse(text)["ready"]["boxes"]


@needs_browser
def test_choosing_what_is_inside_opens_around_it(browse):
    found = browse(page(loops()), address="select=q")  # the sine, in a branch in the scan's body
    assert (found["chosen"], found["open"]) == ("q", "2")


@needs_browser
def test_arrow_keys_walk_along_edges(browse):
    found = browse(page(chain(5)), """
        const picture = document.getElementById("picture");
        const names = ["ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp", "ArrowUp"].map((key) => {
          picture.dispatchEvent(new KeyboardEvent("keydown", {key}));
          return root.dataset.chosen;
        });
        say("walk", names.join(" "));
        say("said", document.getElementById("said").textContent);
    """, "select=b")
    assert found["walk"] == "c d c b a"
    assert "Read by 1" in found["said"]


@needs_browser
def test_finding(browse):
    found = browse(page(fan(50)), """
        const field = document.getElementById("find");
        const find = (text) => {
          field.value = text;
          field.dispatchEvent(new Event("input"));
          return root.dataset.matches;
        };
        say("none", find("no such thing"));
        say("byname", find('"tanh"'));
        say("byplace", find("test_html.py \\"Multiply\\""));
        say("rows", document.querySelectorAll("#listing [data-line]").length > 10);
        field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));
        say("first", root.dataset.chosen);
        field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", shiftKey: true}));
        say("before", document.getElementById("matches").textContent);
        find("");
        say("all", root.dataset.matches);
        document.querySelector("#legend button").click();
        say("legend", root.dataset.matches);
    """)
    assert (found["none"], found["byname"], found["byplace"]) == ("0", "1", "50")
    assert (found["rows"], found["first"], found["before"]) == ("true", "d", "50 of 50")
    assert (found["all"], found["legend"]) == ("", "1")


@needs_browser
def test_lines_of_the_listing_choose(browse):
    found = browse(page(chain(100)), """
        document.querySelector('#listing [data-line="7"]').click();
        say("line", root.dataset.chosen);
        say("selected", document.querySelector('[aria-selected="true"]').textContent.trim());
        say("details", document.getElementById("details").textContent);
        document.querySelector("#details .chips button").click();
        say("operand", root.dataset.chosen);
    """)
    assert (found["line"], found["operand"]) == ("h", "g")
    assert found["selected"] == "h: f32[8] = sine g"
    assert "test_html.py" in found["details"] and "8 flop" in found["details"]


@needs_browser
def test_the_picture_has_the_groups_colours(browse):
    """Pixels that are neither grey nor of the background: many, and others by group."""
    graph = chain(6)
    text = page(graph, groups={node: "one kernel" for node in graph.nodes})
    count = """
        const picture = document.getElementById("picture");
        const {data} = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
        const hues = new Map();
        for (let i = 0; i < data.length; i += 4) {
          const colour = data.slice(i, i + 3).join();
          hues.set(colour, (hues.get(colour) || 0) + 1);
        }
        const most = [...hues].sort((a, b) => b[1] - a[1]).slice(0, 2);
        say("colours", most.map(([colour]) => colour).join(" "));
    """
    by_kind, by_group = browse(text, count), browse(text, count, "colour=group")
    back, kind = by_kind["colours"].split()
    assert back != kind
    assert by_group["colours"].split()[0] == back and by_group["colours"].split()[1] != kind


@needs_browser
def test_moving_and_zooming(browse):
    """The wheel and a drag change what is in sight; the tip says what is under the pointer."""
    found = browse(page(chain(30)), """
        const picture = document.getElementById("picture");
        const {left, top, width, height} = picture.getBoundingClientRect();
        const point = (x, y) => ({clientX: left + x, clientY: top + y, pointerId: 1, buttons: 1});
        const middle = point(width / 2, height / 2);
        const tip = document.getElementById("tip");
        const hovered = (at) => {
          picture.dispatchEvent(new PointerEvent("pointermove", at));
          return tip.hidden ? "nothing" : tip.querySelector("code").textContent;
        };
        say("before", hovered(middle));
        picture.dispatchEvent(new WheelEvent("wheel", {...middle, deltaY: -200}));
        say("nearer", hovered(middle));
        picture.dispatchEvent(new PointerEvent("pointerdown", middle));
        picture.dispatchEvent(new PointerEvent("pointermove", point(width / 2 + 400, height / 2)));
        picture.dispatchEvent(new PointerEvent("pointerup", point(width / 2 + 400, height / 2)));
        say("dragged", hovered(middle) + " " + hovered(point(width / 2 + 400, height / 2)));
        say("kept", root.dataset.chosen);
    """, "select=f")
    assert found["before"] == found["nearer"] == "f: f32[8] = sine e"
    assert found["dragged"] == "nothing f: f32[8] = sine e"
    assert found["kept"] == "f"
