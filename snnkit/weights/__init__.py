"""Initial weights that are not random: inherited, converted from a CNN twin, averaged, or shared in a supernet."""
