"""The parts of the HTML page; `preflight.report.formats.html` puts them together."""
