"""Names of resources (docs/iam.md A3)."""

from __future__ import annotations

import pytest

from sgsim.model.arns import parse_arn, resource_arn


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-gov-east-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("us-east-1", "aws"),
        (None, "aws"),
    ],
)
def test_the_region_tells_the_partition(region: str | None, partition: str) -> None:
    """Policies of accounts in China and of the US government name resources of their own partition."""
    arn = resource_arn(region, "111111111111", "security-group", "sg-1")
    assert arn == f"arn:{partition}:ec2:{region or ''}:111111111111:security-group/sg-1"
    assert parse_arn(arn).partition == partition


def test_images_and_snapshots_have_no_account() -> None:
    """A3.7."""
    assert resource_arn("eu-west-1", "111111111111", "image", "ami-1") == "arn:aws:ec2:eu-west-1::image/ami-1"
    assert resource_arn("eu-west-1", "111111111111", "snapshot", "snap-1") == "arn:aws:ec2:eu-west-1::snapshot/snap-1"
