"""One network, trained alike on labels of any origin: what labels are worth, apart from the network that they teach."""
