"""Pages of the book: the main numbers of real pictures first, the rest behind a click, and nothing lost."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from tests.report import made
from wsnb.data import voc
from wsnb.data.synthetic import make_voc
from wsnb.files import save_png
from wsnb.report import build, claims, frame, front, headline, match, pages, table, text
from wsnb.run import params

ROOT = Path(__file__).parents[2]
REAL = {"dataset": "VOC2012 subset", "dataset_size": 200}


def page(runs, paper, found=()):
    """A paper's page."""
    rows = made.found(runs)
    return pages.paper(paper, found, *match.compare(rows), claims.judged(rows), claims.replication(ROOT, paper))


def opened(page):
    """The page without what opens by a click."""
    return re.sub(r"(?s)::::\{dropdown\}.*?\n::::\n", "", page)


def dropdown(page, title):
    """What opens by a click on the title that begins so."""
    return re.search(rf"(?s)::::\{{dropdown\}} {re.escape(title)}.*?\n::::\n", page)[0]


def test_a_page_begins_with_the_main_numbers_of_real_pictures(tmp_path):
    made.manifest(tmp_path, "single_stage/shapes", "03_evaluate", [made.result(98.3, dataset="shapes")])
    assert "| 98.3 |" in opened(page(tmp_path, "single_stage"))  # nothing real to show before it
    side = [made.result(99.2, name="mean accuracy", **REAL), {"name": "loss", "value": 0.123, "unit": ""}]
    made.manifest(tmp_path, "single_stage/voc", "03_evaluate", [made.result(96.4, **REAL), *side])
    shown = page(tmp_path, "single_stage")
    order = ["\\[96.4\\]", "not run here: ", "| 96.4", "losses): 2", "99.2", "0.123", "good it is: 1", "98.3",
             "## Sources of"]
    places = [shown.index(said) for said in order]
    assert places == sorted(places)
    assert all(shown.count(said) == 1 for said in ("99.2", "98.3"))
    closed = ("BibTeX", "Reported on pictures that", "Reported, not run", "Values that depart", "More numbers",
              "Ours on synthetic")
    assert shown.count("::::{dropdown}") == shown.count("\n::::\n") == len(closed)
    assert all(f"::::{{dropdown}} {title}" in shown for title in closed)
    assert not {"99.2", "98.3", "0.123"} & set(re.findall(r"[\d.]+", opened(shown)))


def numbers(page):
    """The reported numbers of Markdown tables by the column of that name, sorted."""
    found, column = [], None
    page = re.sub(r"(?s)## Re-run by others.*?\n## ", "## ", page)  # these are of others
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if "reported" in cells:
            column = cells.index("reported")
        elif not cells:
            column = None
        elif column is not None and not set(cells[0]) <= {"-"}:
            found.append(cells[column])
    return sorted(found)


def test_reported_numbers_that_were_not_run_open_by_a_click_and_none_is_lost(tmp_path):
    made.manifest(tmp_path, "single_stage/voc12", "03_evaluate", [made.result(59.2)])
    made.manifest(tmp_path, "single_stage/voc", "03_evaluate", [made.result(31.4, crf="yes", **REAL)])
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [made.result(27.5, method="another", **REAL)])
    results = made.found(tmp_path)
    lines, rest = match.compare(results)
    for paper in ("single_stage", "spml"):
        own, _ = table.of_paper(paper, lines, rest)
        shown = page(tmp_path, paper)
        idle = dropdown(shown, "Reported, not run here")
        assert numbers(shown) == sorted(table.comparison(own).reported)
        assert len(numbers(idle)) == (own.found == "").sum() > 5
        assert f"not run here: {len(numbers(idle))}\n" in idle and "not run |" not in shown
        assert "| ours |" not in idle and "| source |" in idle
        assert ("| 59.7 | 59.2 (voc12)" in opened(shown)) == (paper == "single_stage")
    assert "None of them was run" in page(tmp_path, "spml")
    whole = pages.tables(build.Tables(frame.records(tmp_path)))
    assert numbers(whole) == sorted(table.comparison(lines).reported) and "dropdown" not in whole


