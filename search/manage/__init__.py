"""Studies as things: copy, rename, move, archive and delete them."""
