"""The command `wsnb`."""

import argparse
import contextlib
import io
import json
import logging
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

from wsnb.files import FileError, read_text
from wsnb.run import command_line, experiments, overview, paths, schedule
from wsnb.run.locks import LockedError
from wsnb.run.params import ParamsError

APART = "# Apart:"  # a line of an experiment's header: --all leaves it out


def parser(arguments) -> argparse.ArgumentParser:
    """The command's arguments; those of `wsnb data` only if ARGUMENTS begin with it, for they load the readers."""
    top = command_line.Parser(prog="wsnb", description="Weakly-supervised segmentation, an experiment book.")
    top.add_argument("--version", action="version", version=f"wsnb {version('wsnb')}")
    commands = top.add_subparsers(dest="command", required=True)
    listed = commands.add_parser("list", help="experiments: what they aim at, time, memory, weights and data")
    listed.add_argument("paper", nargs="*", help="only of these chapters")
    listed.add_argument("--names", action="store_true", help="names alone, one a line")
    listed.set_defaults(call=_list)

    loud = argparse.ArgumentParser(add_help=False)
    loud.add_argument("-q", "--quiet", action="store_true", help="say what begins, ends and fails; nothing between")
    loud.add_argument("-v", "--verbose", action="store_true", help="say all reasons, and where an error arose")

    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("experiment", nargs="*", help="PAPER/NAME, see `wsnb list`")
    chosen.add_argument(
        "--all",
        action="store_true",
        help=f"all experiments on synthetic data (named {experiments.SYNTHETIC}...), but for those with `{APART}` in "
        "their header",
    )
    chosen.add_argument("--until", metavar="STAGE", help="stop after this stage")
    chosen.add_argument(
        "-p", dest="overrides", action="append", default=[], metavar="NAME=VALUE", help="set a parameter"
    )
    chosen.add_argument("--data-root", metavar="DIR", help="where the data set lies")
    chosen.add_argument("--runs", metavar="DIR", help="where runs are kept (default: runs/ of the project)")
    chosen.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    chosen.add_argument("--workers", type=int, metavar="N", help="processes that load or label pictures")
    chosen.add_argument("--verify", action="store_true", help="compare every file of finished stages with its record")

    run = commands.add_parser(
        "run",
        parents=[chosen, loud],
        help="run an experiment; finished stages are skipped",
        description="Exit codes: 0 done, 1 a stage failed, 2 bad parameters, 3 in use by somebody else, 75 interrupted "
        "(continues).",
    )
    run.add_argument("--seeds", metavar="LIST", help="once for each seed, as 0-4 or 0,3, side by side in NAME@seedN")
    run.add_argument("--only", metavar="STAGE", help="run this stage alone; what it needs must be finished")
    run.add_argument("--jobs", type=int, default=1, metavar="N", help="stages at a time (default 1)")
    run.add_argument(
        "--engine",
        choices=("local", "snakemake"),
        default="local",
        help="snakemake: stages as its jobs, for more than one machine (pip install -e '.[cluster]')",
    )
    run.add_argument("--profile", metavar="NAME", help="snakemake: its profile, which says where jobs run")
    run.add_argument(
        "--dry-run", action="store_true", help="only say what would run and why; with --engine snakemake: its plan"
    )
    run.set_defaults(call=_run)

    predict = commands.add_parser("predict", help="masks of your own pictures, by the network of a finished run")
    predict.add_argument("picture", nargs="+", metavar="PICTURE", help="a file, or a folder of pictures")
    predict.add_argument("--run", metavar="PAPER/NAME", help="a finished experiment (default: the book's network)")
    predict.add_argument("--weights", metavar="FILE", help="a file of `wsnb export network`")
    predict.add_argument("--out", metavar="DIR", default="predictions", help="default: predictions/ here")
    predict.add_argument("--box", action="append", type=_box, metavar="X0,Y0,X1,Y1", help="for chains that fill boxes")
    predict.add_argument("--longest", type=int, default=500, metavar="N", help="pixels of the longer side; 0: as it is")
    predict.add_argument("--runs", metavar="DIR")
    predict.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    predict.set_defaults(call=_predict)

    export = commands.add_parser("export", help="the networks or the labels of a finished run, for others")
    export = export.add_subparsers(dest="what", required=True)
    network = export.add_parser("network", help="its networks in one small file, with a card")
    network.add_argument("experiment", metavar="PAPER/NAME")
    network.add_argument("file", metavar="FILE", nargs="?", help="default: weights/book.zip, the book's own network")
    network.add_argument("--runs", metavar="DIR")
    network.set_defaults(call=_export_network)
    labels = export.add_parser(
        "labels", help="a stage's label maps or class maps as a folder, which `labels_dir` of the student takes"
    )
    labels.add_argument("place", metavar="PAPER/NAME/STAGE/FOLDER", help="as student/shapes/01_labels/labels")
    labels.add_argument("folder", metavar="DIR", help="a new folder")
    labels.add_argument("--runs", metavar="DIR")
    labels.set_defaults(call=_export_labels)

    new = commands.add_parser("new", help="begin a method of your own: a notebook and an experiment")
    new.add_argument("what", choices=("paper",))
    new.add_argument("name", metavar="NAME")
    new.set_defaults(call=_new)

    shown = commands.add_parser("params", help="all values of an experiment, by stage")
    shown.add_argument("experiment", metavar="PAPER/NAME")
    shown.add_argument("--stage", metavar="STAGE", help="only this stage's, as YAML for `papermill -f`")
    shown.set_defaults(call=_params)

    plan = commands.add_parser("plan", parents=[chosen], help="what would run and why; --json: for a scheduler")
    plan.add_argument("--json", action="store_true", help="stages that are not finished, as jobs")
    plan.add_argument("--estimate", action="store_true", help="time, memory and disk, computed; nothing need be there")
    plan.add_argument("--gpu", metavar="NAME", help="--estimate: for this GPU, as a100 (default), h100, h200 or v100")
    plan.set_defaults(call=_plan, only=None, quiet=False, verbose=False)

    status = commands.add_parser("status", help="what has been run")
    status.add_argument("experiment", nargs="*")
    status.add_argument("--runs", metavar="DIR")
    status.set_defaults(call=_status)

    clean = commands.add_parser("clean", help="what may be deleted, with sizes")
    clean.add_argument(
        "what", nargs="*", metavar="WHAT", help="runs: results that no experiment points to (default); build: working "
        "files of the HTML book; site: the book itself"
    )
    clean.add_argument("--yes", action="store_true", help="delete it")
    clean.add_argument("--runs", metavar="DIR")
    clean.set_defaults(call=_clean)

    report = commands.add_parser("report", parents=[loud], help="tables, figures and the HTML book, from records")
    report.add_argument("--runs", metavar="DIR")
    report.add_argument("--out", metavar="DIR", help="default: _site/ of the project")
    report.add_argument("--figures", metavar="DIR", help="published records (default: figures/ of the project)")
    report.add_argument(
        "--publish", action="append", default=[], metavar="PAPER/NAME", help="first copy this run's record there"
    )
    report.set_defaults(call=_report)

    complete = commands.add_parser("completion", help="a script that completes words: source <(wsnb completion bash)")
    complete.add_argument("shell", choices=("bash", "zsh"))
    complete.set_defaults(call=lambda args: _completion(top, args))

    data = commands.add_parser("data", help="fetch, check, make, convert or begin a data set")
    if "data" in arguments[:1]:
        from wsnb.run import data_commands

        data_commands.add(data)
    return top


