"""Real studies whose drivers, workers, Ray and files are struck at random moments, and what `resume` makes of it.

    python -m benchmarks.reliability.chaos --strikes 200 --out chaos.jsonl       hours; goes on where it stopped
    python -m benchmarks.reliability.chaos --table chaos.jsonl                   the table of docs/chaos.md

Every strike is drawn by its number: the fault, the moment, the process. A study is struck several times, then finished
by `resume`, and held against one that nothing has happened to.
"""
