"""Parameters: declared once in a notebook's first code cell, checked before a kernel starts.

papermill only warns of unknown names and never looks at types; both are refused here. Where an experiment's YAML is
silent, the default in the notebook counts, as it does for papermill.
"""

import ast
import dataclasses
import difflib
import io
import itertools
import math
import re
import tokenize
from pathlib import Path

import yaml

from wsnb.files import read_text, readable
from wsnb.run import allowed, notebooks

LARGEST = 2**32  # of whole numbers: of seeds, and none else is near it
SCALARS = {"int": int, "float": float, "bool": bool, "str": str}
TYPES = (*SCALARS, "list[int]", "list[float]", "list[str]")
ENDINGS = (".pth", ".pt", ".h5", ".npz", ".npy", ".ckpt", ".index", ".txt", ".json", ".pkl")
PAPER = re.compile(r'(?P<name>\w+): .*# paper: (?P<value>\[.*?\]|"[^"]*"|[^,]+)(, (?P<reason>\S.*))?$')
MACHINE = ("data_root", "run_dir", "device", "workers")  # where and how fast, never what


class ParamsError(ValueError):
    """A parameter that cannot be used; the message names it, its place, and the remedy."""

    def __init__(self, message=""):
        super().__init__(readable(message))


@dataclasses.dataclass(frozen=True)
class Param:
    """One declared parameter: name, type (one of TYPES), default, help, the allowed values (see `allowed`)."""

    name: str
    type: str
    default: object
    help: str = ""
    allowed: str = ""


def check(param: Param, value, where: str):
    """VALUE as PARAM declares it; an int may stand for a float, nothing else is converted. Raises ParamsError for
    another type, or a value that is not allowed."""
    value = _typed(param.name, param.type, value, where)
    if param.allowed and (wrong := allowed.fault(param.allowed, value)):
        raise ParamsError(f"{where}: {param.name} {wrong}")
    return value


def _typed(name, type_, value, where):
    if type_.startswith("list["):
        if not isinstance(value, list | tuple):
            raise ParamsError(f"{where}: {name} is {value!r}, but it is a {type_}; write [a, b]")
        return [_typed(f"{name}[{i}]", type_[5:-1], item, where) for i, item in enumerate(value)]
    if type_ == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not SCALARS[type_]:
        raise ParamsError(
            f"{where}: {name} is {value!r} ({_kind(value)}), but it is a {type_}; {_remedy(type_, value)}"
        )
    if type_ == "int" and abs(value) >= LARGEST:
        raise ParamsError(f"{where}: {name} is {value}; use a number below {LARGEST}")
    if type_ == "float" and not math.isfinite(value):
        raise ParamsError(f"{where}: {name} is {value}; use a finite number")
    return value


def _kind(value) -> str:
    names = {
        "str": "text",
        "NoneType": "nothing",
        "date": "a date",
        "datetime": "a date",
        "dict": "a mapping",
    }
    return names.get(type(value).__name__, type(value).__name__)


def _remedy(type_, value) -> str:
    if type_ == "float" and isinstance(value, str):
        match = re.fullmatch(r"([+-]?)(\d+)(\.\d*)?[eE]([+-]?)(\d+)", value.strip())
        if match:
            sign, whole, fraction, exponent_sign, exponent = match.groups()
            fraction = fraction if fraction and len(fraction) > 1 else ".0"
            return f"YAML reads it as text, write {sign}{whole}{fraction}e{exponent_sign or '+'}{exponent}"
    if type_ == "str":
        return "put it in quotes"
    return {"int": "write a whole number", "float": "write a number", "bool": "write true or false"}[type_]


