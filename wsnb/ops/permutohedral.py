"""Gaussian filters of any dimension on a permutohedral lattice (Adams, Baek and Davis, Eurographics 2010), and with
them the mean field of dense CRFs (Kraehenbuehl and Koltun 2011), in torch on any device.

A point lies in a simplex of the lattice and gives each of its d + 1 corners a share (splat); the corners are blurred
along d + 1 axes with (1/2, 1, 1/2); the point reads its shares back (slice).
"""

import torch


class Lattice:
    """The lattice around FEATURES float32 [N, d], points in units of the Gaussian's standard deviation.

    corners     int64 [d + 1, N]: numbers of the corners of each point's simplex, in 0..M - 1
    weights     float32 [d + 1, N]: its barycentric coordinates, which sum to 1
    neighbours  int64 [d + 1, 2, M]: the next corners on both sides along each axis; M where there is none
    """

    def __init__(self, features):
        count, d = features.shape
        steps = torch.arange(1, d + 1, device=features.device, dtype=features.dtype)
        scaled = features * ((d + 1) * (2 / 3) ** 0.5 / (steps * (steps + 1)).sqrt())
        later = scaled.flip(1).cumsum_(1).flip(1)  # the sum of a coordinate and all after it
        raised = torch.cat([later, later.new_zeros(count, 1)], 1)
        raised[:, 1:] -= steps * scaled  # on the plane of sum 0 in d + 1 dimensions

        nearest = (raised / (d + 1)).round()  # of the points whose coordinates are multiples of d + 1
        excess = nearest.sum(1).long()
        offsets = raised - (d + 1) * nearest
        order = offsets.sort(dim=1, descending=True, stable=True).indices
        rank = torch.empty_like(order).scatter_(1, order, torch.arange(d + 1, device=order.device).expand(count, -1))
        rank += excess[:, None]  # of the coordinates, the largest offset first; those beyond step to the next point
        turns = (rank < 0).long() - (rank > d).long()
        rank += (d + 1) * turns
        nearest += turns
        offsets = (raised - (d + 1) * nearest) / (d + 1)

        ascending = torch.empty_like(offsets).scatter_(1, d - rank, offsets)
        self.weights = torch.cat([ascending[:, :1] + 1 - ascending[:, -1:], ascending.diff(dim=1)], 1).T.contiguous()
        base, number = (d + 1) * nearest[:, :d].long(), torch.arange(d + 1, device=rank.device)[:, None, None]
        keys = base + number - (d + 1) * (rank[:, :d] > d - number)  # [d + 1, N, d]; the last coordinate follows
        self.corners, self.neighbours = _numbered(keys)

    def filter(self, values):
        """Filter VALUES float32 [N, K], K functions at once: float32 [N, K]."""
        d, size = len(self.corners) - 1, self.neighbours.shape[-1]
        held = values.new_zeros(size + 1, values.shape[1])  # the last one is no corner
        for corner, weight in zip(self.corners, self.weights, strict=True):
            held.index_add_(0, corner, weight[:, None] * values)
        for before, after in self.neighbours:
            held[:-1] += 0.5 * (held[before] + held[after])
        total = torch.zeros_like(values)
        for corner, weight in zip(self.corners, self.weights, strict=True):
            total += weight[:, None] * held[corner]
        return total / (1 + 2.0**-d)


def _numbered(keys):
    """Number the lattice's points with the coordinates KEYS int64 [d + 1, N, d]: see `Lattice`.

    The coordinates become the digits of one number, in a system where a step along an axis adds the same everywhere.
    Raises ValueError if it would have more than 63 bits.
    """
    d = keys.shape[-1]
    low = keys.amin((0, 1)) - d - 1
    places = [1]
    for digits in (keys.amax((0, 1)) + d + 2 - low).tolist():
        places.append(places[-1] * digits)
    if places[-1] >= 2**63:
        raise ValueError("the CRF's kernels are too narrow for a lattice over this picture; raise crf_bilateral_srgb")
    places = keys.new_tensor(places[:d])
    codes = ((keys - low) * places).sum(-1)
    known, corners = codes.unique(return_inverse=True)
    ways = torch.cat([(d + 1) * places, places.new_zeros(1)]) - places.sum()
    sought = known + torch.stack([ways, -ways], 1)[..., None]  # [d + 1, 2, M]
    found = torch.searchsorted(known, sought).clamp_(max=len(known) - 1)
    return corners, torch.where(known[found] == sought, found, len(known))


def kernels(image, settings):
    """Make the (weight, lattice, scale float32 [N, 1]) of the two kernels of a `crf.CRF` over a picture, a tensor
    float32 [H, W, 3] of 0..255 on the device that is to compute.

    The filter between two scales is the kernel, normalised symmetrically: D^-1/2 K D^-1/2, D the row sums of K.
    """
    height, width = image.shape[:2]
    rows, columns = (torch.arange(side, device=image.device, dtype=torch.float32) for side in (height, width))
    place = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).view(-1, 2)
    colour = image.reshape(-1, 3) / settings.bilateral_srgb
    for weight, features in ((settings.gaussian_compat, place / settings.gaussian_sxy),
                             (settings.bilateral_compat, torch.cat([place / settings.bilateral_sxy, colour], 1))):
        lattice = Lattice(features)
        yield weight, lattice, (lattice.filter(torch.ones_like(place[:, :1])) + 1e-20).rsqrt()


@torch.no_grad()
def mean_field(image, unaries, settings):
    """Compute the marginals of several fields of one picture: float32 [H * W, M, C].

    image uint8 [H, W, 3]; unaries float32 [M, C, H * W], energies; settings: a `crf.CRF`, on whose device it runs.
    """
    m, classes, pixels = unaries.shape
    evidence = -torch.as_tensor(unaries).to(settings.device, torch.float32).permute(2, 0, 1)
    both = list(kernels(torch.as_tensor(image).to(settings.device, torch.float32), settings))
    belief = evidence.softmax(-1)
    for _ in range(settings.iterations):
        energy = evidence.clone()
        for weight, lattice, scale in both:
            filtered = lattice.filter(scale * belief.reshape(pixels, m * classes))
            energy += (weight * scale * filtered).view(pixels, m, classes)
        belief = energy.softmax(-1)
    return belief
