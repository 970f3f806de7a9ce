"""The lab's practice cloud: the documented paths, rules and responses of the real cloud, over real HTTP."""
