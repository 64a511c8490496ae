"""Parity of clustering, prototypes and retrieval with arrays of the original SPML."""

import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from tests.parity.compare import absolute, exact, tensors
from wsnb.ops.segsort import contrast, retrieval, segments
from wsnb.papers.spml import data, inference, prototypes


def _sizes(key):
    return tuple(int(n) for n in re.findall(r"\d+", key)[-2:])


def _locations(path):
    checks = []
    for key, stored in tensors(path).items():
        height, width = _sizes(key)
        ours = segments.location(height, width) + 0.5
        if key.startswith("int"):  # whole rows and columns
            checks.append(exact(key, (ours * torch.tensor([height - 1, width - 1])).round().long(), stored))
        else:
            checks.append(absolute(key, ours, stored, 1e-7))
    return checks


def _local(path):
    d = tensors(path)
    size = tuple(d["size"].tolist())
    return [
        absolute("kernel", segments.smoothing_kernel().expand(3, 1, 5, 5), d["kernel"], 1e-6),
        absolute("VOC", segments.local_features(d["image"], size), d["voc_out"], 1e-5),
        absolute("DensePose", segments.local_features(d["image"], size, True), d["densepose_out"], 1e-5),
        absolute("colour", segments.colour(d["image"], (32, 40)), d["densepose_out_nosize_color"], 1e-5),
    ]


def _grid(path):
    checks = []
    for key, stored in tensors(path).items():
        clusters = tuple(int(n) for n in key.split("_")[0][1:].split("x"))
        checks.append(exact(key, segments.initial_grid(*_sizes(key), clusters), stored))
    return checks


def _kmeans(path):
    d = tensors(path)
    values, start = d["embedding_with_loc"], d["init"]
    checks = [exact("grid", segments.initial_grid(40, 48, (6, 6)).flatten(), start)]
    for key in (k for k in d if k.startswith("labels_it")):
        checks.append(exact(key, segments.kmeans(values, start, 36, int(key[9:])), d[key]))
    final = segments.prototypes(values, segments.kmeans(values, start, 36, 10), 36)
    return [*checks, absolute("prototypes", final, d["prototypes_after10"], 1e-5)]


def _kmeans_empty(path):
    """The same data (in kmeans.npz where they are not repeated), clusters merged, empty centres."""
    d = tensors(path)
    beside = path.parent / "kmeans.npz"
    given = {**(tensors(beside) if beside.exists() else {}), **d}
    values, count = given["embedding_with_loc"], int(d.get("max_label", torch.tensor(40)))
    start = d.get("init", d.get("initial", torch.where(given["init"] < 6, 7, given["init"])))
    checks = []
    for key, stored in d.items():
        numbers = re.findall(r"\d+", key)
        rounds = int(numbers[-1]) if numbers else 10
        if "proto" in key or "cent" in key:
            # without a number in its name it may be the prototypes of the first labels or of the last ones
            for label, n in (("at the start", 0), ("at the end", 10)) if not numbers else (("", rounds),):
                ours = segments.prototypes(values, segments.kmeans(values, start, count, n), count)
                checks.append(absolute(f"{key} {label}", ours, stored, 1e-5))
            if not numbers:
                checks[-2:] = [min(checks[-2:], key=lambda c: c.error)]
        elif "label" in key and stored.shape == start.shape and key != "max_label":
            checks.append(exact(key, segments.kmeans(values, start, count, rounds), stored))
    empty = segments.prototypes(values, start, count)[torch.bincount(start, minlength=count) == 0]
    return [*checks, exact("empty centres are zero", empty, torch.zeros_like(empty))]


def _prototypes(path):
    d = tensors(path)
    ours = segments.prototypes(d["x"], d["labels"])
    return [absolute("prototypes", ours, d["prototypes"], 1e-5),
            absolute("prototypes of 25", segments.prototypes(d["x"], d["labels"], 25), d["prototypes_max25"], 1e-5),
            absolute("means", segments.segment_mean(d["x"], d["labels"], 20), d["segment_mean"], 1e-5),
            exact("nearest", segments.nearest(d["x"], ours), d["nearest"])]


