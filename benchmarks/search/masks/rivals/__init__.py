"""Other searchers on the table of masks. Each library has one adapter; `rivals.compare` runs them and ours."""
