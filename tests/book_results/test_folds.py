"""Long pages of tables: real pictures first, the rest folded."""

from tests.book_results import made
from wsnb.book import folds, pages, results, table

REAL = {"dataset": "VOC2012 subset", "dataset_size": 200}
TEXT = """How to read it.
## VOC2012 subset val, 200 pictures: IoU per instance
one
## VOC2012 subset val, 200 pictures: mIoU
two
## CamVid subset val, 24 pictures: AP\\^r (all) (ours)
three
## CamVid subset val, 24 pictures: PQ (all) (ours)
four
## shapes val, 24 pictures: mIoU
five
## Prices of the labels
six
"""


def test_further_metrics_and_synthetic_pictures_are_folded():
    text = folds.sections(TEXT)
    heads = [line for line in text.splitlines() if line.startswith(("## ", "<details>"))]
    assert heads == [
        "## VOC2012 subset val, 200 pictures: mIoU",
        "<details><summary>VOC2012 subset val, 200 pictures: 1 table of other metrics</summary>",
        "## CamVid subset val, 24 pictures: PQ (all) (ours)",
        "<details><summary>CamVid subset val, 24 pictures: 1 table of other metrics</summary>",
        "## Synthetic pictures",
        "<details><summary>Synthetic pictures: 1 table</summary>",
        "## Prices of the labels",
    ]
    assert text.startswith("How to read it.\n") and text.endswith("six\n")
    for word in ("one", "two", "three", "four", "five", "six"):
        assert text.count(f"\n{word}\n") == 1
    assert text.count("</details>") == 3 and "**shapes val, 24 pictures: mIoU**\nfive\n" in text


def test_ladders_stay_and_a_page_of_synthetic_pictures_alone_is_not_folded():
    ladders = "## spml/voc_small: mIoU, %\na\n## spml/voc_small: PQ, %\nb\n"
    assert folds.sections(ladders) == ladders
    assert folds.sections("x\n## spml/shapes_tag: mIoU, %\na\n") == "x\n## spml/shapes_tag: mIoU, %\na\n"
    assert folds.sections("Nothing yet.\n") == "Nothing yet.\n"
    both = folds.sections("## spml/shapes_tag: mIoU, %\na\n" + ladders)
    assert both.startswith(ladders) and "<details>" in both


def test_the_table_begins_with_the_main_numbers_of_real_pictures(tmp_path):
    assert "Nothing has been run" in folds.whole([])
    made.manifest(tmp_path, "single_stage/shapes", "03_evaluate", [made.result(98.3, dataset="shapes")])
    alone = results.records(tmp_path)
    assert "<details>" not in folds.whole(alone) and "98.3" in folds.whole(alone)
    side = [made.result(99.2, name="mean accuracy", **REAL), {"name": "loss", "value": 0.123, "unit": ""}]
    made.manifest(tmp_path, "single_stage/voc", "03_evaluate", [made.result(96.4, **REAL), *side])
    made.manifest(tmp_path, "spml/shapes", "10_evaluate", [made.result(97.9, dataset="shapes")])
    records = results.records(tmp_path)
    text = folds.whole(records)
    assert text.startswith("# Reported and ours") and text.count("## Single-stage") == 1
    text = text[text.index("## Single-stage"):]
    order = ["96.4", "losses): 2<", "99.2", "0.123", "good it is: 1<", "98.3", "### Sources of", "97.9"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert all(text.count(word) == 1 for word in ("99.2", "98.3"))
    assert text.count("<details>") == text.count("</details>") == 2

    lines, rest = table.lines_of(results.rows(records), records)
    assert "\n## Sources of" in folds.of_paper("single_stage", lines, rest)
    assert "No result yet" in folds.of_paper("single_stage", [], [])


def test_the_cover_says_of_what_a_number_is(tmp_path):
    values = [made.result(33.2, method="three-step", preset="fixed"), made.result(19.8, method="three-step")]
    folder = made.manifest(tmp_path, "no_people_allowed/voc", "08_evaluate", values)
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [made.result(17.6, method="retrieval", crf="5 rounds")])
    records = tuple(results.records(tmp_path))
    shown = (("02_cam-cams.png", "Maps"), ("08-good_and_bad.png", "Best and worst"), ("08-ladder.png", "Steps"))
    found = [pages.Experiment("no_people_allowed", "voc", records[:1], pictures=shown),
             pages.Experiment("spml", "voc", records[1:], pictures=(shown[0], shown[2]))]
    text = pages.index(found, [])
    assert "mIoU 33.2 % (three-step, fixed preset, no CRF); mIoU 19.8 % (three-step, faithful preset, no CRF)" in text
    assert "mIoU 17.6 % (retrieval, CRF)" in text
    assert "good_and_bad.png" in text and "cams.png" not in text and folder.is_dir()
    assert "08-ladder.png" in pages.index(found[1:], [])
