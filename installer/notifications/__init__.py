"""Notifications of new data: subscriptions, the receiver, its inbox."""
