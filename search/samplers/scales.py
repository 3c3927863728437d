"""The scale on which samplers compare each objective.

The ranges equal the box of a report's hypervolume but are kept apart from it: a report may widen an axis, and every
study, also an old one that resumes, must still get the same proposals. Do not change a range that studies have used.
"""

from collections.abc import Mapping
from types import MappingProxyType

from reports.analysis.hypervolume import Scale

SAMPLER_SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "accuracy": Scale(0.0, 1.0, log=False),
        "energy_mj": Scale(1e-4, 1e2),
        "params": Scale(1e3, 1e8),
        "dense_macs": Scale(1e4, 1e11),
        "macs": Scale(1e4, 1e11),
        "acs": Scale(1e4, 1e11),
        "spikes": Scale(1e2, 1e9),
        "firing_rate": Scale(0.0, 1.0, log=False),
        "timesteps": Scale(1.0, 64.0),
    }
)