def parse_cell(source: str, where: str) -> dict:
    """Text of a parameters cell -> {name: Param}: one annotated literal a statement, allowed values and help in the
    trailing comment, which may go on in lines of its own.

    Raises ParamsError naming the line.
    """
    try:
        body = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParamsError(f"{where}: the parameters cell does not parse ({error})") from error
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    last_lines = {statement.end_lineno for statement in body}
    declared = {}
    for statement in body:
        line = f"{where}, line {statement.lineno} of the parameters cell"
        if (
            not isinstance(statement, ast.AnnAssign)
            or not isinstance(statement.target, ast.Name)
            or statement.value is None
        ):
            raise ParamsError(f"{line}: expected `name: type = literal  # help`")
        name, type_ = statement.target.id, ast.unparse(statement.annotation)
        if type_ not in TYPES:
            raise ParamsError(f"{line}: {name} is a {type_}; allowed are {', '.join(TYPES)}")
        if name in declared:
            raise ParamsError(f"{line}: {name} is declared twice; keep one")
        try:
            default = ast.literal_eval(statement.value)
        except ValueError as error:
            raise ParamsError(
                f"{line}: {name} is derived; write a plain literal, papermill injects after this cell"
            ) from error
        values, help_ = allowed.split(_comment(comments, statement.end_lineno, last_lines))
        if values and not allowed.fits(values, type_):
            raise ParamsError(f"{line}: {name} is a {type_}, which cannot be {values!r}; see wsnb/run/allowed.py")
        declared[name] = param = Param(name, type_, default, help_, values)
        declared[name] = dataclasses.replace(param, default=check(param, default, line))
    return declared


def _comment(comments: dict, line: int, last_lines: set) -> str:
    """The comment of a statement that ends in LINE, and the lines below that are only comment."""
    below = itertools.takewhile(lambda n: n in comments and n not in last_lines, itertools.count(line + 1))
    return " ".join([comments.get(line, ""), *(comments[n] for n in below)]).strip()


def declared(notebook: notebooks.Notebook) -> dict:
    """{name: Param} of a notebook, in its order. Raises ParamsError or FileError."""
    return parse_cell(notebooks.parameters_cell(notebook).source, str(notebook.path))


class _Loader(yaml.CSafeLoader):
    """safe_load without YAML's surprises.

    Refused: a key given twice (YAML keeps the last), an alias (a few nested ones fill the memory), and numbers that
    are not plain decimals (YAML 1.1 reads 010 as 8 and 190:20:30 as 685230).
    """

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise _refusal(f"{key!r} is given twice", node)
        return super().construct_mapping(node, deep)

    def construct_number(self, node):
        if re.search(r"[:_]|^[-+]?0[0-9bx]", self.construct_scalar(node)):
            raise _refusal(f"{node.value} is not a plain decimal number; text goes in quotes", node)
        return (self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float)(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def _load(text: str):
    """The value of a YAML text. Raises yaml.YAMLError."""
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("an alias (*name) is not taken; write the value itself", event)
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader: object tags are refused


def _refusal(what, at) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, what, at.start_mark)


def load_yaml(path) -> dict:
    """Read a flat YAML mapping of scalars and flat lists. Raises FileError for a file that is not UTF-8 text,
    ParamsError for any other content, object tags included.
    """
    text = read_text(path)
    try:
        values = _load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ParamsError(f"{path}: cannot be read as plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected lines `name: value`, found {_kind(values)}")
    for name, value in values.items():
        if not isinstance(name, str):
            raise ParamsError(f"{path}: key {name!r} is not a name; put it in quotes")
        for item in value if isinstance(value, list) else [value]:
            of_another = name == "stages" and isinstance(item, dict) and all(type(v) is str for v in item.values())
            if type(item) not in (int, float, bool, str) and not of_another:
                raise ParamsError(
                    f"{path}: {name} holds {item!r} ({_kind(item)}); use numbers, true/false, quoted text, flat lists"
                )
    return values


def paper_values(path) -> dict:
    """Read the `# paper: VALUE` beside the values of a parameter file: {name: the paper's value}.

    Raises ParamsError for a VALUE that is no YAML.
    """
    found = {}
    for line in read_text(path).splitlines():
        if match := PAPER.match(line):
            try:
                found[match["name"]] = _load(match["value"])
            except yaml.YAMLError as error:
                raise ParamsError(f"{path}: `{line}`: the paper's value cannot be read; quote it") from error
    return found


