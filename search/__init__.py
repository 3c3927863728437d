"""From a space file to a finished study."""
