"""A run, or two of them, as a report: Markdown, JUnit XML, or one HTML page."""
