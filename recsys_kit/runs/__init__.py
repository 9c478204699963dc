"""Running chapters and keeping what they leave: the runner, its folder, the report, and comparing two runs."""
