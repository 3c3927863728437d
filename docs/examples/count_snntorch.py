import snntorch
import torch
from torch import nn

import snnsearch

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(1, 8, 3), snntorch.Leaky(beta=0.9, init_hidden=True), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(8 * 7 * 7, 10), snntorch.Leaky(beta=0.9, init_hidden=True),
)  # fmt: skip
loader = [(torch.rand(20, 1, 16, 16), torch.randint(10, (20,)))]  # batches of images and labels
counts = snnsearch.count(net, loader, timesteps=8)
for layer in counts.layers:
    print(f"{layer.name}: {layer.macs:,.0f} MACs, {layer.acs:,.0f} ACs, {layer.spikes_out:,.0f} spikes")
print(f"{snnsearch.estimate_energy(counts).total_mj:.3g} mJ")
