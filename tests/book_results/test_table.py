"""The comparison table: what stands beside what, what differs, and the same bytes each time."""

import csv
import io
from types import SimpleNamespace

import pytest

from tests.book_results import made
from wsnb.book import compare, picture, reported, results, table, tables


def lines(tmp_path, *made_results, title="single_stage/a"):
    """(Lines, other rows) of one evaluated stage."""
    made.manifest(tmp_path, title, "03_evaluate", made_results)
    records = results.records(tmp_path)
    return table.lines_of(results.rows(records), records)


def of(found, value, split="val"):
    """The Line of a reported value."""
    return next(line for line in found if line.reported.value == value and line.reported.split == split)


def test_a_full_run_stands_beside_its_numbers(tmp_path):
    crf = "10 iterations, sxy 80"
    found, rest = lines(
        tmp_path,
        made.result(59.2),
        made.result(62.9, crf=crf),
        made.result(63.0, image_labels="ground truth"),
    )
    plain, with_crf, clean = of(found, 59.7), of(found, 62.7), of(found, 63.4)
    assert [line.ours.value for line in (plain, with_crf, clean)] == [59.2, 62.9, 63.0]
    assert plain.match and with_crf.match and clean.match and not rest
    assert table.difference(plain) == "−0.5" and table.difference(with_crf) == "+0.2"
    assert of(found, 60.5, "test").ours is None and of(found, 64.7, "train").ours is None


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
    assert line.match is False and said in table.match_words(line)
    assert table.difference(line) == "(−19.7)"


def test_crf_and_labels_at_test_are_named(tmp_path):
    found, _ = lines(tmp_path, made.result(63.0, image_labels="ground truth"))
    assert "image_labels: ground truth, theirs predicted" in table.match_words(of(found, 59.7))
    assert "crf: no, theirs yes" in table.match_words(of(found, 62.7))


@pytest.mark.parametrize(
    "changed",
    [{"dataset": "shapes"}, {"split": "train_small"}, {"method": "CAM baseline"}, {"supervision": "full"}],
)
def test_other_data_splits_methods_supervisions_are_not_compared(tmp_path, changed):
    found, rest = lines(tmp_path, made.result(90.0, **changed))
    assert all(line.ours is None for line in found) and [row.value for row in rest] == [90.0]
    assert all(
        row[5] == table.NOT_RUN for row in table.comparison_cells(found, table.numbered_sources(found))
    )


def test_other_metrics_units_and_papers_are_not_compared(tmp_path):
    found, rest = lines(tmp_path, made.result(90.0, name="mIoU of objects"), made.result(0.9, unit=""))
    assert all(line.ours is None for line in found) and len(rest) == 2
    found, rest = lines(tmp_path / "spml", made.result(90.0), title="spml/a")
    assert all(line.ours is None for line in found) and [row.value for row in rest] == [90.0]


def test_the_nearest_protocol_is_taken_never_the_best_value(tmp_path):
    found, rest = lines(
        tmp_path, made.result(99.0, dataset_size=200), made.result(58.0), made.result(70.0, backbone="vgg16")
    )
    assert of(found, 59.7).ours.value == 58.0
    assert [row.value for row in rest] == [99.0, 70.0]


def test_without_protocol_nothing_is_compared(tmp_path):
    found, rest = lines(
        tmp_path, {"name": "mIoU", "value": 59.7, "unit": "%", "protocol": None, "detail": {}}
    )
    assert all(line.ours is None for line in found) and table.own_cells(rest)[0][-1] == "no protocol"


def test_undefined_is_said_and_named(tmp_path):
    found, rest = lines(
        tmp_path, made.result(None), made.result(50.0, dataset="shapes", detail={"disc": 50.0, "ring": None})
    )
    cells = table.comparison_cells([of(found, 59.7)], table.numbered_sources(found))[0]
    assert cells[5] == "undefined (a)" and cells[6] == ""
    assert table.own_cells(rest)[0][-1] == "undefined: ring"


def test_unverified_is_marked(tmp_path):
    found, _ = lines(tmp_path, made.result(59.2))
    words = {line.reported.value: table.reported_words(line.reported) for line in found}
    assert words[38.2] == "38.2 (unverified)" and words[59.7] == "59.7"
    assert table.reported_words(of(found, 62.7, "test").reported) == "62.7 (disputed)"


