"""How studies survive faults, odd files and sheer length."""
