"""What the system tests stand on: a gateway of their own, and the peers it talks to."""
