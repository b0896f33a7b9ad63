"""A study to come: the error of a percent change from the acquisition, people and time."""
