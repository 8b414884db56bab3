"""Answers of AWS that others recorded: every folder with groups loads, or says why not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment

#: Recordings of a change: one id is described before and after it, which is no environment.
DESCRIBED_TWICE = {
    "batfish/representation/aws",
    "custodian/test_ec2_add_by_tag",
    "custodian/test_ec2_modify_groups_action",
    "custodian/test_ec2_modify_groups_action_with_name",
    "custodian/test_network_interface_filter",
    "custodian/test_only_ports_and_cidr_ingress",
    "custodian/test_security_group_ingress_filter",
    "custodian/test_security_group_revisions_delta",
    "custodian/test_sg_config_patch_pitr",
}


@pytest.fixture(scope="module")
def recordings() -> Path:
    if "SGSIM_TEST_DATA" not in os.environ:
        pytest.skip("SGSIM_TEST_DATA does not name the directory of external test data")
    return Path(os.environ["SGSIM_TEST_DATA"], "aws")


def answer(path: Path) -> dict:
    document = json.loads(path.read_text())
    document = document if isinstance(document, dict) else {}
    return document["data"] if isinstance(document.get("data"), dict) else document


def test_every_folder_with_groups_loads(recordings: Path) -> None:
    """Everything that the files list is in the environment, under its id."""
    folders: dict[Path, list[dict]] = {}
    for path in sorted(recordings.rglob("*.json")):
        folders.setdefault(path.parent, []).append(answer(path))
    with_groups = {
        folder: answers
        for folder, answers in folders.items()
        if any(one.get("SecurityGroups") or one.get("SecurityGroupRules") for one in answers)
    }
    assert len(with_groups) > 100
    twice = set()
    for folder, answers in with_groups.items():
        try:
            environment = read_environment(folder)
        except EnvironmentInputError as error:
            assert "described twice with different content" in error.problem
            twice.add(str(folder.relative_to(recordings)))
            continue
        listed = {one["GroupId"] for each in answers for one in each.get("SecurityGroups", ())}
        assert listed <= environment.groups.keys()
        cards = {one["NetworkInterfaceId"] for each in answers for one in each.get("NetworkInterfaces", ())}
        assert cards <= environment.interfaces.keys()
        lists = {one["PrefixListId"] for each in answers for one in each.get("PrefixLists", ())}
        assert lists <= environment.prefix_lists.keys()
    assert twice == DESCRIBED_TWICE
