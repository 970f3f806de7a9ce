"""The lab's practice cloud: the documented paths, rules and answers of the real one, over real HTTP."""