def test_every_reported_number_has_a_row(tmp_path):
    found, _ = lines(tmp_path, made.result(59.2))
    wanted = {(row.paper, row.value, row.split) for row in reported.load() if row.unit == "%"}
    wanted = {row for row in wanted if row[0] in reported.PAPERS.values()}
    assert {(line.reported.paper, line.reported.value, line.reported.split) for line in found} == wanted
    assert {paper for paper, *_ in wanted} == set(reported.PAPERS.values())
    assert compare.compare([], reported.load(), set()) == ([], [])


def test_csv_has_all_digits_and_sources(tmp_path):
    made.manifest(
        tmp_path,
        "single_stage/a",
        "03_evaluate",
        [made.result(59.123456789), made.result(20.0, dataset="shapes")],
    )
    paths = tables.save(results.records(tmp_path), tmp_path / "out")
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
    text = tables.markdown(results.records(tmp_path))
    row = next(line for line in text.splitlines() if "| 59.7 |" in line)
    assert (
        "| 59.2 (a) | (−0.5) | no: dataset_size: 200, theirs 1449 |" in row
        and "1. authors' README: `visinf/1-stage-wseg" in text
    )
    assert "2 min 05 s | 1.24 GB | none | 2 CPU cores | ffffffff |" in text
    widths = {len(line.replace("\\|", "").split("|")) for line in text.splitlines() if line.startswith("|")}
    assert widths == {11, 9}


def test_markdown_shows_text_as_it_stands():
    assert table.escape("voc_small *a* |b| _c_ <d> $x$\n e") == r"voc_small \*a\* \|b\| \_c\_ \<d\> \$x\$ e"


def test_regenerated_twice_byte_for_byte(tmp_path):
    """Row 19 of the reliability list."""
    made.manifest(
        tmp_path / "runs",
        "single_stage/a",
        "03_evaluate",
        [made.result(59.2), made.result(50.0, dataset="shapes")],
    )
    first = tables.save(results.records(tmp_path / "runs"), tmp_path / "one")
    second = tables.save(results.records(tmp_path / "runs"), tmp_path / "two")
    equal = {kind: first[kind].read_bytes() == second[kind].read_bytes() for kind in first}
    print(f"byte-equal: {equal}")
    assert all(equal.values()) and len(equal) == 8


def test_nothing_run(tmp_path):
    paths = tables.save([], tmp_path)
    assert "Nothing has been run yet" in paths["table"].read_text(encoding="utf-8")
    assert paths["picture"].stat().st_size > 1000


def test_the_picture_shows_every_paper_real_data_first():
    def row(paper, experiment, role="final", value=1.0, supervision="boxes"):
        protocol = SimpleNamespace(supervision=supervision)
        return SimpleNamespace(paper=paper, experiment=experiment, role=role, value=value, protocol=protocol)

    rows = [row("b", "voc_small", supervision="none")]  # an untrained baseline
    rows += [row("a", "voc_small", value=k) for k in range(4)] + [row("a", "voc_small", "ladder"), row("b", "shapes"),
            row("b", "voc_small", "bound"), row("b", "voc_small"), row("c", "voc_small", "ladder")]
    found = picture._chosen(rows, 3)
    assert [(r.paper, r.experiment, r.role) for r in found[:3]] == [("a", "voc_small", "final")] * 2 + [
        ("b", "voc_small", "final")]
    assert all(r.protocol.supervision == "boxes" for r in found[:3])
    assert len(found) == len(rows) and found[-1].experiment == "shapes"
    assert picture._chosen(rows, 0) != [] and picture._chosen([], 3) == []


def test_many_undefined_classes_are_counted():
    names = tuple(f"unused {k}" for k in range(20))
    assert table.undefined_words(SimpleNamespace(undefined=names)).endswith("unused 5 and 14 more")
    assert table.undefined_words(SimpleNamespace(undefined=names[:6])).endswith("unused 5")
    assert table.undefined_words(SimpleNamespace(undefined=())) == ""
