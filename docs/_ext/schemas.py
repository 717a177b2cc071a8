"""Reference pages from the code: recipe, start document, bundle and command line."""

import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stxm_live.cli import app, recipes
from stxm_live.core import recipe, scan
from stxm_live.core.amounts import AMOUNT_PRODUCTS
from stxm_live.core.map_products import PRODUCTS, UNIDENTIFIED_PRODUCTS
from stxm_live.io.files.mapped import Mapping
from stxm_live.phase_mapping.latent_space import bundle


def write(folder: Path) -> None:
    """Write the pages' parts; unchanged files are left alone, so that a second build is quick."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "recipe": recipe_tables(),
        "template": f"```toml\n{recipes.TEMPLATE.format(name='mine')}```\n",
        "stack-scan": table(scan.StackScan),
        "bundle": bundle_tables(),
        "mapping": table(Mapping),
        "products": product_table(),
        "commands": "\n".join(command_pages(typer.main.get_command(app), "stxm-live")),
    }
    for name, text in parts.items():
        path = folder / f"{name}.inc.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def recipe_tables() -> str:
    """Return a section for the recipe and one for each of its tables."""
    parts = [section("Top level", recipe.Recipe)]
    for name, field in recipe.Recipe.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            parts.append(section(f"`[{name}]`", field.annotation))
    return "\n".join(parts)


def bundle_tables() -> str:
    """``bundle.json`` and the models inside it."""
    models = (bundle.BundleInfo, bundle.DataDescription, bundle.Parity)
    return "\n".join(section(f"`{model.__name__}`", model) for model in models)


def product_table() -> str:
    """Every array product."""
    products = {f"unidentified_{name}": p for name, p in UNIDENTIFIED_PRODUCTS.items()}
    rows = ["| product | dimensions | units | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{name}` | {', '.join(product.dims)} | {product.units} | {product.long_name} |"
        for name, product in {**PRODUCTS, **products, **AMOUNT_PRODUCTS}.items()
    ]
    return "\n".join(rows) + "\n"


def section(title: str, model: type[BaseModel]) -> str:
    """Heading, docstring without its examples, and the table of a model."""
    text = inspect.getdoc(model) or ""
    text = text.partition("\nExamples\n---")[0].replace("``", "`")
    return f"### {title}\n\n{text.strip()}\n\n{table(model)}"


def table(model: type[BaseModel]) -> str:
    """Name, type, default and limits of every field that is no table of its own."""
    rows = ["| name | type | default |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            continue
        kind = in_words(field.annotation) + limits(field)
        rows.append(f"| `{name}` | {kind} | {default_of(field)} |")
    return "\n".join(rows) + "\n"


def in_words(annotation: object) -> str:
    """Return a type in the words of a user who writes a TOML file."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        bounds = [limit(item) for item in arguments[1:]]
        return ", ".join([in_words(arguments[0]), *filter(None, bounds)])
    if origin is typing.Literal:
        return " or ".join(f"`{value!r}`".replace("'", '"') for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(in_words(a) for a in arguments if a is not type(None))
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return f"list of {in_words(arguments[0])}"
        return f"list of {len(arguments)} {in_words(arguments[0])}"
    if origin is dict:
        return f"table of {in_words(arguments[1])}"
    names = {float: "number", int: "whole number", bool: "true or false", str: "text", Path: "path"}
    return names.get(annotation, "anything")


def limit(item: object) -> str:
    """One bound of `annotated_types`, or nothing."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    items = getattr(item, "metadata", [item])
    found = [
        f"{sign} {getattr(one, name):g}"
        for one in items
        for name, sign in signs.items()
        if getattr(one, name, None) is not None
    ]
    return ", ".join(found)


def limits(field: FieldInfo) -> str:
    """Return the bounds of a field."""
    return "".join(f", {text}" for item in field.metadata if (text := limit(item)))


def default_of(field: FieldInfo) -> str:
    """Return the default as TOML."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def command_pages(command: typing.Any, name: str, depth: int = 1) -> Iterator[str]:
    """Help, arguments and options of a command and of those below it."""
    if depth > 1:
        yield f"{'#' * depth} `{name}`\n"
    yield help_text(command)
    yield parameters(command, name)
    for child, subcommand in sorted(getattr(command, "commands", {}).items()):
        yield from command_pages(subcommand, f"{name} {child}", depth + 1)


def help_text(command: typing.Any) -> str:
    """Return the help with its examples as code."""
    text, _, example = inspect.cleandoc(command.help or "").partition("\nExample")
    example = " ".join(example.lstrip("s").lstrip(":").split())
    lines = example.split("; ") if example else []
    shown = "".join(f"    {line.strip()}\n" for line in lines)
    label = "For example:" if len(lines) == 1 else "Examples:"
    return f"{in_markdown(text.strip())}\n" + (f"\n{label}\n\n{shown}" if shown else "")


def in_markdown(text: str) -> str:
    """Return a help text in Markdown: each sign as it is, options as code.

    ``<phase>`` would be taken for HTML, and two hyphens become a dash.
    """
    escaped = re.sub(r"[<*_|\\\[\]]", r"\\\g<0>", text)
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", escaped)


def parameters(command: typing.Any, name: str) -> str:
    """Usage and a table of a command's parameters."""
    shown = [p for p in command.params if p.name != "help"]
    arguments = " ".join(in_usage(p) for p in shown if p.param_type_name == "argument")
    if getattr(command, "commands", None):
        arguments = "COMMAND"
    rows = [f"Usage: `{name} {'[OPTIONS] ' if shown else ''}{arguments}".rstrip() + "`\n"]
    if shown:
        rows += ["| name | what | default |", "| --- | --- | --- |"]
    for parameter in shown:
        names = ", ".join(f"`{option}`" for option in parameter.opts)
        if parameter.param_type_name == "argument":
            names = f"`{parameter.name.upper()}`"
        text = in_markdown(getattr(parameter, "help", "") or "")
        rows.append(f"| {names} | {text} | {shown_default(parameter)} |")
    return "\n".join(rows) + "\n"


def in_usage(argument: typing.Any) -> str:
    """Return an argument in the form of the usage line."""
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def shown_default(parameter: typing.Any) -> str:
    """Return a default if it is informative, else an empty text."""
    value = parameter.default
    if parameter.required:
        return "required"
    if value is None or value is False or callable(value) or value == ():
        return ""
    return f"`{value}`"
