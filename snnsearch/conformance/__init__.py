"""Tests for the parts of your own that a space names:

    python -m snnsearch.conformance my_space.yaml

They test the family, the data set, the energy model, the objectives, the sampler and the stopping rule of the space,
plug-ins or built-in ones. They need pytest, and take a minute with a small data set. Further arguments go to pytest.
Within a pytest run of your own, write

    pytest -p snnsearch.conformance.plugin --pyargs snnsearch.conformance --space my_space.yaml
"""
