"""Lists of pictures with tags: leave out classes, balance them, keep the confident ones. Rules, written down.

The authors trained on such lists and published neither them nor the code that made them; these rules are this
project's own. An entry is (path, class ids), the path below the list's own folder; a list is made from a list, never
from pictures. The two lists of the experiment `imagenet_det`: the first four lines before 01_classifier, the last two
after it was run with `-p val_split=train_balanced`; it leaves the scores of that list's pictures in its folder.

    train = imagenet_det.find_list(root, "train")
    entries = imagenet_lists.without(imagenet_det.read_entries(train), [124])  # 124: person
    entries = imagenet_lists.balanced(entries, per_class=1000, seed=0)
    imagenet_lists.save(train.with_name("train_balanced.json"), entries)
    sure = imagenet_lists.confident(entries, files.load_npz("scores.npz")["scores"], threshold=0.8)
    imagenet_lists.save(train.with_name("irn_list_nohuman_confident_0.8.json"), sure)
"""

import numpy as np

from wsnb.files import save_json


def without(entries, ids) -> list:
    """ENTRIES whose tags hold none of IDS: the "no human" list for the id of the person."""
    banned = set(ids)
    return [entry for entry in entries if not banned & set(entry[1])]


def balanced(entries, per_class: int, seed: int) -> list:
    """A subset in which no class that could be spared exceeds PER_CLASS pictures, in the order of ENTRIES.

    Rule: go through the classes from the rarest to the most frequent one (ties by id); of each, draw pictures that
    are not yet chosen until PER_CLASS chosen pictures hold it or there are no more. Pictures that were chosen for a
    rarer class count for all their classes, so that a frequent class may exceed PER_CLASS. Pictures without tags are
    left out.
    """
    if per_class < 1:
        raise ValueError(f"balanced({per_class=}): at least one picture a class")
    holders = {}
    for index, (_, tags) in enumerate(entries):
        for label in tags:
            holders.setdefault(label, []).append(index)
    chosen = set()
    for label in sorted(holders, key=lambda k: (len(holders[k]), k)):
        missing = per_class - len(chosen.intersection(holders[label]))
        free = [index for index in holders[label] if index not in chosen]
        order = np.random.default_rng([seed, label]).permutation(len(free))[: max(missing, 0)]
        chosen.update(free[k] for k in order)
    return [entries[index] for index in sorted(chosen)]


def confident(entries, scores, threshold: float = 0.8, correct: bool = False) -> list:
    """ENTRIES of which a classifier is sure, for SCORES float [N, C - 1] in 0..1, a row an entry.

    Rule: a picture stays if each of its tags scores at least THRESHOLD, and, where it has no tags or CORRECT is True,
    its tags become the classes that do; a picture without any such class is left out.
    """
    scores = np.asarray(scores)
    if len(scores) != len(entries):
        raise ValueError(f"{len(entries)} entries, but {len(scores)} rows of scores: give a row an entry")
    kept = []
    for (path, tags), row in zip(entries, scores, strict=True):
        sure = tuple(int(k) + 1 for k in np.flatnonzero(row >= threshold))
        wanted = sure if correct or not tags else tags
        if wanted and set(wanted) <= set(sure):
            kept.append((path, tuple(wanted)))
    return kept


def save(path, entries) -> None:
    """Write ENTRIES as the challenge's JSON list."""
    save_json(path, [[name, [int(k) for k in tags]] for name, tags in entries])
