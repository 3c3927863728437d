"""What every other package of snnkit may use: frozen configs, seeds, files."""
