"""The comparison table: what stands beside what, what differs, and the same bytes each time."""

import csv
import io
import math
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.report import made
from wsnb.report import build, charts, frame, match, table, text
from wsnb.run import papers


def lines(tmp_path, *made_results, title="single_stage/a"):
    """(lines, other rows) of one evaluated stage."""
    made.manifest(tmp_path, title, "03_evaluate", made_results)
    return match.compare(made.found(tmp_path))


def of(found, value, split="val"):
    """The line of a reported value."""
    return next(found[(found.value == value) & (found.split == split)].itertuples())


def save(runs, folder):
    """What `wsnb report` writes of RUNS."""
    return build.Tables(frame.records(runs)).save(folder)


def test_a_full_run_stands_beside_its_numbers(tmp_path):
    crf = "10 iterations, sxy 80"
    found, rest = lines(
        tmp_path,
        made.result(59.2),
        made.result(62.9, crf=crf),
        made.result(63.0, image_labels="ground truth"),
    )
    plain, with_crf, clean = of(found, 59.7), of(found, 62.7), of(found, 63.4)
    assert [line.our_value for line in (plain, with_crf, clean)] == [59.2, 62.9, 63.0]
    assert {table.matching(line) for line in (plain, with_crf, clean)} == {"yes"} and rest.empty
    assert table.difference(plain) == "−0.5" and table.difference(with_crf) == "+0.2"
    assert of(found, 60.5, "test").found != "ours" and of(found, 64.7, "train").found != "ours"


@pytest.mark.parametrize(
    "field, value, said",
    [
        ("dataset_size", 200, "dataset_size: 200, theirs 1449"),
        ("backbone", "mobilenet_v2", "backbone: mobilenet_v2"),
        ("preset", "fixed", "preset: fixed, theirs faithful"),
        ("aggregation", "image mean", "aggregation: image mean"),
    ],
)
def test_what_differs_is_named_and_the_difference_is_no_verdict(tmp_path, field, value, said):
    found, _ = lines(tmp_path, made.result(40.0, **{field: value}))
    line = of(found, 59.7)
    assert line.found == "ours" and f"no: {said}" in table.matching(line)
    assert table.difference(line) == "(−19.7)"


def test_crf_and_labels_at_test_are_named(tmp_path):
    found, _ = lines(tmp_path, made.result(63.0, image_labels="ground truth"))
    assert "image_labels: ground truth, theirs predicted" in table.matching(of(found, 59.7))
    assert "crf: no, theirs yes" in table.matching(of(found, 62.7))


@pytest.mark.parametrize(
    "changed",
    [{"dataset": "shapes"}, {"method": "CAM baseline"}, {"supervision": "full"}],
)
def test_other_data_splits_methods_supervisions_are_not_compared(tmp_path, changed):
    found, rest = lines(tmp_path, made.result(90.0, **changed))
    assert not found.found.any() and list(rest.value) == [90.0]
    assert set(table.comparison(found).ours) == {table.NOT_RUN}


@pytest.mark.parametrize("changed", [{"dataset": "VOC2012 subset", "dataset_size": 200}, {"split": "train_small"}])
def test_on_other_pictures_ours_stands_in_brackets_without_a_difference(tmp_path, changed):
    crf = made.result(80.0, crf="10 iterations", **changed)
    found, rest = lines(tmp_path, made.result(90.0, **changed), crf, made.result(99.0, method="CAM baseline"))
    plain, with_crf = of(found, 59.7), of(found, 62.7)
    assert plain.found == "near" and math.isnan(plain.difference) and len(rest) == 3
    assert (plain.our_value, with_crf.our_value) == (90.0, 80.0)
    cells = table.comparison(found).loc[plain.Index]
    assert (cells.ours, cells.difference) == ("[90.0] (a)", "")
    said = {"size" if name == "dataset_size" else name for name in changed}
    names = cells["protocols match?"].removeprefix("not comparable: other ").split(", ")
    assert set(names) == said and plain.differs[0][1] == next(iter(changed.values()))


