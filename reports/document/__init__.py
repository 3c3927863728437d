"""One model of a report (`model`) with an HTML and a Markdown renderer, and the wording that all reports share."""