def _renumber(path):
    d = tensors(path)
    index, keys = segments.ranks(d["instance"], d["semantic"])
    most = segments.majority(d["semantic"], d["instance"], int(d["instance"].max()) + 1)
    selected = (most[d["instance"]] == d["semantic"]).nonzero()[:, 0]
    return [exact("labels", keys[:, 1], d["proto_semantic"]), exact("index", index, d["unique_index"]),
            exact("labels, offset 256", keys[:, 1], d["proto_semantic_off256"]),
            exact("index, offset 256", index, d["unique_index_off256"]),
            exact("majority", most, d["majority_from_instance"]),
            exact("pixels of the majority", selected, d["selected_pixels"])]


def _normalize(path):
    d = tensors(path)
    return [absolute("unit", segments.unit(d["x"]), d["y"], 1e-7)]


def _one_hot(path):
    d = tensors(path)
    single = d["labels"].reshape(-1, 1)  # one vote each
    return [exact(key, retrieval.votes(single, stored.shape[-1]).view(stored.shape), stored)
            for key, stored in d.items() if key != "labels"]


def _resize(path):
    d = tensors(path)
    drawn = torch.from_numpy(np.random.RandomState(37).randint(0, 256, (1, 512, 512)))
    return [exact("10x13", segments.resize_labels(d["labels"], (10, 13)), d["to_10x13"]),
            exact("128x128", segments.resize_labels(drawn, (128, 128)), d["to_128x128"])]


def _compared(name, ours, d):
    checks = [exact(f"{name}{key}", getattr(ours, field), d[f"cluster_{key}"]) for key, field in (
        ("semantic_label", "semantic"), ("instance_label", "region"), ("index", "index"), ("batch_index", "picture"))
        if f"cluster_{key}" in d]
    for key, field in (("embedding", "embedding"), ("embedding_with_loc", "feature")):
        if f"cluster_{key}" in d:
            checks.append(absolute(f"{name}{key}", getattr(ours, field), d[f"cluster_{key}"], 1e-5))
    return checks


def voc_input(path):
    """The embedding and labels that three files share."""
    return tensors(path.parent / "segment_by_kmeans_voc.npz")


def _segments_voc(path):
    d = tensors(path)
    return _compared("", segments.segment(d["embedding"], d["semantic"], d["instance"]), d)


def _segments_nolabel(path):
    return _compared("", segments.segment(voc_input(path)["embedding"], clusters=(4, 3)), tensors(path))


