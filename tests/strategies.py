"""Environments and traffic made at random, small but nasty, for tests of every layer.

Everything follows from a seed: a failure names it. Volume comes from plain loops over seeds; Hypothesis wrappers
serve where shrinking helps.

    environment = random_environment(7)
    for packet, egress, ingress in random_packets(environment, seed=7, n=1000): ...
    batch = packet_batch([packet, ...])                                  # columns, as capture readers make them
    table = flow_table([(packet, "eni-1", Direction.INGRESS), ...], tables.interface_ids)
"""

from hypothesis import strategies as st

from tests.generators.dense import random_dense_environment, random_dense_rows
from tests.generators.environments import random_change, random_environment, random_rule, random_semantics
from tests.generators.packets import Step, random_packets, random_rows
from tests.generators.tables import flow_table, packet_batch

__all__ = [
    "Step",
    "environments",
    "flow_table",
    "packet_batch",
    "random_change",
    "random_dense_environment",
    "random_dense_rows",
    "random_environment",
    "random_packets",
    "random_rows",
    "random_rule",
    "random_semantics",
    "seeds",
    "semantics_values",
]

#: Seeds for every generator here.
seeds = st.integers(0, 2**32 - 1)
#: Environments; `environment.warnings[0]` names the seed.
environments = seeds.map(random_environment)
#: Semantics with every option moved.
semantics_values = seeds.map(random_semantics)
