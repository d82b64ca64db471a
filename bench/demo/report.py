"""The demo's words and tables, section by section, as they become known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .figures import Duel, LayerRow, Outcome, Preparation, Run, Settings, Spread, Summary
from .terminal import bold, heading, legend, paragraph, table

TITLE = "AdaBet on real digits: which layers are worth training?"


def opening() -> str:
    """What the demo does, in four lines."""
    text = """A small residual network knows the digits 0-4 and has to learn 5-9 from few labelled images. AdaBet
        (arXiv 2510.03101) picks the layers to train before any training, without labels or gradients: it counts
        the loops (b1) in each layer's activations. Its pick is then fine-tuned beside plainer choices."""
    return f"\n{bold(TITLE)}\n\n{paragraph(text)}"


def network(known: Preparation) -> str:
    """Section 1: the pre-trained network."""
    made = f"trained now, in {known.pretraining_seconds:.1f} s" if known.pretraining_seconds else "from the cache"
    text = f"""A residual network for 8x8 images: {len(known.layers) + 1} modules with parameters,
        {known.n_parameters:,} parameters. Pre-trained on {known.n_source_train} images of the digits 0-4, it gets
        {percent(known.pretrained_accuracy)} % of {known.n_source_test} others right ({made})."""
    return f"{heading(1, 'The network')}\n{paragraph(text)}"


def scoring(known: Preparation) -> str:
    """Section 2: the table of scores and the choice."""
    s = known.settings
    ranked = known.ranked
    how = f"""{s.n_batches} batches of {s.batch_size} unlabelled images of the digits 5-9, forward only. The outputs
        of each layer are one cloud of {s.n_batches * s.batch_size} points; {len(ranked)} layers were scored in
        {known.scoring_seconds:.2f} s."""
    choice = f"""Chosen, the top {100 * s.rho:g} % of {len(ranked)} layers, rounded up: {", ".join(known.chosen)}.
        The head {known.head.name!r}, new for the new classes, is always trained, without a rank."""
    columns = ["rank", "layer", "kind", "parameters", "|a|", "b1", "b1/|a| x 1000", "chosen"]
    meanings = [
        ("|a|", "numbers that the layer puts out for one image"),
        ("b1", "H1 bars (death > birth) of the cloud's Vietoris-Rips filtration, Euclidean, full range"),
        ("b1/|a|", "AdaBet's score: the highest are trained"),
    ]
    strong = [i for i, row in enumerate(ranked) if row.chosen]
    return "\n".join(
        [
            heading(2, "The layers' scores"),
            paragraph(how),
            "",
            table(columns, [_layer(row) for row in [*ranked, known.head]], align="><<>>>><", strong=strong),
            "",
            legend(meanings),
            "",
            paragraph(choice),
        ]
    )


def protocol(known: Preparation, titles: Mapping[str, str]) -> str:
    """Section 3: what is the same for all strategies."""
    s = known.settings
    recipe = s.fine_tuning
    text = f"""The same for all {len(titles)} strategies: {known.n_labelled} labelled images ({s.images_per_class} a
        class), a fresh head, Adam, {plural(recipe.epochs, "epoch")} in batches of {recipe.batch_size}, a learning rate
        of {recipe.learning_rate:g} that falls to 0 along a cosine (one rate for all, so not the best for each; --lr
        tries another). The seed draws the labelled images, the head's first weights, the order of the batches and the
        random layers; AdaBet has chosen once, above. 1/|a|, raw b1 and random train as many layers as AdaBet; matched
        random's have as many parameters, too (to 10 % where such layers were drawn). Frozen BatchNorm keeps its
        statistics. Accuracy in %, taken once, after the last epoch, on {known.n_target_test} images held out:"""
    return f"{heading(3, 'Fine-tuning on the digits 5-9')}\n{paragraph(text)}\n"


def seed_header(titles: Mapping[str, str]) -> str:
    """The head of the table that grows by a line with each seed."""
    return table(["seed", *titles.values()], [], align=">" * (1 + len(titles)))


def seed_line(seed: int, runs: Sequence[Run], titles: Mapping[str, str]) -> str:
    """One line of that table."""
    cells = [percent(run.accuracy).rjust(len(titles[run.strategy])) for run in runs]
    return table([" " * 4, *titles.values()], [[str(seed), *cells]], align=">" * (1 + len(titles))).splitlines()[-1]


def trial_run() -> str:
    """Warn that figures of --quick are no figures."""
    return "\n" + paragraph("A trial run (--quick): pre-training and fine-tuning stop long before they are done.")


