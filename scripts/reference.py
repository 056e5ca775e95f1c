"""How the reference of a function or a class looks on the site; `renderer` in settings.ini names it, so run nbdev_docs with PYTHONPATH=scripts.

nbdev shows a class by the arguments of `__init__`, which for a NamedTuple are `*args, **kwargs`, and shows no methods. Here a class of
fields is a table of them, and every class lists its public methods with their arguments.
"""
import dataclasses
import html
import inspect
import re
from importlib import import_module

from nbdev.showdoc import BasicMarkdownRenderer

# name:type = default # comment
FIELD = re.compile(r"^    (\w+) *: *([^=#]+?) *(?:= *([^#]+?))? *(?:# *(.*))?$")


def exported(cls):
    "The same class in its module: a notebook defines it once more, without a source"
    from siamese_sig._modidx import d
    for module, symbols in d["syms"].items():
        if f"{module}.{cls.__name__}" in symbols:
            return getattr(import_module(module), cls.__name__)
    return cls


def fields(cls):
    "(name, type, default, comment) of the fields that a class declares, in order"
    names = list(getattr(cls, "_fields", getattr(cls, "__dataclass_fields__", ())))
    if not names:
        return []
    found = {match[1]: match.groups() for match in map(FIELD.match, inspect.getsource(exported(cls)).splitlines()) if match}
    rows = [found.get(name, (name, "", None, None)) for name in names]
    return [with_help(row, cls.__dataclass_fields__[row[0]]) for row in rows] if dataclasses.is_dataclass(cls) else rows


def with_help(row, field):
    "The row of a dataclass's field, with the default and the help text that its metadata hold"
    name, kind, default, comment = row
    if field.default is not dataclasses.MISSING:
        default = repr(field.default)
    return name, kind or str(field.type), default, field.metadata.get("help", comment)


def field_table(rows):
    cell = lambda text: html.escape(text or "").replace("|", "&#124;")
    code = lambda text: f"<code>{cell(text)}</code>" if text else ""
    lines = [f"| {code(name)} | {code(kind)} | {code(default)} | {cell(comment)} |" for name, kind, default, comment in rows]
    return "\n".join(["| field | type | default | |", "|---|---|---|---|", *lines])


def methods(cls):
    "(name, function) of the public methods that a class itself defines"
    plain = lambda member: getattr(member, "__func__", member)
    names = [name for name, member in vars(cls).items()
             if not name.startswith("_") and inspect.isfunction(plain(member)) and member.__doc__]
    return [(name, getattr(cls, name)) for name in names]


class Reference(BasicMarkdownRenderer):
    "Functions as nbdev shows them; classes with fields and methods"

    def _repr_markdown_(self):
        text = super()._repr_markdown_()
        if not inspect.isclass(self.sym):
            return text
        rows = fields(self.sym)
        if rows:
            text = re.sub(r"```python\n.*?```", lambda _: f"`{self.nm}`", text, count=1, flags=re.S) + "\n\n" + field_table(rows)
        for name, function in methods(self.sym):
            one = Reference(function, name=f"{self.nm}.{name}", title_level=self.title_level+1)
            text += "\n\n" + one._repr_markdown_().replace("---\n\n", "", 1)
        return text
