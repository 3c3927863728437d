"""Inject faults into real studies at random moments, and check that `resume` repairs them.

    python -m benchmarks.reliability.chaos --strikes 200 --out chaos.jsonl       takes hours; can be continued
    python -m benchmarks.reliability.chaos --table chaos.jsonl                   the table of docs/reliability/chaos.md

The number of a study determines its fault, moments and processes. A study is struck several times, finished by
`resume`, and compared with a study that ran undisturbed.
"""