def test_synthetic_or_undefined_numbers_never_stand_in_brackets(tmp_path):
    other = {"dataset": "VOC2012 subset"}
    found, _ = lines(tmp_path, made.result(None, **other), {**made.result(9.0, **other), "role": "ladder", "step": "x"},
                     made.result(9.0, dataset="shapes"))  # fmt: skip
    assert not found.found.any()
    found, _ = lines(tmp_path / "named", made.result(9.0, **other), title="single_stage/shapes")
    assert not found.found.any()


def test_ranks_and_counts_stay_as_not_run(tmp_path):
    found, _ = lines(tmp_path, made.result(59.2))
    cells = table.comparison(found)
    values = dict(zip(cells.reported, cells.ours, strict=True))
    assert values["3 place"] == values["10582 count"] == values["99310 count"] == table.NOT_RUN


def test_other_metrics_units_and_papers_are_not_compared(tmp_path):
    found, rest = lines(tmp_path, made.result(90.0, name="mIoU of objects"), made.result(0.9, unit=""))
    assert not found.found.any() and len(rest) == 2
    found, rest = lines(tmp_path / "spml", made.result(90.0), title="spml/a")
    assert not found.found.any() and list(rest.value) == [90.0]


def test_the_nearest_protocol_is_taken_never_the_best_value(tmp_path):
    found, rest = lines(
        tmp_path, made.result(99.0, dataset_size=200), made.result(58.0), made.result(70.0, backbone="vgg16")
    )
    assert of(found, 59.7).our_value == 58.0
    assert list(rest.value) == [99.0, 70.0]


def test_without_protocol_nothing_is_compared(tmp_path):
    found, rest = lines(
        tmp_path, {"name": "mIoU", "value": 59.7, "unit": "%", "protocol": None, "detail": {}}
    )
    assert not found.found.any() and list(table.own(rest).remark) == ["no protocol"]


def test_undefined_is_said_and_named(tmp_path):
    found, rest = lines(
        tmp_path, made.result(None), made.result(50.0, dataset="shapes", detail={"disc": 50.0, "ring": None})
    )
    cells = table.comparison(found).loc[of(found, 59.7).Index]
    assert (cells.ours, cells.difference) == ("undefined (a)", "")
    assert list(table.own(rest).remark) == ["undefined: ring"]


def test_unverified_is_marked(tmp_path):
    found, _ = lines(tmp_path, made.result(59.2))
    said = dict(zip(found.value, table.comparison(found).reported, strict=True))
    assert said[38.2] == "38.2 (unverified)" and said[59.7] == "59.7"
    assert table.reported(of(found, 62.7, "test")) == "62.7 (disputed)"


def test_every_reported_number_has_a_row(tmp_path):
    found, _ = lines(tmp_path, made.result(59.2))
    raw = match.load().pipe(lambda rows: rows[rows.paper.isin(papers.load())])
    keys = ["paper", "value", "split"]
    assert set(map(tuple, found[keys].values)) == set(map(tuple, raw[keys].values))
    assert set(raw.paper) == set(papers.load())
    nothing, rest = match.compare(made.found(tmp_path / "gone"), ())
    assert nothing.empty and rest.empty


def test_csv_has_all_digits_and_sources(tmp_path):
    made.manifest(
        tmp_path,
        "single_stage/a",
        "03_evaluate",
        [made.result(59.123456789), made.result(20.0, dataset="shapes")],
    )
    paths = save(tmp_path, tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text(encoding="utf-8")), strict=True))
    ours = [row for row in rows if row["ours"] == "59.123456789" and row["reported"] == "59.7"][0]
    assert (
        ours["protocols_match"] == "yes"
        and "visinf/1-stage-wseg" in ours["sources"]
        and ours["git_commit"] == "f" * 40
    )
    assert [row["dataset"] for row in rows if not row["reported"]] == ["shapes"]
    assert {row["ours"] for row in rows} == {"59.123456789", "20.0", "not run"}
    stages = list(csv.DictReader(io.StringIO(paths["stages"].read_text(encoding="utf-8"))))
    assert stages[0]["seconds"] == "125.4" and stages[0]["peak_cpu_bytes"] == "1240000000"


