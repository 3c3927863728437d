"""From a YAML file to a Space, and from a Space to candidates."""
