"""Results come from manifests alone; published records hold them without places of this machine."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from tests.report import made
from tests.run import toy
from wsnb.files import FileError, save_json
from wsnb.report import frame, publish
from wsnb.run import store


def test_collect(tmp_path):
    detail = {"aeroplane": 50.0, "dog": None, "IoU": {"cat": None}}
    made.manifest(
        tmp_path, "single_stage/a", "03_evaluate", [made.result(61.5, detail=detail), made.result(None)]
    )
    made.manifest(tmp_path, "single_stage/a", "01_train")
    made.manifest(tmp_path, ".store/0123", "01_train", [made.result(1.0)])
    rows = made.found(tmp_path)
    assert list(rows.columns) == frame.COLUMNS
    assert list(rows.stage) == ["03_evaluate"] * 2 and list(rows.undefined) == [("cat", "dog"), ()]
    assert rows.value.iloc[0] == 61.5 and np.isnan(rows.value.iloc[1])
    row = rows.iloc[0]
    assert (row.paper, row.experiment, row.metric, row.unit, row.seed) == ("single_stage", "a", "mIoU", "%", 0)
    assert (row.git_commit, row.seconds, row.peak_cpu_bytes) == ("f" * 40, 125.4, 1_240_000_000)
    assert row.backbone == "resnet38" and row.stated and not row.synthetic and len(row.key) == 64
    assert (row.label_seconds, row.label_counted) == (20.0, False)  # the usual price of tags on VOC
    assert list(frame.stages(frame.records(tmp_path)).stage) == ["01_train", "03_evaluate"]


def test_a_reader_loads_the_published_results_in_one_line():
    rows = frame.load(runs="no such folder")
    assert len(rows) > 300 and rows.published.all() and {"voc_small"} <= set(rows.experiment)


def test_nothing_there(tmp_path):
    empty = made.found(tmp_path / "gone")
    assert empty.empty and list(empty.columns) == frame.COLUMNS


def test_links_into_the_store(tmp_path):
    folder = made.manifest(tmp_path, "single_stage/a", "01_train")
    (folder / "manifest.json").unlink()
    entry = made.manifest(tmp_path, "single_stage/a", "02_masks", [made.result(1.0)])
    (tmp_path / ".store").mkdir()
    entry.rename(tmp_path / ".store/0123")
    assert made.found(tmp_path).empty
    assert frame.unfinished(tmp_path) == [("single_stage", "a", "01_train")]
    for name in ("a", "b"):
        store.link(tmp_path / "single_stage" / name / "02_masks", tmp_path / ".store/0123")
    assert list(made.found(tmp_path).experiment) == ["a", "b"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: "{",
        lambda r: "[]",
        lambda r: json.dumps({**r, "format": 7}),
        {"seconds": "long"},
        {"results": [{"name": "mIoU"}]},
        {"results": [made.result("61")]},
        {"results": [made.result(61.0, flip="perhaps")]},
        {"results": [made.result(61.0, colour="red")]},
    ],
)
def test_damaged_manifest_is_named_with_its_remedy(tmp_path, damage):
    folder = made.manifest(tmp_path, "single_stage/a", "01_train")
    path = folder / "manifest.json"
    if isinstance(damage, dict):
        made.again(folder, damage)
    else:
        path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(FileError, match=r"01_train/manifest\.json.*(again|make it)"):
        frame.records(tmp_path)


def test_what_was_edited_or_damaged_is_neither_tabled_nor_published(finished, tmp_path):
    """Sizes are compared for tables, contents before anything is published."""
    folder, pictures = finished / "single_stage/a/03_evaluate", tmp_path / "figures"
    path = folder / "manifest.json"
    sound, before = path.read_text(), path.stat()
    path.write_text(sound.replace("61.5", "99.9"))
    for read in (frame.records, lambda runs: publish.publish(runs, "single_stage/a", pictures, project=tmp_path)):
        with pytest.raises(FileError, match="results is not what results.json says; run the stage again"):
            read(finished)
    path.write_text(sound)
    results = folder / "results.json"
    results.write_text(results.read_text().replace("61.5", "99.9"))
    with pytest.raises(FileError, match="results.json: not the file that manifest.json lists"):
        frame.records(finished)
    results.write_text(results.read_text().replace("99.9", "61.5"))
    mask = folder / "masks/2007_000033.png"
    whole = mask.read_bytes()
    mask.write_bytes(whole[:-1] + b"x")
    os.utime(mask, ns=(0, 0))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert len(frame.records(finished)) == 2
    with pytest.raises(FileError, match="masks/2007_000033.png was changed; run `wsnb run single_stage/a --verify`"):
        publish.publish(finished, "single_stage/a", pictures, project=tmp_path)
    mask.write_bytes(whole[:-1])
    with pytest.raises(FileError, match=f"masks/2007_000033.png has {len(whole) - 1} bytes instead of {len(whole)}"):
        frame.records(finished)
    assert not pictures.exists()


@pytest.fixture
def finished(tmp_path):
    """Runs of an experiment with figures."""
    runs = tmp_path / "runs"
    made.manifest(runs, "single_stage/a", "01_train")
    folder = made.manifest(
        runs,
        "single_stage/a",
        "03_evaluate",
        [made.result(61.5)],
        notes={
            "figures": {"good_and_bad.png": "Twelve pictures, good and bad"},
            "weights": "file /srv/w/net.pth of https://x.y/z/w",
        },
    )
    (folder / "good_and_bad.png").write_bytes(made.png())
    (folder / "figures").mkdir()
    (folder / "figures/class_scores.png").write_bytes(made.png())
    (folder / "masks").mkdir()
    (folder / "masks/2007_000033.png").write_bytes(made.png())
    made.again(folder)
    return runs


def test_publish(finished, tmp_path):
    figures = tmp_path / "figures"
    folder = publish.publish(finished, "single_stage/a", figures, project=tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "03_evaluate-class_scores.png",
        "03_evaluate-good_and_bad.png",
        "record.json",
    ]
    text = (folder / "record.json").read_text()
    assert "/srv" not in text and "elsewhere" not in text and str(tmp_path) not in text
    assert "https://x.y/z/w" in text and ".../net.pth" in text
    mine, theirs = (frame.results(some) for some in (frame.published(figures), frame.records(finished)))
    assert mine.drop(columns="published").equals(theirs.drop(columns="published"))
    shown = publish.published_pictures(figures, "single_stage/a")
    assert [alt for _, alt in shown] == ["Class scores", "Twelve pictures, good and bad"]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    publish.publish(finished, "single_stage/a", figures, project=tmp_path)
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_published_command(finished, tmp_path):
    (tmp_path / "params/single_stage").mkdir(parents=True)
    (tmp_path / "params/single_stage/a.yaml").write_text(
        'stages: [01_train, 03_evaluate]\nrun_dir: "runs/single_stage/a"\ndata_root: "data/voc"\n'
    )
    (tmp_path / "notebooks/single_stage").mkdir(parents=True)
    for stage in ("01_train", "03_evaluate"):  # whose defaults count where the YAML is silent
        declared = toy.notebook(stage, 'weights: str = "imagenet"\nlr: float = 0.01')
        save_json(tmp_path / f"notebooks/single_stage/{stage}.ipynb", declared)
    publish.publish(finished, "single_stage/a", tmp_path / "figures", project=tmp_path)
    assert publish.published_command(tmp_path / "figures", "single_stage/a") == (
        "wsnb run single_stage/a --data-root DIR -p lr=0.001 -p weights=.../net.pth"
    )
    for stage in ("01_train", "03_evaluate"):  # lr is gone: the command would be refused
        save_json(tmp_path / f"notebooks/single_stage/{stage}.ipynb", toy.notebook(stage, 'weights: str = "imagenet"'))
    publish.publish(finished, "single_stage/a", tmp_path / "figures", project=tmp_path)
    assert publish.published_command(tmp_path / "figures", "single_stage/a") == (
        "wsnb run single_stage/a --data-root DIR -p weights=.../net.pth"
    )


def test_places_of_this_machine_do_not_leave_it(tmp_path):
    said = publish.portable(
        {
            "a": "/srv/x/net.pth",
            "b": [f"{tmp_path}/data/voc"],
            "c": "../../x/y.pth",
            "d": "data/voc",
            "e": "file /srv/x/net.pth of https://a.b/c",
            "f": "sxy 3 / 4",
            "g": 1.5,
            "h": "and/or",
        },
        tmp_path,
    )
    assert said == {
        "a": ".../net.pth",
        "b": ["data/voc"],
        "c": ".../y.pth",
        "d": "data/voc",
        "e": "file .../net.pth of https://a.b/c",
        "f": "sxy 3 / 4",
        "g": 1.5,
        "h": "and/or",
    }


def test_only_finished_experiments_are_published(finished, tmp_path):
    with pytest.raises(FileError, match="no stage of it not finished.*wsnb run single_stage/b"):
        publish.publish(finished, "single_stage/b", tmp_path / "figures", project=tmp_path)
    (finished / "single_stage/a/01_train/manifest.json").unlink()
    with pytest.raises(FileError, match="01_train not finished"):
        publish.publish(finished, "single_stage/a", tmp_path / "figures", project=tmp_path)
    assert not (tmp_path / "figures").exists()


def test_damaged_record_is_named(tmp_path):
    path = tmp_path / "single_stage/a/record.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1}')
    with pytest.raises(FileError, match=r"record\.json.*again"):
        frame.published(tmp_path)


def test_runs_stand_for_published_records_only_when_whole(finished, tmp_path):
    publish.publish(finished, "single_stage/a", tmp_path / "figures", project=tmp_path)
    published = frame.published(tmp_path / "figures")
    local = frame.records(finished)
    assert frame.chosen(local, published) == local
    assert frame.chosen(local[:1], published) == published
    assert frame.chosen([], published) == published and frame.chosen(local, []) == local


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_published_pictures_are_lighter_and_look_alike(tmp_path):
    photo = np.random.default_rng(0).normal(128, 30, (60, 80, 1)).clip(0, 255).astype(np.uint8).repeat(3, 2)
    photo[:, :40] = (255, 0, 0)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    data, suffix = publish.lighter((tmp_path / "photo.png").read_bytes(), ".png")
    found = decoded(data)
    assert len(data) < (tmp_path / "photo.png").stat().st_size and found.shape == photo.shape and suffix == ".png"
    assert np.abs(found - photo).max() <= 8 and (found[:, :40] == (255, 0, 0)).all()
    (tmp_path / "chart.svg").write_text("<svg/>")
    assert publish.lighter((tmp_path / "chart.svg").read_bytes(), ".svg") == (b"<svg/>", ".svg")


def street(size, seed=0):
    """A picture of more colours than 256, with two classes over it whose colours are near each other."""
    rng = np.random.default_rng(seed)
    smooth = np.linspace(0, 255, size)[:, None, None] * [1, 0.6, 0.3] + np.linspace(0, 90, size)[None, :, None]
    photo = (smooth + rng.normal(0, 12, (size, size, 3))).clip(0, 255)
    bird, train = (np.s_[size // 8 : size // 4, size // 8 : size // 4], np.s_[size // 2 :, size // 2 :])
    for place, colour in ((bird, (128, 128, 0)), (train, (128, 192, 0))):
        photo[place] = 0.45 * photo[place] + 0.55 * np.array(colour)
    return photo.astype(np.uint8), bird, train


@pytest.mark.parametrize("size, kind", [(160, ".png"), (480, ".jpg")])
def test_a_class_keeps_its_colour_in_a_published_picture(tmp_path, size, kind):
    photo, bird, train = street(size)
    Image.fromarray(photo).save(tmp_path / "weak.png")
    data, suffix = publish.lighter((tmp_path / "weak.png").read_bytes(), ".png")
    found = decoded(data)
    assert suffix == kind and len(data) <= (tmp_path / "weak.png").stat().st_size
    for place in (bird, train):
        assert np.abs(found[place].mean((0, 1)) - photo[place].mean((0, 1))).max() < 2
    if kind == ".png":
        assert (found == photo).all()
    assert np.abs(found - photo).mean() < 7  # of which 12 are noise


def test_a_picture_of_another_kind_takes_the_place_of_the_one_before(finished, tmp_path):
    figures = tmp_path / "figures"
    folder = publish.publish(finished, "single_stage/a", figures, project=tmp_path)
    page = tmp_path / "README.md"
    page.write_text("![Twelve](figures/single_stage/a/03_evaluate-good_and_bad.png) good_and_bad.png")
    source = next(finished.rglob("good_and_bad.png"))
    Image.fromarray(street(480)[0]).save(source)
    made.again(source.parent)
    publish.publish(finished, "single_stage/a", figures, project=tmp_path)
    assert sorted(path.name for path in folder.glob("*good*")) == ["03_evaluate-good_and_bad.jpg"]
    assert page.read_text() == "![Twelve](figures/single_stage/a/03_evaluate-good_and_bad.jpg) good_and_bad.png"
    assert all(path.is_file() for path, _ in publish.published_pictures(figures, "single_stage/a"))
