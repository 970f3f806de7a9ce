"""Data of the program: the catalogue, the pictures of the models, the wizard's style sheet."""
