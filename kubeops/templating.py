"""Renders the files under templates/: the only way a configuration file of a host comes to be."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(name: str, /, **values: object) -> str:
    """Render the template `name`, e.g. `kubeadm-init.yaml.j2`.

    Raises:
        jinja2.UndefinedError: the template uses a value that was not given.
        jinja2.TemplateNotFound: there is no such template.
    """
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> "Environment":
    # Here, because most verbs write no file, and all of them would wait for it to be loaded.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    package = Path(__file__).parent
    places = (package / "templates", package.parent / "templates")  # installed; in a checkout
    environment = Environment(
        loader=FileSystemLoader(places),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - YAML, TOML and INI, never HTML
    )
    # As a text whatever JSON has no word for; a value that was not given refuses to become one.
    environment.policies["json.dumps_kwargs"] = {"default": str}
    return environment