def _process(rank, path, folder):
    """One of three processes with a picture each: its prototypes and the others', as a step of learning takes them."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)  # of torch's differentiable all_gather
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    given = voc_input(path)
    found = segments.segment(*(given[k][rank : rank + 1] for k in ("embedding", "semantic", "instance")))
    every, first = contrast.gather_prototypes(segments.prototypes_of(found, torch.zeros(1, 1)), 1)
    torch.save([vars(every), found.index + first], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def _segments_densepose(path):
    d, given = tensors(path), voc_input(path)
    given = {**given, **{k: d[k] for k in ("embedding", "semantic", "instance") if k in d}}
    local = segments.local_features(d["image"], given["embedding"].shape[-2:], True)
    found = segments.segment(given["embedding"], given["semantic"], given["instance"], local=local)
    found = segments.with_densepose_feature(found, local)
    return [absolute("local", local, d["local_feature"], 1e-5), *_compared("", found, d)]


def _gather(path):
    d, given = tensors(path), voc_input(path)
    whole = segments.segment(given["embedding"], given["semantic"], given["instance"])
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_process, (path, folder), nprocs=3)
        parts = [torch.load(Path(folder, f"{rank}.pt"), weights_only=True) for rank in range(3)]
    checks, alone = [], contrast.gather_prototypes(segments.prototypes_of(whole, torch.zeros(3, 1)), 3)[0]
    for name, ours, index in (
            ("1 device, ", alone, whole.index),
            ("3 devices, ", segments.Prototypes(**parts[0][0]), torch.cat([index for _, index in parts]))):
        checks += [exact(f"{name}index", index, d["cluster_index"]),
                   *(exact(f"{name}{key}", getattr(ours, field), d[f"prototype_{key}"]) for key, field in (
                       ("semantic", "semantic"), ("instance", "region"), ("batch", "picture"))),
                   absolute(f"{name}prototypes", ours.embedding, d["prototype"], 1e-5),
                   absolute(f"{name}with location", ours.feature, d["prototype_with_loc"], 1e-5)]
    return checks


def _label_sets(path):
    d = tensors(path)
    by_rows = {rows: next(v for k, v in d.items() if "batch" in k and v.shape == (rows,)) for rows in
               (len(d["query"]), len(d["prototypes"]))}
    checks = []
    for key in d:
        if found := re.fullmatch(r"k(\d+)_th(-?[\d.]+)", key):
            ours = retrieval.label_sets(d["query"], d["prototypes"], d["proto_label"], by_rows[len(d["query"])],
                                        by_rows[len(d["prototypes"])], 21, int(found[1]), float(found[2]))
            checks.append(exact(key, ours, d[key]))
    return checks


def _reindex(path):
    d = tensors(path)
    relation = contrast.annotation(d["pixel_label"], d["cluster_index"], d["proto_label"], 21)
    return [exact("pixels", relation.pixels, d["pixel_keep"]), exact("own", relation.own, d["new_index_kept"]),
            exact("prototypes", relation.prototypes, d["proto_keep"])]


def _clustering(embedding, clusters, **windows):
    """A cut of pictures by a network that answers with a stored EMBEDDING."""
    return prototypes.Clustering(lambda x: embedding, clusters, **windows)


def _prediction(path):
    d = tensors(path)
    image, cut = np.zeros((30, 34, 3), np.uint8), _clustering(d["embedding"], (5, 5))
    embedding = inference.embedding(cut.network, data.network_input(image))
    queries, index = cut(image)
    labels = d["memory_label"][retrieval.nearest_neighbours(queries, d["memory"], 20)[1]]
    maps = prototypes.vote_maps(cut, prototypes.Memory(d["memory"], d["memory_label"], None, None), image, 21)
    winner = torch.from_numpy(maps.argmax(0)).flatten()
    return [exact("segments", index.flatten(), d["cluster_index"]),
            absolute("embedding", embedding.flatten(1).T, d["cluster_embedding"], 1e-5),
            absolute("queries", queries, d["query_prototypes"], 1e-5), exact("20 nearest", labels, d["topk_labels"]),
            exact("majority", segments.majority(winner, index.flatten(), len(queries)), d["majority"]),
            exact("pixels", winner, d["pixel_pred"]),
            exact("pixels' nearest", labels[index.flatten()], d["pixel_topk"]),
            absolute("votes", maps.reshape(21, -1).T, d["topk_distribution"], 1e-6)]


def _extraction(path):
    d = tensors(path)
    height, width = d["valid_hw"].tolist()
    image, labels = np.zeros((height, width, 3), np.uint8), d["semantic"].numpy().astype(np.uint8)
    checks = []
    for name in ("padded", "cropped"):
        cut = _clustering(d["embedding_norm"], (6, 6), crop=48, cropped=name == "cropped")
        found = prototypes.extract(cut, image, labels.reshape(height, width))
        checks += [exact(f"{name}, segments", cut(image)[1], d[f"{name}_cluster_index"]),
                   absolute(f"{name}, prototypes", found["prototype"], d[f"{name}_prototype"], 1e-5),
                   exact(f"{name}, labels", found["label"], d[f"{name}_label"])]
    return checks


HANDLERS = {
    "location_features": _locations, "local_network": _local, "kmeans_init_grid": _grid, "kmeans": _kmeans,
    "kmeans_empty_clusters": _kmeans_empty, "prototypes": _prototypes, "renumber_majority": _renumber,
    "normalize": _normalize, "one_hot": _one_hot, "resize_labels": _resize, "segment_by_kmeans_voc": _segments_voc,
    "segment_by_kmeans_nolabel_4x3": _segments_nolabel, "segment_by_kmeans_densepose": _segments_densepose,
    "gather_prototypes": _gather, "nn_multiset_labels": _label_sets, "labelled_reindex": _reindex,
    "nn_prediction": _prediction, "prototype_extraction": _extraction,
}
