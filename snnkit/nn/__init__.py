"""Plans as torch modules: the spiking network and its CNN twin."""
