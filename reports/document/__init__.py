"""The building blocks of every report: tables, words, and their HTML and Markdown."""
