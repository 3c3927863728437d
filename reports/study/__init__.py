"""The report of a study as a page, Markdown, CSV and JSON."""
