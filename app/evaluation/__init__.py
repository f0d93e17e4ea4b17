"""Evaluation on labelled prompts: reading them, grading answers, summing up. Pure; `signalbox eval` calls it."""
