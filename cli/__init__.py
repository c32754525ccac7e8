"""The command-line program of a laptop: `python -m cli --help`. It is not deployed."""
