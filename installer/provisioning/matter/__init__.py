"""Matter devices are recognised, and left to the app of the person's Matter system."""
