"""Training of the classifier that `app/routing` ships as weights. Never imported by the program."""
