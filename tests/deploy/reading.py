"""Reads the template: as SAM translates it, by kind of resource, references as text."""

import json

from samtranslator.translator.transform import transform


def translated(source, **given):
    """The template as SAM translates it for these parameters."""
    # `sam deploy` puts the address of the built package here.
    source = json.loads(json.dumps(source))
    source["Globals"]["Function"]["CodeUri"] = "s3://artifacts/package"
    defaults = {name: parameter.get("Default", "no-reply@example.com") for name, parameter in source["Parameters"].items()}
    return transform(source, {**defaults, **given}, None)


def of_type(resources, kind):
    """The properties of the resources of a kind, by name."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def the(resources, kind):
    """The properties of the one resource of a kind."""
    (properties,) = of_type(resources, kind).values()
    return properties


def as_list(value):
    return value if isinstance(value, list) else [value]


def text(value):
    """A reference as text: `Table`, `Table.Arn`, or the pattern of a `Fn::Sub`. Of a choice, what a new stack takes; the rest is `alternatives`."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": [pattern, _]} | {"Fn::Sub": pattern}:
            return pattern
        case {"Fn::If": [_, yes, {"Ref": "AWS::NoValue"}]}:
            return text(yes)
        case {"Fn::If": ["MakesTable" | "MakesKey", made, adopted]}:
            return f"{text(made)} or {text(adopted)}"
    raise AssertionError(f"a reference that this test cannot read: {value}")
