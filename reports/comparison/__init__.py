"""The comparison of several studies on one page."""