def _runs(args, project) -> Path:
    return Path(args.runs).absolute() if args.runs else project / "runs"


def _list(args) -> int:
    from wsnb.run import listing

    project = paths.find()
    schedule.say("\n".join(experiments.names(project)) if args.names else listing.text(project, args.paper))
    return schedule.DONE


def _completion(top, args) -> int:
    schedule.say(command_line.completion(top, args.shell))
    return schedule.DONE


def _params(args) -> int:
    from wsnb.run import params_table

    project = paths.find()
    experiment = experiments.load(project, *experiments.split(project, args.experiment))
    schedule.say(params_table.of_stage(experiment, args.stage) if args.stage else params_table.text(experiment))
    return schedule.DONE


def _chosen(args) -> tuple:
    """(options, experiments) of `run` and `plan`. Raises ParamsError if none is named."""
    project = paths.find()
    titles = list(args.experiment)
    if args.all:
        titles += [name for name in experiments.names(project) if _is_for_all(project, name)]
    if not titles:
        raise ParamsError("nothing to run; name an experiment of `wsnb list`, or use --all")
    given = {name: getattr(args, name) for name in ("until", "data_root", "device", "workers", "verify", "only")}
    given |= {"quiet": args.quiet, "verbose": args.verbose}
    options = schedule.Options(project, _runs(args, project), overrides=tuple(args.overrides), **given)
    return options, list(dict.fromkeys(titles))


def _is_for_all(project, title) -> bool:
    text = read_text(project / "params" / f"{title}.yaml")
    return title.split("/")[1].startswith(experiments.SYNTHETIC) and f"\n{APART}" not in text


