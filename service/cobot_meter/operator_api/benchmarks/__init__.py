"""The operator's page on benchmarks: HTML and SVG without a script, made of what was measured."""
