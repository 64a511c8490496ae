"""A classifier of image tags over any backbone, whose class activation maps show where it looks (Zhou et al., 2016)."""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.methods.adopt import Adopted


class Classifier(Adopted):
    """Global average pooling and a 1x1 convolution without bias, on the backbone's last features.

    forward: x [B, 3, H, W] -> logits [B, n_tags]; `activations`: [B, n_tags, h, w] at the deep stride, whose spatial
    mean is the logit.
    """

    def __init__(self, backbone, n_tags, freeze=True, dropout=0.5):
        super().__init__(backbone, freeze)
        self.fc8 = nn.Conv2d(backbone.channels[-1], n_tags, 1, bias=False)
        nn.init.xavier_uniform_(self.fc8.weight)
        self.dropout = nn.Dropout2d(dropout)
        self.new_modules = (self.fc8,)

    def scores_and_activations(self, x):
        """x -> logits [B, n_tags], activations [B, n_tags, h, w]."""
        deep = self.feature_maps(x)[-1]
        pooled = self.dropout(deep).mean(dim=(2, 3), keepdim=True)
        return self.fc8(pooled)[..., 0, 0], self.fc8(deep)

    def forward(self, x):
        return self.fc8(self.dropout(self.feature_maps(x)[-1]).mean(dim=(2, 3), keepdim=True))[..., 0, 0]

    def activations(self, x):
        return self.fc8(self.feature_maps(x)[-1])


def multilabel_loss(logits, tags):
    """Multi-label soft margin loss: mean over pictures and classes of the binary cross-entropy of LOGITS [B, C]."""
    return F.multilabel_soft_margin_loss(logits, tags)


@torch.no_grad()
def tag_scores(network, batches, device="cpu"):
    """(tags [N, C], scores in [0, 1] [N, C]) over batches of {"x", "tags"}, in evaluation mode."""
    was, tags, scores = network.training, [], []
    network.eval()
    for batch in batches:
        out = network(batch["x"].to(device))
        scores.append((out[0] if isinstance(out, tuple) else out).sigmoid().cpu())
        tags.append(batch["tags"])
    network.train(was)
    return torch.cat(tags).numpy(), torch.cat(scores).numpy()
