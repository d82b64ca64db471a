"""The demonstration behind ``make demo``: score, choose, freeze, fine-tune and compare, on real digits.

Run it from the repository's root with ``python -m bench.demo``; ``--help`` says what it does and what can be changed.
"""
