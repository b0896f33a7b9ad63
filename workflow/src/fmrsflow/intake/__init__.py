"""From somebody's files to the sheets of a study: what is found, what is guessed, what is left."""
