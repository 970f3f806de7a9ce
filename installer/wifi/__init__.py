"""Wi-Fi networks and credentials: what is possible, what is saved, and what this computer is on."""