def test_the_name_of_an_experiment_leads_to_its_page():
    cells = pd.DataFrame({"experiment": ["voc", "gone"], "ours": ["[1.0] (voc)", "2 (voc_b)"], "remark": ["voc", "x"]})
    shown = text.table(pages.linked(cells, {"voc": "p/voc/index.md", "voc_b": "b.md"}))
    assert shown.splitlines()[2:] == [r"| [voc](p/voc/index.md) | \[1.0\] ([voc](p/voc/index.md)) | voc |",
                                      "| gone | 2 ([voc_b](b.md)) | x |"]


def test_the_replication_in_short_says_what_reproduced_what_was_kept_and_what_departs(tmp_path):
    made.manifest(tmp_path, "spml/voc12_tag", "10_evaluate", [made.result(33.3, method="SPML, softmax classifier")])
    (one,) = experiments(tmp_path)
    shown = page(tmp_path, "spml", [one])
    short = shown.split("## Replication in short")[1].split("\n## ")[0]
    assert re.search(r"\n4 claims: nothing of ours bears on it: 4\.\n", short)
    said = re.search(r"(\d+) reported numbers: (\d+) measured under the same protocol, (\d+) under another, (\d+) not",
                     short)
    reported, *parts = map(int, said.groups())
    assert sum(parts) == reported and parts[0] + parts[1] == 1
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in short.splitlines() if line.startswith("|")}
    _, here, kept, departs, names = rows["voc_small_tag"]
    marked = params.paper_values(ROOT / "params/spml/voc_small_tag.yaml")
    assert here == "no" and int(kept) > 0 and int(departs) == len(marked) and ", iterations, " in names
    assert "| iterations | 1500 | 30000 | " in dropdown(shown, "Values that depart, ours and the paper's: ")


def test_every_number_of_strangers_stands_on_a_papers_page_with_its_source(tmp_path):
    again = match.reruns()
    pages_ = {name: page(tmp_path, name).partition("## Re-run by others")[2].split("\n## ")[0]
              for name in again.chapter.unique()}
    assert sorted(pages_) == ["no_people_allowed", "single_stage", "spml"]
    lines = [line for shown in pages_.values() for line in shown.splitlines() if line.startswith("| ")]
    assert len(lines) - len(pages_) == len(again) == 18  # less the heads
    for row in again.itertuples():
        assert any(f"| {text.reported(row.value, row.unit)} |" in line and text.escape(row.source) in line
                   for line in pages_[row.chapter].splitlines()), row
    assert "Re-run by others" not in page(tmp_path, "panoptic")
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [made.result(27.5)])
    whole = pages.tables(build.Tables(frame.records(tmp_path)))
    assert all(text.escape(row.source) in whole for row in again.itertuples())


def experiments(runs):
    """Experiments of RUNS as their pages want them."""
    records = frame.records(runs)
    results, stages = frame.results(records), frame.stages(records)
    return [pages.Experiment(record.paper, record.experiment, results[results.paper == record.paper],
                             stages[stages.paper == record.paper], (record,)) for record in records]


def test_an_experiment_shows_its_main_numbers_first(tmp_path):
    steps = [made.step(20.0 + k, f"walk, number {k}", method="walk") for k in (1, 2)]
    steps += [{"name": "mIoU of the labels", "value": 40.5, "unit": "%", "step": "weak masks"}]
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [*steps, made.result(33.3), made.result(44.4, name="accuracy")])
    (one,) = experiments(tmp_path)
    shown = pages.experiment(one)
    places = [shown.index(said) for said in ("| 33.3 |", "losses): 4", "21.0 | walk, number 1", "22.0 | walk, number 2",
                                             "weak masks |  |  | 40.5", "44.4", "## Protocol")]
    assert places == sorted(places)


def test_no_picture_is_left_out_and_those_after_the_first_open_by_a_click():
    shown = tuple((f"{number}.png", f"Number {number}") for number in range(pages.SHOWN + 2))
    empty = frame.results([]), frame.stages([])
    page = pages.experiment(pages.Experiment("spml", "voc", *empty, pictures=shown))
    more = dropdown(page, "More pictures: 2")
    assert [opened(page).count("{figure}"), more.count("{figure}")] == [pages.SHOWN, 2] and "13.png" in more
    assert "dropdown" not in pages.experiment(pages.Experiment("spml", "voc", *empty, pictures=shown[:-2]))


