"""The commands of `signalbox`: one file for each group; `app/cli.py` puts them together."""
