"""`sgsim explain`: why one flow is accepted or rejected, at both ends."""

from __future__ import annotations

from pathlib import Path

import click

from sgsim.cli.manners import Manners, manners_options
from sgsim.cli.options import check_vpc, semantics_option
from sgsim.model import Semantics


@click.command("explain", short_help="Say why one flow is accepted or rejected, at both ends.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("flow", metavar="FLOW")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of stdout; the file appears whole or not at all.",
)
@click.option("--vpc", metavar="VPC", help="The VPC that the flow's addresses belong to, where VPCs overlap.")
@semantics_option
@manners_options
@click.pass_obj
def explain_command(
    manners: Manners,
    /,
    environment: Path,
    flow: str,
    format_: str,
    output: Path | None,
    vpc: str | None,
    semantics: Semantics,
) -> None:
    """Explain the first packet of FLOW by the security groups in ENV: every group, every rule that matches, and for a
    rejection the rules that come nearest.

    FLOW is text such as 'tcp 10.0.1.5:40000 > 10.0.2.7:443', 'icmp 10.0.1.5 > 10.0.2.7 8/0' or
    'udp eni-0123 > [2001:db8::1]:53'; either end may be an address, an interface or an instance.
    """
    from sgsim.analysis.explain import explain
    from sgsim.analysis.notation import parse_flow
    from sgsim.importers import read_environment
    from sgsim.report.explanation import explanation_json, explanation_text
    from sgsim.report.labels import Labels
    from sgsim.report.output import open_output
    from sgsim.report.style import Style

    parsed = parse_flow(flow)
    described = read_environment(environment)
    explanation = explain(described, semantics, parsed, vpc_id=vpc and check_vpc(described, "--vpc", vpc))
    with open_output(output) as stream:
        if format_ == "json":
            stream.write(explanation_json(explanation))
            return
        style = Style(manners.colored_output(output))
        text = explanation_text(explanation, Labels(described, (), ()), style)
        stream.write(text.encode("utf-8", "backslashreplace"))
