"""Make sgsim/model/managed_policies.json: AWS's managed policies, trimmed to the services that sgsim simulates.

    python tools/managed_policies.py DIRECTORY

DIRECTORY has one file `NAME.json` a policy, as `aws iam get-policy-version` prints it. A statement keeps the actions of
simulated services; one that keeps none goes; what NotAction excludes stays as it is, for that is what it means.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

NAMES = ("PowerUserAccess", "ReadOnlyAccess", "AmazonEC2FullAccess", "AmazonEC2ReadOnlyAccess")
SERVICES = ("ec2", "iam", "sts", "organizations")
TARGET = Path(__file__).parent.parent / "sgsim" / "model" / "managed_policies.json"


def main(directory: Path) -> None:
    policies = [trimmed(name, json.loads((directory / f"{name}.json").read_text())) for name in NAMES]
    note = "Text published by AWS as managed policies, trimmed to actions of " + ", ".join(SERVICES)
    TARGET.write_text(json.dumps({"Note": note, "Policies": policies}, indent=1) + "\n")


def trimmed(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    version = answer["PolicyVersion"]
    document = dict(version["Document"])
    document["Statement"] = [kept for one in document["Statement"] if (kept := statement(one))]
    return {
        "Arn": f"arn:aws:iam::aws:policy/{name}",
        "VersionId": version["VersionId"],
        "CreateDate": version["CreateDate"],
        "Document": document,
    }


def statement(given: dict[str, Any]) -> dict[str, Any] | None:
    if "NotAction" in given:
        return given
    listed = given["Action"] if isinstance(given["Action"], list) else [given["Action"]]
    actions = [action for action in listed if action == "*" or action.split(":")[0] in SERVICES]
    return {**given, "Action": actions} if actions else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
