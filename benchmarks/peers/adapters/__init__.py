"""One small file for each library; see ``Peer`` for what it says.

A new peer is a new file here, named as the distribution with underscores. It imports
nothing of the peer outside its functions, because it is read where that is missing.
"""
