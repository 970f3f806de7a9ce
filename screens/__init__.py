"""The wizard: one screen for each step of the flow, under the step's name."""
