"""The report of a benchmark as a page, Markdown, CSV and an SVG picture."""
