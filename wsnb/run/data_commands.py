"""The commands `wsnb data ...`: get a data set, look at it, convert it, draw a synthetic one, begin one's own."""

import dataclasses
import json
import time
from pathlib import Path

from wsnb.files import FileError
from wsnb.run import data_check, experiments, paths, schedule


def add(parser) -> None:
    """Give PARSER, that of `wsnb data`, its commands."""
    from wsnb.data import doctor, synthetic

    data = parser.add_subparsers(dest="what", required=True)
    fetch = data.add_parser("fetch", help="download a data set, or say where it can be had")
    fetch.add_argument("name")
    fetch.add_argument("--root", metavar="DIR", help="where the set goes (default: data/ of the project)")
    fetch.set_defaults(call=_fetch)
    look = data.add_parser("doctor", help="list everything that is missing or damaged")
    look.add_argument("name", choices=(*doctor.LAYOUTS, "own", "tags", "weights", "experiment"))
    look.add_argument("root", help="the set's folder; own: of pictures and labels as for `new`; tags: an .npy of "
                      "vectors; weights: a file of tensors; experiment: PAPER/NAME, all that its stages will read, "
                      "files of other programs too (-p labels_dir=DIR, detections_dir, mcg_dir, cam_dir, ...)")
    look.add_argument("-p", dest="overrides", action="append", default=[], metavar="NAME=VALUE",
                      help="a parameter of the experiment")
    look.add_argument("--data-root", metavar="DIR", help="where the experiment's data set lies")
    look.add_argument("--json", action="store_true", help="the findings as JSON; exit code 1 if there are problems")
    look.add_argument("--splits", nargs="+", default=None, metavar="SPLIT")
    look.set_defaults(call=_doctor)
    make = data.add_parser("make", help="write a synthetic data set")
    make.add_argument("name", choices=("shapes",))
    layouts = tuple(layout for layout, _ in synthetic.MAKERS.values())
    make.add_argument("--layout", choices=(*layouts, "all"), default="voc", help="of which real data set")
    make.add_argument("--root", metavar="DIR", help="default: the built-in place")
    for name in ("train", "val", "seed"):
        make.add_argument(f"--{name}", type=int, metavar="N", help="only with the layout voc")
    make.add_argument("--size", type=_size, metavar="HxW", help="height and width in pixels; only with voc")
    make.set_defaults(call=_make)
    convert = data.add_parser("convert", help="write masks as PNG where a data set has them in another form")
    convert.add_argument("name", choices=("sbd", "densepose", "coco"))
    convert.add_argument("root")
    convert.set_defaults(call=_convert)
    new = data.add_parser("new", help="make a data set of a folder of your own pictures and labels")
    new.add_argument("folder", metavar="DIR", help="pictures, with tags.csv, boxes.json, scribbles/, points.csv, ...")
    new.add_argument("--root", metavar="DIR", help="where the set goes (default: DIR/VOCdevkit)")
    for kind, what in (
        ("images", "folder of the pictures"),
        ("tags", ".csv or .txt: NAME and its classes on a line"),
        ("boxes", "COCO .json (outlines are masks of single objects), or folder of VOC .xml"),
        ("scribbles", "folder of index .png (255 unknown), or .csv: NAME,class,x,y,x,y,..."),
        ("points", "folder of index .png (255 unknown), or .csv: NAME,class,x,y"),
        ("masks", "folder of index .png (255 void)"),
        ("objects", "folder of .png that number the objects of full masks (255 void)"),
        ("classes", "a class a line, if the labels do not name them"),
    ):
        new.add_argument(f"--{kind}", metavar="PATH", help=what)
    new.add_argument("--unlabelled", metavar="DIR", help="pictures without labels: a split to predict, `test`")
    new.add_argument("--val", type=int, default=-1, metavar="N", help="pictures to hold out")
    new.add_argument("--longest", type=int, default=500, metavar="N", help="pixels of the longer side; 0: as it is")
    new.set_defaults(call=_new)


