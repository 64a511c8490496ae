"""The command `wsnb`."""

import argparse
import io
import sys
from pathlib import Path

from wsnb.files import FileError
from wsnb.run import data_commands, execute, experiments, paths
from wsnb.run.locks import LockedError
from wsnb.run.params import ParamsError


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = argparse.ArgumentParser(
        prog="wsnb", description="Weakly-supervised segmentation, an experiment book."
    )
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="experiments and what they aim at").set_defaults(call=_list)

    run = commands.add_parser(
        "run",
        help="run an experiment; finished stages are skipped",
        description=(
            "Exit codes: 0 done, 1 a stage failed, 2 bad parameters, 3 in use by somebody else, "
            "75 interrupted (continues)."
        ),
    )
    run.add_argument("experiment", nargs="*", help="PAPER/NAME, see `wsnb list`")
    run.add_argument(
        "--all",
        action="store_true",
        help=f"all experiments on synthetic data (named {experiments.SYNTHETIC}...)",
    )
    run.add_argument("--until", metavar="STAGE", help="stop after this stage")
    run.add_argument("--only", metavar="STAGE", help="run this stage alone; what it needs must be finished")
    run.add_argument(
        "--engine",
        choices=("serial", "snakemake"),
        default="serial",
        help="snakemake: stages as jobs, on this machine or on a cluster (pip install -e '.[cluster]')",
    )
    run.add_argument("--jobs", type=int, metavar="N", help="snakemake: so many stages at a time (default 1)")
    run.add_argument("--profile", metavar="NAME", help="snakemake: its profile, which says where jobs run")
    run.add_argument(
        "-p", dest="overrides", action="append", default=[], metavar="NAME=VALUE", help="set a parameter"
    )
    run.add_argument("--data-root", metavar="DIR", help="where the data set lies")
    run.add_argument("--runs", metavar="DIR", help="where runs are kept (default: runs/ of the project)")
    run.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    run.add_argument("--workers", type=int, metavar="N", help="processes that load or label pictures")
    run.add_argument("--dry-run", action="store_true", help="only say what would run and why")
    run.add_argument(
        "--verify", action="store_true", help="compare every file of finished stages with its record"
    )
    run.set_defaults(call=_run)

    shown = commands.add_parser("params", help="all values of an experiment, by stage")
    shown.add_argument("experiment", metavar="PAPER/NAME")
    shown.set_defaults(call=_params)

    status = commands.add_parser("status", help="what has been run")
    status.add_argument("experiment", nargs="*")
    status.add_argument("--runs", metavar="DIR")
    status.set_defaults(call=_status)

    report = commands.add_parser(
        "report", help="tables, figures and the HTML book, from the records of finished stages"
    )
    report.add_argument("--runs", metavar="DIR")
    report.add_argument("--out", metavar="DIR", help="default: _site/ of the project")
    report.add_argument(
        "--figures", metavar="DIR", help="published records (default: figures/ of the project)"
    )
    report.add_argument(
        "--publish",
        action="append",
        default=[],
        metavar="PAPER/NAME",
        help="first copy this run's record there",
    )
    report.set_defaults(call=_report)

    data_commands.add(commands)
    return top


def _runs(args, project) -> Path:
    return Path(args.runs).absolute() if args.runs else project / "runs"


def _list(args) -> int:
    project = paths.find()
    names = experiments.names(project)
    width = max(map(len, names), default=0)
    for title in names:
        try:
            said = experiments.description(project / "params" / f"{title}.yaml")
        except FileError as error:
            said = f"({error})"
        execute.say(f"{title:{width}}  {said}".rstrip())
    return execute.DONE


def _params(args) -> int:
    from wsnb.run import params_table

    project = paths.find()
    experiment = experiments.load(project, *paths.split_experiment(args.experiment))
    execute.say(params_table.text(experiment))
    return execute.DONE


def _run(args) -> int:
    project = paths.find()
    titles = list(args.experiment)
    if args.all:
        titles += [
            name
            for name in experiments.names(project)
            if name.split("/")[1].startswith(experiments.SYNTHETIC)
        ]
    if not titles:
        raise ParamsError("nothing to run; name an experiment of `wsnb list`, or use --all")
    options = execute.Options(
        project,
        _runs(args, project),
        args.until,
        tuple(args.overrides),
        args.data_root,
        args.device,
        args.workers,
        args.verify,
        args.only,
    )
    if args.only and (args.until or len(titles) > 1 or args.engine != "serial"):
        raise ParamsError("--only: it goes with one experiment, and without --until and --engine")
    if args.engine == "serial" and (args.jobs or args.profile):
        raise ParamsError("--jobs and --profile: they go with --engine snakemake")
    if args.jobs is not None and args.jobs < 1:
        raise ParamsError(f"--jobs {args.jobs}: use 1 or more")
    if args.dry_run:
        return execute.dry_run(options, titles)
    if args.engine == "snakemake":
        from wsnb.run import cluster

        return cluster.run(options, titles, args.jobs or 1, args.profile)
    return execute.run(options, titles)


def _status(args) -> int:
    project = paths.find()
    return execute.status(project, _runs(args, project), args.experiment or experiments.names(project))


def _report(args) -> int:
    from wsnb.report import build

    project = paths.find()
    out = Path(args.out).absolute() if args.out else project / "_site"
    figures = Path(args.figures).absolute() if args.figures else project / "figures"
    try:
        made = build.build(_runs(args, project), figures, out, publish=tuple(args.publish), project=project)
    except build.ReportError as error:
        print(f"wsnb: {error}", file=sys.stderr)
        return execute.FAILED
    for what, path in made.items():
        print(f"{what}: {path}")
    return execute.DONE


def main(arguments=None) -> int:
    """Entry point; returns the exit code."""
    args = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal without our letters is no reason to stop
    try:
        return args.call(args)
    except (ParamsError, FileError, paths.BadName) as error:
        print(f"wsnb: {error}", file=sys.stderr)
        return execute.BAD
    except LockedError as error:
        print(f"wsnb: {error}", file=sys.stderr)
        return execute.LOCKED
    except KeyboardInterrupt:
        return execute.INTERRUPTED
    except OSError as error:
        print(f"wsnb: {error}", file=sys.stderr)
        return execute.FAILED


if __name__ == "__main__":
    sys.exit(main())
