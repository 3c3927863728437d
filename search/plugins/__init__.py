"""Parts of a space that are not ours: networks, data sets, energy models, objectives, samplers and stopping rules.

A space names such a part as ``my_package.module:attribute``, as ``./file.py:attribute`` beside the space, or by a short
name that an installed package declares as an entry point. The flow:

    references   finds the names of parts in a document
    sources      finds the code behind a name, and imports it
    trust        says whether code that a study brings along may run
    kinds        checks the part and registers it under its name, where the rest of snnsearch looks names up
    plugins      does these three for a document; the result is stored in the resolved space and sent to workers

A resolved space holds the code itself. So a study continues with the code that it was launched with, on any machine,
and nothing of it has to be installed there.
"""

from search.plugins.plugins import Plugins, PluginSet

__all__ = ["PluginSet", "Plugins"]