def picks(outcome: Outcome, titles: Mapping[str, str], head: str) -> str:
    """Which layers each strategy trained; where the seeds differ, a line for each."""
    rows = []
    for key, title in titles.items():
        mine = [run for run in outcome.runs if run.strategy == key]
        same = len({run.layers for run in mine}) == 1
        for run in mine[:1] if same else mine:
            others = ", ".join(name for name in run.layers if name != head)
            text = "all" if key == "full" else others or "none"
            rows.append([title if run is mine[0] else "", "every" if same else str(run.seed), text])
    return "\n" + table(["strategy", "seed", f"layers trained beside the head {head!r}"], rows, align="<><")


def costs(known: Preparation, outcome: Outcome) -> str:
    """Section 4: accuracy beside bytes and time."""
    best = max(s.accuracy.mean for s in outcome.summaries)
    bytes_ = ["saved", "gradients", "optimizer", "in all"]
    columns = ["strategy", "accuracy %", "layers", "parameters", *bytes_, "ms/epoch"]
    seeds = plural(len(known.settings.seeds), "seed")
    batch = known.settings.fine_tuning.batch_size
    meanings = [
        ("accuracy", f"mean ± standard deviation over {seeds}; the highest is marked *"),
        ("layers", "modules that are trained, the head among them"),
        ("parameters", "numbers that are trained (random layers: mean over the seeds, as for bytes)"),
        ("saved", f"KiB kept from forward to backward for one batch of {batch}, as autograd keeps them"),
        ("gradients", "KiB of the trained parameters' gradients"),
        ("optimizer", "KiB of Adam's state: two moments and a step count for each trained parameter tensor"),
        ("in all", "KiB of the three together, beyond the network itself"),
        ("ms/epoch", f"median over epochs and seeds, steps alone, {known.n_labelled} images an epoch, one thread"),
    ]
    rows = [_summary(summary, summary.accuracy.mean == best) for summary in outcome.summaries]
    title = heading(4, "What each brought, and what it cost")
    return "\n".join([title, table(columns, rows, align="<>>>>>>>>"), "", legend(meanings)])


def verdict(outcome: Outcome, said: Sequence[str]) -> str:
    """Section 5: AdaBet against each of the others, and sentences computed from the figures."""
    columns = ["AdaBet against", "difference", "ahead", "behind", "beyond its deviation"]
    meanings = [
        ("difference", "AdaBet's accuracy minus the other's in percentage points, seed by seed: mean ± deviation"),
        ("beyond", "whether the mean is larger than the deviation: over few seeds a hint, no proof"),
        ("ahead", "seeds in which AdaBet got more images right (behind: fewer)"),
    ]
    rows = [_duel(each) for each in outcome.duels]
    return "\n".join(
        [
            heading(5, "What the figures say"),
            table(columns, rows, align="<>>>>"),
            "",
            legend(meanings),
            "",
            *(paragraph(sentence, bullet="- ") for sentence in said),
        ]
    )


def percent(share: float, digits: int = 1) -> str:
    return f"{round(100 * share, digits) + 0.0:.{digits}f}"  # plus zero: a rounded loss of nothing is no -0.0


def spread(value: Spread, digits: int = 1) -> str:
    """A share's mean and deviation in percent."""
    return percent(value.mean, digits) + ("" if value.std is None else f" ± {percent(value.std, digits)}")


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def kib(n_bytes: float) -> str:
    return f"{n_bytes / 1024:,.1f}"


def describe(settings: Settings) -> str:
    """One line for the picture's foot."""
    return f"{settings.n_batches} batches of {settings.batch_size} unlabelled images of the digits 5-9"


def _layer(row: LayerRow) -> list[str]:
    score = f"{1000 * row.score:.3f}"
    return [
        "-" if row.rank is None else str(row.rank),
        row.name,
        row.kind,
        f"{row.parameters:,}",
        f"{row.activations:,}",
        str(row.b1),
        score,
        "always" if row.rank is None else "yes" if row.chosen else "",
    ]


def _summary(summary: Summary, best: bool) -> list[str]:
    return [
        summary.title,
        ("* " if best else "") + spread(summary.accuracy),
        f"{summary.n_layers.mean:g}",
        f"{summary.trainable_parameters.mean:,.0f}",
        kib(summary.saved_bytes.mean),
        kib(summary.gradient_bytes.mean),
        kib(summary.optimizer_bytes.mean),
        kib(summary.total_bytes),
        f"{1000 * summary.epoch_seconds:.1f}",
    ]


def _duel(each: Duel) -> list[str]:
    sign = "+" if round(100 * each.difference.mean, 2) >= 0 else ""
    beyond = {None: "one seed: unknown", True: "yes", False: "no"}[each.exceeds_std]
    return [each.title, sign + spread(each.difference, 2), str(each.ahead), str(each.behind), beyond]