def _run(args) -> int:
    options, titles = _chosen(args)
    if args.seeds is not None:
        seeds = paths.seeds(args.seeds)
        titles = [f"{title}@seed{seed}" for title in titles for seed in seeds]
    if args.only and (args.until or len(titles) > 1 or args.engine != "local"):
        raise ParamsError("--only: it goes with one experiment, and without --until and --engine")
    if args.profile and args.engine != "snakemake":
        raise ParamsError("--profile: it goes with --engine snakemake")
    if args.jobs < 1:
        raise ParamsError(f"--jobs {args.jobs}: use 1 or more")
    if args.engine == "snakemake":
        from wsnb.run import cluster

        return (cluster.dry_run if args.dry_run else cluster.run)(options, titles, args.jobs, args.profile)
    if args.dry_run:
        return overview.dry_run(options, titles)
    return schedule.run(options, titles, args.jobs)


def _box(text: str) -> list:
    """'10,20,90,80' -> [10, 20, 90, 80]."""
    numbers = [int(part) for part in text.split(",")]
    if len(numbers) != 4 or not (0 <= numbers[0] < numbers[2] and 0 <= numbers[1] < numbers[3]):
        raise argparse.ArgumentTypeError(f"{text}: write X0,Y0,X1,Y1 in pixels, the upper left corner first")
    return numbers


def _predict(args) -> int:
    from wsnb.run import network_file, predict

    if args.run and args.weights:
        raise ParamsError("--run and --weights: give one of them")
    project, device = paths.find(), predict.checked_device(args.device)
    if args.run:
        loaded = contextlib.nullcontext(predict.of_runs(project, _runs(args, project), args.run, device))
    else:
        file = args.weights or network_file.book(project, _runs(args, project))
        loaded = predict.of_file(file, device)
    with loaded as run:
        predict.write(predict.Model(run), args.picture, args.out, schedule.say, args.box, args.longest)
    return schedule.DONE


def _new(args) -> int:
    from wsnb.run import new_paper

    schedule.say(new_paper.make(paths.find(), args.name))
    return schedule.DONE


def _export_network(args) -> int:
    from wsnb.run import network_file

    project = paths.find()
    file = Path(args.file) if args.file else project / network_file.BOOK
    schedule.say(network_file.write(project, _runs(args, project), args.experiment, file))
    return schedule.DONE


def _plan(args) -> int:
    if args.gpu and not args.estimate:
        raise ParamsError("--gpu: it goes with --estimate")
    options, titles = _chosen(args)
    if args.estimate:
        from wsnb.run import estimate

        for title in titles:
            experiment = estimate.load(options, title)
            schedule.say(f"{title}\n{estimate.text(options.project, experiment, args.gpu or estimate.USUAL)}")
        return schedule.DONE
    if not args.json:
        return overview.dry_run(options, titles)
    schedule.say(json.dumps(overview.plan(options, titles), indent=1))
    return schedule.DONE


def _status(args) -> int:
    project = paths.find()
    runs = _runs(args, project)
    titles = args.experiment or experiments.begun_seeds(runs, experiments.names(project))
    return overview.status(project, runs, titles)


def _clean(args) -> int:
    from wsnb.run import clean

    project = paths.find()
    clean.clean(project, _runs(args, project), args.what, args.yes, schedule.say)
    return schedule.DONE


def _export_labels(args) -> int:
    from wsnb.run import export

    export.labels(_runs(args, paths.find()), args.place, args.folder, schedule.say)
    return schedule.DONE


def _report(args) -> int:
    from wsnb.report import build

    project = paths.find()
    out = Path(args.out).absolute() if args.out else project / "_site"
    figures = Path(args.figures).absolute() if args.figures else project / "figures"
    say = (lambda text: None) if args.quiet else schedule.say
    try:
        made = build.build(_runs(args, project), figures, out, publish=tuple(args.publish), project=project, say=say)
    except build.ReportError as error:
        print(f"wsnb: {error}", file=sys.stderr)
        return schedule.FAILED
    for what, path in made.items():
        print(f"{what}: {path}")
    return schedule.DONE


def main(arguments=None) -> int:
    """Entry point; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = parser(arguments).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without our letters is no reason to stop
    verbose = getattr(args, "verbose", False)
    if verbose:
        logging.getLogger("wsnb.kernel").addHandler(logging.StreamHandler())
    try:
        return args.call(args)
    except KeyboardInterrupt:
        return schedule.INTERRUPTED
    except (ParamsError, FileError, paths.BadName, LockedError, OSError) as error:
        if verbose:
            traceback.print_exc()
        print(f"wsnb: {error}", file=sys.stderr)
        if isinstance(error, LockedError):
            return schedule.LOCKED
        return schedule.FAILED if isinstance(error, OSError) else schedule.BAD  # a full disk, or bad input


if __name__ == "__main__":
    sys.exit(main())
