"""The steps of the flow, in order: find, sync, network, provision, link, verify."""
