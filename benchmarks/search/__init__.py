"""How good searches are: on tables of real trainings, on a stand-in, and live."""
