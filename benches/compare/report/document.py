"""The document's generated parts: each stands between two comments with its name; all else was written by hand and stays."""

import re

PART = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n.*?<!-- /(?P=name) -->", re.S)


def names_in(document):
    return [part["name"] for part in PART.finditer(document)]


def filled(document, parts):
    """The document with these parts, each a list of lines, in their places.

    A part without a place, a place without a part, and a place that comes twice or does not end are mistakes.
    """
    names = names_in(document)
    opened = re.findall(r"^<!-- ([a-z-]+) -->$", document, re.M)
    wrong = {
        "does not end": [name for name in opened if name not in names],
        "comes twice": [name for name in set(names) if names.count(name) > 1],
        "is nothing that is generated": [name for name in names if name not in parts],
        "has no place": [name for name in parts if name not in names],
    }
    told = [f"`{name}` {what}" for what, some in wrong.items() for name in some]
    if told:
        raise ValueError("; ".join(told))
    return PART.sub(lambda part: placed(part["name"], parts[part["name"]]), document)


def placed(name, lines):
    # An empty line on each side: what follows a comment at once is not read as Markdown.
    return "\n".join([f"<!-- {name} -->", "", *lines, "", f"<!-- /{name} -->"])
