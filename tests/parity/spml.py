"""Parity of `spml` with arrays of the original program."""

from tests.parity import spml_contrast, spml_data, spml_losses, spml_networks, spml_segments, spml_walk

HANDLERS = {**spml_data.HANDLERS, **spml_segments.HANDLERS, **spml_contrast.HANDLERS, **spml_networks.HANDLERS,
            **spml_losses.HANDLERS, **spml_walk.HANDLERS}