def _fetch(args) -> int:
    from wsnb.data import fetch

    try:
        fetch.fetch(args.name, Path(args.root).expanduser() if args.root else paths.find() / "data")
    except ValueError as error:  # an unknown name, or a FileError
        raise FileError(str(error)) from error
    return schedule.DONE


def _doctor(args) -> int:
    from wsnb.data import doctor
    from wsnb.data.own import dataset

    place = Path(args.root).expanduser()
    if args.name in ("tags", "weights"):
        found = getattr(doctor, args.name)(place)
    elif args.name == "own":
        found = dataset.look(place)
    elif args.name == "experiment":
        options = schedule.Options(paths.find(), paths.find() / "runs", overrides=args.overrides,
                                   data_root=args.data_root)
        experiment = schedule.load(options, args.root)
        schedule.ensure_data(options, experiment)
        found = data_check.report(options.project, experiment, None if args.json else every_5_s("pictures"))
    else:
        splits = args.splits or doctor.usual_splits(place, args.name)
        progress = None if args.json else every_5_s("pictures")
        found = doctor.check(place, splits, progress=progress, layout=args.name)
    print(json.dumps({"ok": found.ok, **dataclasses.asdict(found)}, indent=1) if args.json else found.text())
    return schedule.FAILED if found.problems else schedule.DONE


def _make(args) -> int:
    from wsnb.data import synthetic
    from wsnb.data.synthetic import make_voc

    given = {name: getattr(args, name) for name in ("train", "val", "seed", "size") if getattr(args, name) is not None}
    try:
        if args.layout != "voc":
            if given or (args.root and args.layout == "all"):
                raise ValueError("--train, --val, --seed and --size go with the layout voc, --root with one layout")
            names = list(synthetic.MAKERS) if args.layout == "all" else [synthetic.folder_of(args.layout)]
            for name in names:
                place = Path(args.root).expanduser() if args.root else paths.find() / experiments.FOLDER / name
                print(synthetic.maker(name).write(place, progress=every_5_s("pictures")))
            return schedule.DONE
        place = Path(args.root).expanduser() if args.root else paths.find() / experiments.PLACE
        print(make_voc.shapes(place, **given, progress=every_5_s("pictures")))
    except ValueError as error:  # counts or sizes that cannot be drawn, or a FileError
        raise FileError(str(error)) from error
    return schedule.DONE


def _convert(args) -> int:
    from wsnb.data import coco, densepose, sbd

    if args.name == "sbd":
        print(f"{sbd.to_png(args.root, progress=every_5_s('masks'))} masks written to cls_png")
        return schedule.DONE
    if args.name == "coco":
        for split, count in coco.to_png(args.root, progress=every_5_s("pictures")).items():
            print(f"tags/{split}.json: {count} pictures, with their masks, objects and boxes")
        return schedule.DONE
    for split, count in densepose.to_png(args.root, progress=every_5_s("pictures")).items():
        print(f"lists/{split}2014.txt: {count} pictures")
    return schedule.DONE


def _new(args) -> int:
    from wsnb.data.own import dataset
    from wsnb.run import own_pictures

    places = {
        kind: getattr(args, kind)
        for kind in ("images", "tags", "boxes", "scribbles", "points", "masks", "objects", "classes")
    }
    made = dataset.make(args.folder, args.root, args.val, args.longest, progress=every_5_s("pictures"),
                        unlabelled=args.unlabelled, **places)
    print(own_pictures.text(paths.find(), made))
    return schedule.DONE


def _size(text: str) -> tuple[int, int]:
    """'96x128' -> (96, 128), '96' -> (96, 96)."""
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def every_5_s(what, file=None):
    """A progress(done, total) that prints a line every 5 s, into FILE (standard output)."""
    last = [time.monotonic()]

    def progress(done, total):
        if time.monotonic() - last[0] >= 5:
            last[0] = time.monotonic()
            print(f"{done}/{total} {what}", file=file, flush=True)

    return progress
