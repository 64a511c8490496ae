"""Long pages of tables: real pictures first, the rest folded."""

import re

from tests.report import made
from wsnb.report import frame, pages, table, table_pages

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
    text = table_pages.sections(TEXT)
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
    assert table_pages.sections(ladders) == ladders
    assert table_pages.sections("x\n## spml/shapes_tag: mIoU, %\na\n") == "x\n## spml/shapes_tag: mIoU, %\na\n"
    assert table_pages.sections("Nothing yet.\n") == "Nothing yet.\n"
    both = table_pages.sections("## spml/shapes_tag: mIoU, %\na\n" + ladders)
    assert both.startswith(ladders) and "<details>" in both


def test_the_table_begins_with_the_main_numbers_of_real_pictures(tmp_path):
    assert "Nothing has been run" in table_pages.whole([])
    made.manifest(tmp_path, "single_stage/shapes", "03_evaluate", [made.result(98.3, dataset="shapes")])
    alone = table_pages.whole(frame.records(tmp_path))
    assert "| 98.3 |" in re.sub(r"(?s)<details>.*?</details>", "", alone)  # nothing real to show before it
    side = [made.result(99.2, name="mean accuracy", **REAL), {"name": "loss", "value": 0.123, "unit": ""}]
    made.manifest(tmp_path, "single_stage/voc", "03_evaluate", [made.result(96.4, **REAL), *side])
    made.manifest(tmp_path, "spml/shapes", "10_evaluate", [made.result(97.9, dataset="shapes")])
    records = frame.records(tmp_path)
    text = table_pages.whole(records)
    assert text.startswith("# Reported and ours") and text.count("## Single-stage") == 1
    text = text[text.index("## Single-stage"):]
    order = ["\\[96.4\\]", "not run here: ", "| 96.4", "losses): 2<", "99.2", "0.123", "good it is: 1<", "98.3",
             "### Sources of", "not run here: 15<", "97.9"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert all(text.count(word) == 1 for word in ("99.2", "98.3"))
    assert text.count("<details>") == text.count("</details>") == 4

    lines, rest = table.lines_of(frame.rows(records), records)
    assert "\n## Sources of" in table_pages.of_paper_folded("single_stage", lines, rest)
    assert "No result yet" in table_pages.of_paper_folded("single_stage", [], [])


def numbers(text):
    """The reported numbers of Markdown tables by the column of that name, sorted."""
    found, column = [], None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if "reported" in cells:
            column = cells.index("reported")
        elif not cells:
            column = None
        elif column is not None and not set(cells[0]) <= {"-"}:
            found.append(cells[column])
    return sorted(found)


def test_reported_numbers_that_were_not_run_are_folded_and_none_is_lost(tmp_path):
    made.manifest(tmp_path, "single_stage/voc12", "03_evaluate", [made.result(59.2)])
    made.manifest(tmp_path, "single_stage/voc", "03_evaluate", [made.result(31.4, crf="yes", **REAL)])
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [made.result(27.5, method="another", **REAL)])
    records = frame.records(tmp_path)
    lines, rest = table.lines_of(frame.rows(records), records)
    for paper in ("single_stage", "spml"):
        whole = table_pages.of_paper(paper, lines, rest)
        text = table_pages.of_paper_folded(paper, lines, rest)
        assert numbers(text) == numbers(whole) and "<details" not in whole
        seen, folded = text.split("not run here: ", 1)
        folded = folded[:folded.index("</details>")]
        idle = [line for line in lines if line.reported.paper == paper and line.ours is line.near is None]
        assert folded.startswith(f"{len(idle)}</summary>") and len(numbers(folded)) == len(idle) > 5
        assert len(numbers(seen)) == len(numbers(whole)) - len(idle)
        assert "not run" not in seen and "| ours |" not in folded and "| source |" in folded
        assert text.split("Sources of")[1] == whole.split("Sources of")[1]
        assert ("| 59.7 | 59.2 (voc12)" in seen) == (paper == "single_stage") == ("[31.4" in seen.replace("\\", ""))
    assert "None of them was run" in table_pages.of_paper_folded("spml", lines, rest)
    assert numbers(table_pages.markdown(records)) == numbers(table_pages.whole(records))
    assert "<details" not in table_pages.markdown(records)


def test_the_name_of_an_experiment_leads_to_its_page():
    text = "| voc | voc, x | a_voc |\n| \\[1.0\\] (voc) | 2 (voc_b) | (voc) x |\n"
    linked = table_pages.linked(text, {"voc": "p/voc/index.md", "voc_b": "b.md"})
    assert linked == ("| [voc](p/voc/index.md) | voc, x | a_voc |\n"
                      "| \\[1.0\\] ([voc](p/voc/index.md)) | 2 ([voc_b](b.md)) | (voc) x |\n")
    assert table_pages.linked(text, {}) == text


def test_an_experiment_shows_its_main_numbers_first(tmp_path):
    steps = [made.step(20.0 + k, f"walk, number {k}", method="walk") for k in (1, 2)]
    steps += [{"name": "mIoU of the labels", "value": 40.5, "unit": "%", "step": "weak masks"}]
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [*steps, made.result(33.3), made.result(44.4, name="accuracy")])
    rows = frame.rows(frame.records(tmp_path))
    text = table_pages.of_experiment(rows)
    places = [text.index(word) for word in ("| 33.3 |", "losses): 4<", "21.0 | walk, number 1", "22.0 | walk, number 2",
                                            "weak masks |  |  | 40.5", "44.4")]
    assert places == sorted(places)
    assert "<details>" not in table_pages.of_experiment(rows[:3]) and "40.5" in table_pages.of_experiment(rows[:3])


def test_no_picture_is_left_out_and_those_after_the_first_are_folded():
    shown = tuple((f"{number}.png", f"Number {number}") for number in range(pages.SHOWN + 2))
    text = pages.experiment(pages.Experiment("spml", "voc", (), pictures=shown))
    seen, folded = text.split("<details><summary>More pictures: 2</summary>")
    assert [seen.count("{figure}"), folded.count("{figure}")] == [pages.SHOWN, 2] and "13.png" in folded
    assert "<details" not in pages.experiment(pages.Experiment("spml", "voc", (), pictures=shown[:-2]))


def test_a_column_without_a_word_is_left_out():
    assert table.filled(("a", "b", "c"), [["1", "", "2"], ["", "", "3"]]) == (["a", "c"], [["1", "2"], ["", "3"]])
    assert table.filled(("a", "b"), []) == (["a", "b"], [])


def test_the_cover_says_of_what_a_number_is(tmp_path):
    values = [made.result(33.2, method="three-step", preset="fixed"), made.result(19.8, method="three-step")]
    folder = made.manifest(tmp_path, "no_people_allowed/voc", "08_evaluate", values)
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [made.result(17.6, method="retrieval", crf="5 rounds")])
    records = tuple(frame.records(tmp_path))
    shown = (("02_cam-cams.png", "Maps"), ("08-good_and_bad.png", "Best and worst"), ("08-ladder.png", "Steps"))
    found = [pages.Experiment("no_people_allowed", "voc", records[:1], pictures=shown),
             pages.Experiment("spml", "voc", records[1:], pictures=(shown[0], shown[2]))]
    text = pages.index(found, [])
    assert "mIoU 33.2 % (three-step, fixed preset, no CRF); mIoU 19.8 % (three-step, faithful preset, no CRF)" in text
    assert "mIoU 17.6 % (retrieval, CRF)" in text
    assert "good_and_bad.png" in text and "cams.png" not in text and folder.is_dir()
    assert "08-ladder.png" in pages.index(found[1:], [])
