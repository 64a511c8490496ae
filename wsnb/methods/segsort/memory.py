"""The memory bank: prototypes of the last iterations, kept as they were (SPML, Ke et al., ICLR 2021)."""

from wsnb.methods.segsort.segments import Prototypes


class MemoryBank:
    """Prototypes of the newest SIZE iterations, oldest first. `state_dict` makes it a part of `Training`."""

    def __init__(self, size=2):
        self.size, self.entries = size, []

    def add(self, prototypes, pictures) -> None:
        """Keep a detached copy; then the picture numbers of all entries grow by PICTURES, the batch's."""
        self.entries = [*self.entries, prototypes.detached()][-self.size :] if self.size else []
        for entry in self.entries:
            entry.picture = entry.picture + pictures

    def with_current(self, prototypes) -> Prototypes:
        """The current prototypes, then the bank's: what the losses compare with."""
        return Prototypes.joined([prototypes, *self.entries]) if self.entries else prototypes

    def state_dict(self):
        return {"size": self.size, "entries": [dict(vars(entry)) for entry in self.entries]}

    def load_state_dict(self, state):
        self.size, self.entries = state["size"], [Prototypes(**entry) for entry in state["entries"]]