def test_markdown(tmp_path):
    made.manifest(tmp_path, "single_stage/a", "03_evaluate", [made.result(59.2, dataset_size=200)])
    page = save(tmp_path, tmp_path / "out")["table"].read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "| 59.7 |" in line)
    assert "| 59.2 (a) | 58.5 | (−0.5) | no: dataset_size: 200, theirs 1449 |" in row
    assert "\n1. authors' README: `visinf/1-stage-wseg" in page
    assert "2 min 05 s | 1.24 GB | none | 2 CPU cores | ffffffff |" in page
    widths = {len(line.replace("\\|", "").split("|")) for line in page.splitlines() if line.startswith("|")}
    assert widths == {12, 9}


def test_markdown_shows_text_as_it_stands():
    assert text.escape("voc_small *a* |b| _c_ <d> $x$\n e") == r"voc_small \*a\* \|b\| \_c\_ \<d\> \$x\$ e"


def test_regenerated_twice_byte_for_byte(tmp_path):
    """Row 19 of the reliability list."""
    made.manifest(
        tmp_path / "runs",
        "single_stage/a",
        "03_evaluate",
        [made.result(59.2), made.result(50.0, dataset="shapes")],
    )
    first, second = (save(tmp_path / "runs", tmp_path / name) for name in ("one", "two"))
    equal = {kind: first[kind].read_bytes() == second[kind].read_bytes() for kind in first}
    print(f"byte-equal: {equal}")
    assert all(equal.values()) and len(equal) == 8


def test_nothing_run(tmp_path):
    paths = save(tmp_path, tmp_path)
    assert "Nothing has been run yet" in paths["table"].read_text(encoding="utf-8")
    assert paths["picture"].stat().st_size > 1000


def test_the_picture_shows_every_paper_real_data_first():
    def row(paper, experiment, role="final", value=1.0, supervision="boxes"):
        return {"paper": paper, "experiment": experiment, "role": role, "value": value, "supervision": supervision,
                "image_labels": "none", "synthetic": experiment == "shapes"}  # fmt: skip

    rows = [row("b", "voc_small", supervision="none")]  # an untrained baseline
    rows += [row("a", "voc_small", value=k) for k in range(4)] + [row("a", "voc_small", "ladder"), row("b", "shapes"),
            row("b", "voc_small", "bound"), row("b", "voc_small"), row("c", "voc_small", "ladder")]
    rows = pd.DataFrame(rows)
    found = charts._first(rows, 3)
    assert list(zip(found.paper, found.experiment, found.role, strict=True)) == [("a", "voc_small", "final")] * 2 + [
        ("b", "voc_small", "final")]
    assert set(found.supervision) == {"boxes"} and list(found.value)[:2] == [0, 1]
    assert charts._first(rows, 0).empty and charts._first(rows.iloc[:0], 3).empty


def test_the_picture_has_columns_of_reported_numbers_only_where_there_are_some(tmp_path):
    subset = {"dataset": "VOC2012 subset", "backbone": "MobileNetV2"}
    given = made.result(39.0, image_labels="ground truth", **subset)
    found, rest = lines(tmp_path / "a", made.result(33.0, **subset), made.result(35.0, crf="yes", **subset), given)
    cells, note = charts.content(found, rest)
    assert list(cells.ours) == ["35.0", "39.0"] and cells.method[1].endswith("tags given at test")
    assert not {"reported", "difference", "protocols"} & set(cells) and "MobileNetV2" not in cells.method[0]
    assert "none has a reported counterpart" in note and "all with MobileNetV2" in note and "1 more" in note
    found, rest = lines(tmp_path / "b", made.result(59.2), made.result(20.0, **subset))
    cells, note = charts.content(found, rest)
    assert list(cells) == list(charts.COLUMNS)
    assert list(cells.loc[0, ["reported", "difference", "protocols"]]) == ["59.7", "−0.5", "agree"]
    assert cells.reported.iloc[-1] == "" and "no difference: no reported counterpart" in note


def test_many_undefined_classes_are_counted():
    def remark(count):
        return table.remark(SimpleNamespace(undefined=tuple(f"unused {k}" for k in range(count)), stated=False))

    assert "unused 5 and 14 more" in remark(20)
    assert "unused 5; " in remark(6) and remark(0) == "no protocol"
