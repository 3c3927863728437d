import torch
from spikingjelly.activation_based import functional, layer, neuron

import snnsearch

torch.manual_seed(0)
net = torch.nn.Sequential(
    layer.Conv2d(1, 8, 3, bias=False), layer.BatchNorm2d(8), neuron.LIFNode(v_threshold=0.25), layer.MaxPool2d(2),
    layer.Flatten(), layer.Linear(8 * 7 * 7, 10), neuron.LIFNode(v_threshold=0.25),
)  # fmt: skip
functional.set_step_mode(net, "m")
counts = snnsearch.count(net, [torch.rand(20, 1, 16, 16)], timesteps=8)
for each in counts.layers:
    print(f"{each.name}: {each.macs:,.0f} MACs, {each.acs:,.0f} ACs, {each.spikes_out:,.0f} spikes")
print(f"{snnsearch.estimate_energy(counts).total_mj:.3g} mJ")
