"""The report of a study: page, Markdown, CSV and JSON."""
