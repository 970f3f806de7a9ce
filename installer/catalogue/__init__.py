"""The catalogue: the models, what each can do, and the sync rule."""
