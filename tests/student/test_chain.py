"""The student's chain by the real command: labels of another chapter, exported, and brought back."""

import re

import pytest

from tests import command
from tests.predicted import agrees_with_its_run
from tests.student import chain
from wsnb.data.synthetic import make_voc
from wsnb.files import FileError
from wsnb.run import export
from wsnb.run.paths import BadName


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(data, runs): a student of the labels of another chapter."""
    root = tmp_path_factory.mktemp("student")
    data = make_voc.shapes(root / "VOCdevkit", train=6, val=3, size=(64, 80))
    done = chain.run("shapes", data, root / "runs", **chain.BOXES)
    assert done.returncode == 0, done.stdout
    return data, root / "runs"


def measured(runs, experiment, stage):
    """{(name, method, CRF): (value, classes)} of a stage's results."""
    return {(row["name"], row["protocol"]["method"], row["protocol"]["crf"]): (row["value"], row["detail"])
            for row in chain.manifest(runs, experiment, stage)["results"]}


def test_labels_and_student_are_scored(made):
    labels = measured(made[1], "shapes", "01_labels")
    assert {name for name, *_ in labels} == {f"label {one}" for one in ("mIoU", "precision", "recall", "coverage")}
    values = {name: value for (name, *_), (value, _) in labels.items()}
    assert values["label coverage"] == 100 > values["label recall"] > values["label mIoU"] > 20
    student = measured(made[1], "shapes", "03_evaluate")
    assert [(method, bool(crf)) for _, method, crf in student] == [
        ("student of Rectangles, DeepLabV3+", False), ("student of Rectangles, DeepLabV3+", True),
        ("all background", False)]


def test_it_predicts_what_its_own_stage_wrote(made):
    agrees_with_its_run(made[1], "student/shapes", made[0])


def test_exported_labels_brought_back_teach_the_same_student(made, tmp_path):
    data, runs = made
    place = "student/shapes/06_labels/labels/rectangles"  # of a stage of simple_does_it
    done = command.wsnb("export", "labels", place, tmp_path / "out", "--runs", runs)
    assert done.returncode == 0 and "6 files" in done.stdout, done.stdout
    done = chain.run("shapes_full", data, runs, labels_dir=tmp_path / "out", source="Rectangles", supervision="boxes")
    assert done.returncode == 0, done.stdout
    for stage in ("01_labels", "03_evaluate"):
        assert measured(runs, "shapes_full", stage) == measured(runs, "shapes", stage)  # to the last bit


@pytest.mark.parametrize("place, said", [
    ("student/shapes/01_labels", "give student/shapes/01_labels/FOLDER, of labels"),
    ("student/shapes/01_labels/masks", "no label maps there"),
    ("student/none/01_labels/labels", "no finished stage; run `wsnb run student/none --until 01_labels`"),
    ("student", "use letters"), ("student/shapes/01_labels/../../..", "leaves")])
def test_an_export_of_nothing_is_refused(made, tmp_path, place, said):
    with pytest.raises((FileError, BadName), match=re.escape(said)):
        export.labels(made[1], place, tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_full_masks_at_the_price_of_weak_labels_are_drawn_by_the_seed(made, tmp_path):
    """One command: as many masks as the boxes cost at these prices, other pictures for each of two seeds."""
    data, runs = made
    prices = tmp_path / "prices.csv"
    columns = "kind,unit,dataset,seconds,source_kind,source,note\n"
    prices.write_text(f"{columns}boxes,box,,7,paper_text,x,\nmasks,picture,shapes,30,paper_text,x,\n")
    done = chain.run("shapes_full", data, runs, "--until", "01_labels", "--seeds", "0-1", price_of="boxes",
                     prices_file=prices, source="full masks at the price of boxes")
    assert done.returncode == 0, done.stdout
    boxes = chain.manifest(runs, "shapes", "01_labels")["notes"]["annotations"]["boxes"]
    drawn = [chain.manifest(runs, name, "01_labels")["notes"] for name in ("shapes_full", "shapes_full@seed1")]
    assert all(notes["annotations"] == {"pictures": round(7 * boxes / 30), "masks": round(7 * boxes / 30)}
               for notes in drawn)
    assert drawn[0]["train"] != drawn[1]["train"]
    prices.write_text(prices.read_text().replace(",30,", ",60,"))  # another price is another result
    done = chain.run("shapes_full", data, runs, "--until", "01_labels", price_of="boxes", prices_file=prices)
    assert done.returncode == 0, done.stdout
    notes = chain.manifest(runs, "shapes_full", "01_labels")["notes"]
    assert notes["annotations"]["masks"] == round(7 * boxes / 60)
