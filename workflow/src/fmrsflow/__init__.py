"""Multi-site functional MR spectroscopy: the science and the stages of the workflow."""
