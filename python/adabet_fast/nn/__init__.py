"""Choose, by the topology of their activations, which layers of a PyTorch network to train.

Examples
--------
>>> import torch
>>> from torch import nn
>>> from adabet_fast.nn import select_layers
>>> _ = torch.manual_seed(0)
>>> network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
>>> selection = select_layers(network, [torch.randn(8, 2) for _ in range(5)], rho=0.5)
>>> len(selection.layers), selection.always_train
(1, ('4',))
>>> with selection.applied(network):
...     optimizer = torch.optim.SGD((p for p in network.parameters() if p.requires_grad), lr=0.1)
...     sum(p.requires_grad for p in network.parameters())
4
"""

from adabet_fast.nn.budget import Budget
from adabet_fast.nn.channels import ChannelChoice
from adabet_fast.nn.choice import BudgetWarning
from adabet_fast.nn.cost import TrainingCost, training_cost
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.homology import h1, h1_batch
from adabet_fast.nn.layer_score import LayerScore, Settings
from adabet_fast.nn.memory import MemoryUse
from adabet_fast.nn.parameters import print_trainable_parameters
from adabet_fast.nn.scores import LayerScores
from adabet_fast.nn.scoring import score_layers
from adabet_fast.nn.select import select_layers
from adabet_fast.nn.selection import Selection, SharedParameter
from adabet_fast.nn.stability import Drift, RankingWarning, Stability

__all__ = [
    "Budget",
    "BudgetWarning",
    "ChannelChoice",
    "Drift",
    "Fingerprint",
    "LayerScore",
    "LayerScores",
    "MemoryUse",
    "RankingWarning",
    "Selection",
    "Settings",
    "SharedParameter",
    "Stability",
    "TrainingCost",
    "h1",
    "h1_batch",
    "print_trainable_parameters",
    "score_layers",
    "select_layers",
    "training_cost",
]
