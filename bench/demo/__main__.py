"""``python -m bench.demo``: the arguments, and the order of events."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from . import data, report
from .figures import Outcome, Preparation, Run, Settings
from .finetune import fine_tune
from .picture import draw
from .pretrain import Pretrained, load_or_train
from .sentences import sentences
from .strategies import OURS, Scoring, Strategy, score, strategies
from .terminal import Status, legend
from .training import Recipe

ROOT = Path(__file__).resolve().parents[2]

DESCRIPTION = """\
Choose the layers of a network that are worth training with AdaBet, train them, and compare.

A small residual network is pre-trained on scikit-learn's real 8x8 images of the digits 0-4 (once; the
weights are cached). Five batches of eight unlabelled images of the digits 5-9 then go through it, each
layer's outputs become a cloud of 40 points, and the layer's score is b1 / |a|: the number of H1 bars
of the cloud over the number of activations of one image. The best tenth of the layers and a new
head are fine-tuned on 5-9, everything else is frozen, and the same is done with
  full training   every layer
  head only       none but the new head
  1/|a|           as many layers, the smallest activations first
  raw b1          as many layers, the most bars first
  random layers   as many layers, drawn anew with each seed
  matched random  drawn likewise, and with as many parameters as AdaBet's, to 10 %
What the figures say is printed as it is, also where AdaBet loses.
"""

EPILOG = """\
examples:
  python -m bench.demo                        the whole comparison, five seeds, about a minute
  python -m bench.demo --quick                one seed, one epoch: does it run? (figures mean nothing)
  python -m bench.demo --seeds 10             more seeds, steadier means
  python -m bench.demo --lr 0.01              does the order hold at another rate of learning?
  python -m bench.demo --rho 0.2              train a fifth of the layers

the same in your own code:
  selection = adabet_fast.select_layers(model, batches, rho=0.1)
  selection.apply(model)                      then build the optimizer and train as always
"""

# Fine-tuning's rate and epochs lie between those of a small trial: rates 0.001, 0.003 and 0.01, 20 and 40 epochs, seeds
# 0 and 1, of full training, head only and two hand-picked sets of layers, before AdaBet or its comparators had chosen
# any. It looked at the same held-out images, which may flatter every strategy's accuracy a little.
FULL = Settings(
    seeds=(0, 1, 2, 3, 4),
    rho=0.1,
    n_batches=5,
    batch_size=8,
    images_per_class=20,
    pretraining=Recipe(epochs=12, batch_size=32, learning_rate=2e-3),
    fine_tuning=Recipe(epochs=30, batch_size=20, learning_rate=5e-3),
)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.demo",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fine = FULL.fine_tuning
    parser.add_argument("--seeds", type=_positive, metavar="N", help=f"seeds 0 to N-1 (default: {len(FULL.seeds)})")
    parser.add_argument("--epochs", type=_positive, metavar="N", help=f"fine-tuning epochs (default: {fine.epochs})")
    parser.add_argument(
        "--lr", type=_rate, metavar="RATE", help=f"fine-tuning's first learning rate (default: {fine.learning_rate:g})"
    )
    parser.add_argument(
        "--rho", type=_share, default=FULL.rho, metavar="SHARE", help=f"share of layers (default: {FULL.rho:g})"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output"),
        metavar="FOLDER",
        help="for scores.png and demo.json (default: demo_output)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=ROOT / ".cache" / "demo",
        metavar="FOLDER",
        help="for the pre-trained weights (default: .cache/demo in the repository)",
    )
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch, little pre-training: a trial run")
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace) -> Settings:
    """Put the defaults, --quick and the single options together; a single option wins over --quick."""
    seeds = options.seeds or (1 if options.quick else len(FULL.seeds))
    epochs = options.epochs or (1 if options.quick else FULL.fine_tuning.epochs)
    rate = options.lr or FULL.fine_tuning.learning_rate
    pretraining = dataclasses.replace(FULL.pretraining, epochs=1) if options.quick else FULL.pretraining
    return dataclasses.replace(
        FULL,
        seeds=tuple(range(seeds)),
        rho=options.rho,
        pretraining=pretraining,
        fine_tuning=dataclasses.replace(FULL.fine_tuning, epochs=epochs, learning_rate=rate),
    )


def prepare(settings: Settings, digits: data.Digits, pretrained: Pretrained, scoring: Scoring) -> Preparation:
    """Gather what is known before fine-tuning."""
    return Preparation(
        settings=settings,
        pretrained_accuracy=pretrained.test_accuracy,
        pretraining_seconds=pretrained.seconds,
        scoring_seconds=scoring.seconds,
        n_source_train=len(digits.source_train),
        n_source_test=len(digits.source_test),
        n_target_test=len(digits.target_test),
        n_parameters=sum(p.numel() for p in pretrained.network().parameters()),
        head=scoring.head,
        layers=scoring.rows,
        rank_agreement=scoring.rank_agreement,
        shared_with_size=scoring.shared_with_size,
    )


def compare(
    settings: Settings, digits: data.Digits, pretrained: Pretrained, contestants: Sequence[Strategy], status: Status
) -> list[Run]:
    """Run every strategy with every seed, a seed at a time: slow spells of the machine fall on all strategies alike."""
    titles = {each.key: each.title for each in contestants}
    print(report.seed_header(titles), flush=True)
    runs: list[Run] = []
    for seed in settings.seeds:
        row = []
        for each in contestants:
            status.show(f"seed {seed}: {each.title} ...")
            row.append(fine_tune(each, seed, pretrained, digits, settings.images_per_class, settings.fine_tuning))
        status.clear()
        print(report.seed_line(seed, row, titles), flush=True)
        runs += row
    return runs


def save(path: Path, known: Preparation, outcome: Outcome, said: Sequence[str], seconds: float) -> None:
    """Write every figure as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = {**dataclasses.asdict(known), **dataclasses.asdict(outcome), "sentences": said, "seconds": seconds}
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    options = parse(arguments)
    warnings.simplefilter("ignore")
    # One thread: a network this small gains nothing from more, and sums keep one order on every machine.
    torch.set_num_threads(1)
    start = time.perf_counter()
    settings = settings_of(options)
    status = Status()
    print(report.opening(), flush=True)

    digits = data.load()
    total = settings.pretraining.epochs

    def progress(epoch: int) -> None:
        status.show(f"pre-training: epoch {epoch} of {total}")

    pretrained = load_or_train(digits, settings.pretraining, options.cache, progress)
    scoring = score(
        pretrained.network(),
        data.unlabelled_batches(digits.target_pool, settings.n_batches, settings.batch_size),
        settings.rho,
    )
    known = prepare(settings, digits, pretrained, scoring)
    status.clear()
    print(report.network(known))
    print(report.scoring(known))
    picture = options.output / "scores.png"
    draw(known, picture)

    contestants = strategies(scoring)
    titles = {each.key: each.title for each in contestants}
    print(report.protocol(known, titles))
    outcome = Outcome.of(compare(settings, digits, pretrained, contestants, status), titles, OURS)
    said = sentences(known, outcome, OURS)
    if options.quick:
        print(report.trial_run())
    print(report.picks(outcome, titles, known.head.name))
    print(report.costs(known, outcome))
    print(report.verdict(outcome, said))

    seconds = time.perf_counter() - start
    figures = options.output / "demo.json"
    save(figures, known, outcome, said, seconds)
    print()
    print(legend([("picture", str(picture)), ("figures", str(figures)), ("in all", f"{seconds:.0f} s")]))
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < 10:
        raise argparse.ArgumentTypeError(f"expected a rate above 0 and below 10, got {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and at most 1, got {text}")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