def test_a_column_without_a_word_is_left_out():
    cells = pd.DataFrame([["1", "", "2"], ["", "", "3"]], columns=["a", "b", "c"])
    assert list(text.filled(cells)) == ["a", "c"] and list(text.filled(cells.iloc[:0])) == ["a", "b", "c"]


def test_the_cover_says_of_what_a_number_is(tmp_path):
    values = [made.result(33.2, method="three-step", preset="fixed"), made.result(19.8, method="three-step")]
    made.manifest(tmp_path, "no_people_allowed/voc", "08_evaluate", values)
    made.manifest(tmp_path, "spml/voc", "10_evaluate", [made.result(17.6, method="retrieval", crf="5 rounds")])
    shown = (("02_cam-cams.png", "Maps"), ("08-good_and_bad.png", "Best and worst"), ("08-ladder.png", "Steps"))
    first, second = experiments(tmp_path)
    object.__setattr__(first, "pictures", shown)
    object.__setattr__(second, "pictures", (shown[0], shown[2]))
    cover = pages.index([first, second], tmp_path)
    assert "mIoU 33.2 % (three-step, fixed preset, no CRF); mIoU 19.8 % (three-step, faithful preset, no CRF)" in cover
    assert "mIoU 17.6 % (retrieval, CRF)" in cover


def test_the_cover_has_a_number_of_ours_beside_each_papers(tmp_path):
    made.manifest(tmp_path, "single_stage/voc", "03_evaluate", [made.result(31.4, crf="yes", **REAL)])
    lines, _ = match.compare(made.found(tmp_path))
    small = headline.frame(lines)
    assert list(small.reported) == ["62.7"] and list(small.ours) == ["31.4"]
    cover = pages.index(experiments(tmp_path), tmp_path, ["single_stage"], compared=lines)
    assert "mIoU 31.4 here, 62.7 in the paper" in cover and "not reproductions" in cover
    assert headline.of_paper(lines, "single_stage") == "mIoU 31.4 here, 62.7 in the paper"
    assert headline.of_paper(lines, "spml") == ""


def test_a_measured_number_needs_no_excuse(tmp_path):
    made.manifest(tmp_path, "single_stage/voc12", "03_evaluate", [made.result(59.2)])
    lines, _ = match.compare(made.found(tmp_path))
    assert (headline.sentence(lines) == "") == (not lines[lines.found == "ours"].differs.iloc[0])


def test_a_thumbnail_is_the_first_row_of_a_figure():
    figure = np.full((600, 400, 3), 255, np.uint8)
    figure[20:220], figure[260:500] = (200, 0, 0), (0, 0, 200)
    buffer = io.BytesIO()
    Image.fromarray(figure).save(buffer, "PNG")
    small = Image.open(io.BytesIO(front.thumbnail(buffer.getvalue())))
    assert small.size == (400, 200) and not (np.asarray(small)[..., 2] > 100).any()


def test_the_front_picture_shows_what_the_methods_made_of_one_picture(tmp_path):
    data = make_voc.shapes(tmp_path / "data/VOCdevkit", train=2, val=3, size=(64, 80))
    places = {"single_stage": "02_masks/masks_crf", "no_people_allowed": "07_inference/labels"}
    for number, (paper, place) in enumerate(places.items()):
        stage, folder = place.split("/")
        made.manifest(tmp_path / "runs", f"{paper}/voc", "08_evaluate", [made.result(30.0 + number, **REAL)])
        at = made.manifest(tmp_path / "runs", f"{paper}/voc", stage, params={"data_root": str(data)})
        for item in voc.items(data, "val"):
            save_png(at / folder / f"{item.id}.png", np.full((64, 80), 1, np.uint8))
        made.again(at)
        records = frame.records(tmp_path / "runs")
        results = frame.results(records)
        assert (front.figure(tmp_path, records, results) is None) == (number == 0)  # one method is no comparison
    shown = [name.partition("\n")[0] for name in front.methods(records, results)]
    assert shown == ["Single-stage", "No people allowed"]
    front.publish(tmp_path, records, results, tmp_path)
    assert Image.open(tmp_path / front.NAME).size[0] > 1000
