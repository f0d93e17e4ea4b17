"""The fixture trees hold files that look like tests and are not."""

collect_ignore = ["fixtures"]