def nearest(name: str, valid, command: str = "") -> str:
    """'did you mean x?' for a name that is not among VALID; if none is like it, all of them, or the COMMAND that lists
    them where they are more than ten."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"{command} names them" if command and len(valid) > 10 else f"valid are {', '.join(sorted(valid))}"


def complete(values: dict, params: dict, where: str) -> dict:
    """Check VALUES against PARAMS and take the defaults where they are silent; a value for every name of PARAMS.

    Raises ParamsError for an unknown name, a wrong type, a value that is not allowed.
    """
    for name in values:
        if name not in params:
            raise ParamsError(f"{where}: unknown parameter {name!r}; {nearest(name, params, '`wsnb params`')}")
    given = {name: check(params[name], value, where) for name, value in values.items()}
    return {name: given.get(name, param.default) for name, param in params.items()}


def yaml_text(value) -> str:
    """A literal as one would write it in the YAML file."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")


def parse_override(text: str, params: dict) -> tuple:
    """'k=v' of the command line -> (name, value), read by the declared type. Raises ParamsError."""
    name, equals, value = text.partition("=")
    name, where = name.strip(), f"-p {text}"
    if not equals or name not in params:
        unknown = f"unknown parameter; {nearest(name, params, '`wsnb params`')}"
        raise ParamsError(f"{where}: {unknown if equals else 'expected NAME=VALUE'}")
    return name, check(params[name], _parse(name, params[name].type, value, where), where)


def _parse(name, type_, text, where):
    if type_.startswith("list["):
        parts = [
            part.strip().strip("'\"") for part in text.strip().removeprefix("[").removesuffix("]").split(",")
        ]
        return [
            _parse(f"{name}[{i}]", type_[5:-1], part, where)
            for i, part in enumerate(parts)
            if part or len(parts) > 1
        ]
    if type_ == "str":
        return text
    if type_ == "bool":
        if text.strip().lower() not in ("true", "false"):
            raise ParamsError(f"{where}: {name} is a bool; write true or false")
        return text.strip().lower() == "true"
    try:
        if re.search(r"_|^\s*[+-]?0\d|[^\x00-\x7f]", text):  # of Python; YAML files refuse them too
            raise ValueError
        return SCALARS[type_](text)
    except ValueError as error:
        raise ParamsError(f"{where}: {name} is a {type_}; {text!r} is none") from error


def is_file_param(name: str, type_: str) -> bool:
    """Whether a parameter may name a file whose content counts: *weights, *checkpoint, *_file, and lists as *split."""
    return type_ == "str" and name.endswith(("weights", "checkpoint", "_file", "split"))


def file_part(name: str, value: str) -> str:
    """What of a value is a path: all of it, but of a split SPLIT:LIST.txt the list."""
    split, _, listed = value.partition(":")
    return listed if name.endswith("split") and listed and "/" not in split else value


def with_file(name: str, value: str, file) -> str:
    """VALUE with FILE in place of its path."""
    return value.removesuffix(file_part(name, value)) + str(file)


def looks_like_a_file(name: str, value: str) -> bool:
    """Whether a value is meant as a path and not as a word such as "imagenet"."""
    path = file_part(name, value)
    return "/" in path or path.endswith(ENDINGS)


def is_folder_param(name: str, type_: str) -> bool:
    """Whether a parameter may name a folder whose content counts: *_dir, but for run_dir, and boundaries."""
    return type_ == "str" and name.endswith(("_dir", "boundaries")) and name not in MACHINE


def existing_file(name: str, type_: str, value, root) -> Path | None:
    """The file or folder that a parameter names (relative to ROOT), or None for words such as "imagenet" or ""."""
    if not value:
        return None
    path = Path(root) / Path(file_part(name, value)).expanduser() if type_ == "str" else None
    if is_file_param(name, type_) and path.is_file() or is_folder_param(name, type_) and path.is_dir():
        return path.resolve()
    return None
