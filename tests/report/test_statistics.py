"""Intervals and comparisons: hand-made cases, SciPy beside ours, and how often they hold, by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.report import made
from wsnb.files import FileError
from wsnb.metrics import counts
from wsnb.report import charts, frame, ladder, match, publish, same_data, statistics, table

CLASSES = 3


def pictures(n, seed, right=0.7):
    """Confusions uint32 [n, 3, 3] of pictures of which some are harder than others."""
    rng = np.random.default_rng(seed)
    share = rng.beta(8 * right, 8 * (1 - right), n)
    true = rng.multinomial(100, [0.6, 0.3, 0.1], n)
    tables = np.zeros((n, CLASSES, CLASSES), np.uint32)
    for k in range(CLASSES):
        hit = rng.binomial(true[:, k], share)
        tables[:, k, k], tables[:, k, (k + 1) % CLASSES] = hit, true[:, k] - hit
    return tables


def test_measures_of_a_case_by_pencil():
    tables = np.array([[[6, 0], [1, 1]], [[2, 2], [0, 0]]])
    sums = counts.added_up(tables, "mean IoU").sum(0)
    assert sums.tolist() == [[8, 10, 9], [1, 2, 3]]  # right, true, predicted
    said = {"mean IoU": (8 / 11 + 1 / 4) / 2, "mean IoU of objects": 1 / 4, "mean accuracy": (0.8 + 0.5) / 2,
            "pixel accuracy": 9 / 12}
    assert {name: counts.percent(name, sums) for name in said} == pytest.approx({k: 100 * v for k, v in said.items()})
    nothing = [np.nan, 0, 0, 0]  # a class that is nowhere does not count
    assert counts.percent("panoptic quality", [[1.5, 2, 1, 1], nothing]) == pytest.approx(50)
    assert counts.percent("recall times precision", [[2, 4, 2], [0, 3, 0], [0, 0, 1]]) == pytest.approx(25)
    assert counts.percent("mean over objects", [[1.5, 2], [0, 0]]) == 75


def test_a_value_that_is_not_of_its_counts_is_refused(tmp_path):
    tables = pictures(4, 0)
    right = float(counts.percent("mean IoU", counts.added_up(tables, "mean IoU").sum(0)))
    row = {"name": "mIoU", "value": right, "unit": "%", "counts": tables, "measure": "mean IoU"}
    first, again, bare = counts.kept(tmp_path, [row, row, {"name": "x", "value": 1.0, "unit": ""}])
    assert first == again and first["counts"] == {"measure": "mean IoU", "name": "counts_0"} and "counts" not in bare
    assert (counts.read(tmp_path / counts.NAME, "counts_0") == tables).all()
    with pytest.raises(FileError, match="holds no counts counts_1"):
        counts.read(tmp_path / counts.NAME, "counts_1")
    with pytest.raises(ValueError, match="is not the mean IoU of its counts"):
        counts.kept(tmp_path, [{**row, "value": right + 0.01}])


def test_seeds_by_students_t():
    assert statistics.over_seeds([40.0, 42.0, 44.0]) == pytest.approx((42.0, 42 - 4.968, 42 + 4.968), abs=1e-3)
    mean, low, high = statistics.over_seeds([40.0])
    assert mean == 40 and np.isnan([low, high]).all()


def test_the_interval_is_scipys():
    values = np.random.default_rng(3).gamma(2, 1, 60)
    tables = np.stack([values, np.ones(60)], 1)[:, None]  # the mean of values, as a sum over a number
    value, drawn, without = statistics.drawn_again(tables, "mean over objects")
    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="BCa", rng=1).confidence_interval
    ours = statistics.interval(value, drawn, without)
    assert ours == pytest.approx([100 * theirs.low, 100 * theirs.high], abs=100 * 0.02)
    assert statistics.interval(5.0, np.full(9, 5.0), np.full(3, 5.0)) == (5.0, 5.0)


def covered(n, sets, draws):
    """How often intervals of SETS sets of N pictures hold the score of all pictures that there are."""
    truth = counts.percent("mean IoU", counts.added_up(pictures(100_000, 99), "mean IoU").sum(0))
    found = [statistics.interval(*statistics.drawn_again(pictures(n, k), "mean IoU", draws)) for k in range(sets)]
    return np.mean([low <= truth <= high for low, high in found])


def test_intervals_hold_as_often_as_they_say():
    assert 0.90 <= covered(n=80, sets=300, draws=500) <= 0.985  # 95 %, and 2.5 standard errors of 300 sets


def test_equal_methods_are_rarely_called_different_and_better_ones_often():
    def share(gain):
        found = []
        for k in range(300):
            same = np.random.default_rng(k).integers(0, 2, 80) > 0  # pictures on which the two do the same
            one, other = pictures(80, 2 * k), pictures(80, 2 * k + 1, 0.7 + gain)
            other[same] = one[same]
            drawn = [statistics.drawn_again(tables, "mean IoU", 300) for tables in (one, other)]
            found.append(statistics.difference(*(([value], draws) for value, draws, _ in drawn), n=80) < 0.05)
        return np.mean(found)

    assert share(0.0) <= 0.085 and share(0.2) >= 0.8  # 5 %, and 2.5 standard errors


def test_pairing_and_seeds_in_the_comparison():
    drawn = np.random.default_rng(0).normal(40, 2, 1000)
    near = drawn + 1 + 0.1 * np.random.default_rng(1).normal(size=1000)
    assert statistics.difference(([40.0], drawn), ([41.0], near), 80) < 1e-9  # the same pictures are hard for both
    wide = statistics.difference(([36.0, 44.0], drawn), ([37.0, 45.0], drawn + 1), 80)
    assert wide > 0.5  # other seeds differ more than the two methods
    assert statistics.difference(([40.0], drawn), ([40.0], drawn), 80) == 1


def test_a_single_picture_and_missing_scores_say_nothing():
    one, other = pictures(1, 0, 0.9), pictures(1, 1, 0.3)
    drawn = [statistics.drawn_again(tables, "mean IoU", 50) for tables in (one, other)]
    assert np.isnan([statistics.interval(*found) for found in drawn]).all()
    assert statistics.difference(*(([value], draws) for value, draws, _ in drawn), n=1) == 1
    nothing = np.full(50, np.nan)
    assert statistics.difference(([4.0], nothing), ([9.0], nothing), 80) == 1
    assert np.isnan(statistics.interval(4.0, nothing, np.full(80, np.nan))).all()
    tables = pictures(20, 3)
    tables[:, 2] = tables[:, :, 2] = 0  # a class that is nowhere
    tables[0, 2, 2] = 5  # and in one picture: missing from a third of the draws
    value, draws, without = statistics.drawn_again(tables, "mean IoU", 500)
    assert np.isfinite([value, *draws, *without, *statistics.interval(value, draws, without)]).all()


def test_holm():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 3 x 0.01, 2 x 0.03, then no less
    assert statistics.holm([0.5, 0.9]).max() <= 1


def test_equal_rows_and_one_seed_beside_several(tmp_path):
    """Equal rows share a letter whatever the seeds; a row without counts has none, and no other row changes for it."""
    good, bad = pictures(60, 0, 0.8), pictures(60, 1, 0.4)
    found = statistics.add(frame_of(tmp_path, {"a": [good], "b": [good], "c": [bad], "d": [bad, pictures(60, 2, 0.4)]}))
    assert found.alike[0] == found.alike[1] and found.alike[2] == found.alike[3] and len(set(found.alike)) == 2
    bare = pd.DataFrame([{"title": "e", "values": (50.0,), "tables": (None,)}])
    rows = pd.concat([found[["title", "values", "tables"]], bare], ignore_index=True)
    assert list(statistics.add(rows).alike) == [*found.alike, ""]


def test_letters_stand_for_what_cannot_be_told_apart():
    distinct = np.zeros((4, 4), bool)
    for i, j in ((0, 2), (0, 3), (1, 3)):
        distinct[i, j] = distinct[j, i] = True
    assert statistics.alike(distinct) == ["a", "a b", "b c", "c"]  # 0-1, 1-2, 2-3
    assert statistics._letter(26) == "aa"


def frame_of(tmp_path, rows):
    """A frame as `add` takes it of {title: (values, [counts])}."""
    listed = []
    for number, (title, tables) in enumerate(rows.items()):
        found = []
        for seed, one in enumerate(tables):
            folder = tmp_path / f"{number}-{seed}"
            folder.mkdir()
            value = float(counts.percent("mean IoU", counts.added_up(one, "mean IoU").sum(0)))
            (kept,) = counts.kept(folder, [{"name": "mIoU", "value": value, "counts": one, "measure": "mean IoU"}])
            found.append((value, (str(folder / counts.NAME), kept["counts"]["name"], "mean IoU")))
        listed.append({"title": title, "values": tuple(v for v, _ in found), "tables": tuple(t for _, t in found)})
    return pd.DataFrame(listed)


def test_numbers_on_the_same_pictures(tmp_path):
    good, bad = pictures(60, 0, 0.8), pictures(60, 1, 0.4)
    found = statistics.add(frame_of(tmp_path, {"a": [good, pictures(60, 2, 0.8)], "b": [good], "c": [bad]}))
    assert (found.low < found["values"].map(np.mean)).all() and (found.high > found["values"].map(np.mean)).all()
    assert found.seed_low.notna().tolist() == [True, False, False]
    assert found.alike[0] == found.alike[1] != found.alike[2]
    without = statistics.add(pd.DataFrame([{"title": "a", "values": (4.0,), "tables": (None,)}]))
    assert without.low.isna().all() and (without.alike == "").all()
    (tmp_path / "more").mkdir()
    with pytest.raises(FileError, match=r"counts of \[50, 60\] pictures"):
        statistics.add(frame_of(tmp_path / "more", {"a": [good], "b": [pictures(50, 3)]}))


def test_seeds_of_a_number_stand_in_one_row_with_what_cannot_be_told_apart(tmp_path):
    levels = {"a": (0.8, "boxes"), "a@seed1": (0.78, "boxes"), "b": (0.79, "points"), "c": (0.3, "image labels")}
    for k, (name, (right, supervision)) in enumerate(levels.items()):
        tables = pictures(60, k, right)
        value = float(counts.percent("mean IoU", counts.added_up(tables, "mean IoU").sum(0)))
        folder = made.manifest(tmp_path, f"spml/{name}", "10_evaluate")
        row = {**made.result(value, supervision=supervision), "counts": tables, "measure": "mean IoU"}
        made.manifest(tmp_path, f"spml/{name}", "10_evaluate", counts.kept(folder, [row, made.bound(3.5)]), seed=k)
    group = same_data.entries(made.found(tmp_path))
    assert sorted(group.experiment) == ["a", "a", "b", "c"] and group.seeds.max() == 2  # a floor, and three numbers
    shown = same_data.table(group).set_index("supervision")
    assert shown.loc["boxes", "95 %, seeds"].endswith("(2)") and shown.loc["points", "95 %, seeds"] == ""
    assert shown.loc["boxes", "alike"] == shown.loc["points", "alike"] != shown.loc["image labels", "alike"] != ""
    rows = list(group.itertuples())
    assert charts.brackets(rows) == [[k for k, row in enumerate(rows) if row.supervision in ("boxes", "points")]]
    low, high = map(float, shown.loc["boxes", "95 %, pictures"].split("–"))
    assert low < float(shown.loc["boxes", "ours"]) < high and shown.loc["none", "95 %, pictures"] == ""


def test_counts_go_with_a_record(tmp_path):
    tables = pictures(5, 0)
    value = float(counts.percent("mean IoU", counts.added_up(tables, "mean IoU").sum(0)))
    folder = made.manifest(tmp_path, "spml/a", "10_evaluate")
    made.manifest(tmp_path, "spml/a", "10_evaluate",
                  counts.kept(folder, [{**made.result(value), "counts": tables, "measure": "mean IoU"}]))
    path, name, measure = made.found(tmp_path).counts[0]
    assert (counts.read(path, name) == tables).all() and measure == "mean IoU"
    publish.publish(tmp_path, "spml/a", tmp_path / "figures", project=tmp_path)
    path, name, _ = frame.results(frame.published(tmp_path / "figures")).counts[0]
    assert path == str(tmp_path / "figures/spml/a/10_evaluate-counts.npz") and (counts.read(path, name) == tables).all()


def test_ladders_and_reported_numbers_have_intervals(tmp_path):
    """Two seeds of a chain: steps on the way, one of them without counts, and its end."""
    for seed, name in enumerate(("a", "a@seed1")):
        for stage, right, step in (("02_cams", 0.5, "CAM"), ("05_walk", 0.7, "walk"), ("08_evaluate", 0.7, None)):
            tables = pictures(60, 10 * seed + (step == "CAM"), right)
            value = float(counts.percent("mean IoU", counts.added_up(tables, "mean IoU").sum(0)))
            row = made.step(value, step, method="") if step else made.result(value)
            folder = made.manifest(tmp_path, f"single_stage/{name}", stage)
            bare = [made.step(20.0, "bare", method="")] if step == "CAM" else []
            made.manifest(tmp_path, f"single_stage/{name}", stage, counts.kept(
                folder, [{**row, "counts": tables, "measure": "mean IoU"}, *bare]), seed=seed)
    results = made.found(tmp_path)
    steps = ladder.steps(results)
    assert list(steps.name) == ["CAM", "bare", "walk", "single-stage"] and set(steps.seeds) == {2}
    cam, bare, walk, end = steps.itertuples()
    assert cam.low < cam.value < cam.high and cam.seed_low < cam.value < cam.seed_high and np.isnan(bare.low)
    assert np.isnan([bare.change_low, walk.change_low]).all() and "[" not in ladder.changed(walk)  # since the bare one
    drawn = statistics.scored(walk.tables)[1] - statistics.scored(cam.tables)[1]
    low, high = statistics.change(walk.tables, cam.tables)
    assert low < walk.value - cam.value < high and (high - low) / drawn.std() == pytest.approx(2 * 1.96, rel=0.1)
    assert list(ladder.table(steps)["95 %, seeds"])[3] == f"{end.seed_low:.1f}–{end.seed_high:.1f} (2)"
    lines, _ = match.compare(results)
    beside = table.comparison(lines[lines.found == "ours"])
    assert len(beside) and set(beside["95 %, pictures"]) == {f"{end.low:.1f}–{end.high:.1f}"}
