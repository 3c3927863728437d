"""From databases and folders to records. Reads only; never creates, upgrades or locks anything."""
