"""An app's template made ready to be sent: what lies beside it goes along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.deploy import package
from fogbank.deploy.prepare import Prepared, prepare

if TYPE_CHECKING:
    from pathlib import Path


def prepared(folder: Path, template: dict[str, Any]) -> Prepared:
    return prepare(template, folder, "bucket", package.Bundler(folder / "cache"))


def test_a_template_in_a_template_goes_along_with_its_own_code(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    (inner / "code").mkdir(parents=True)
    (inner / "code" / "app.py").write_text("def handler(event, context): ...\n")
    function = {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "code"}}
    (inner / "child.json").write_text(json.dumps({"Resources": {"F": function}}))
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "inner/child.json"}}
    made = prepared(tmp_path, {"Resources": {"Child": child}})
    url = made.template["Resources"]["Child"]["Properties"]["TemplateURL"]
    sent = json.loads(made.bundles[url.removeprefix("https://s3.amazonaws.com/bucket/")])
    code = sent["Resources"]["F"]["Properties"]["CodeUri"]
    assert code["Bucket"] == "bucket" and made.bundles[code["Key"]].startswith(b"PK")
    assert {inner / "child.json", inner / "code"} <= made.folders


def test_a_piece_that_is_included_goes_along(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text("swagger: '2.0'\n")
    include = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "api.yaml"}}}
    api = {"Type": "AWS::Serverless::Api", "Properties": {"DefinitionBody": include}}
    made = prepared(tmp_path, {"Resources": {"Api": api}})
    body = made.template["Resources"]["Api"]["Properties"]["DefinitionBody"]
    location = body["Fn::Transform"]["Parameters"]["Location"]
    assert json.loads(made.bundles[location.removeprefix("s3://bucket/")]) == {"swagger": "2.0"}


def test_what_lies_in_a_bucket_already_stays_there(tmp_path: Path) -> None:
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://s3.amazonaws.com/b/k"}}
    made = prepared(tmp_path, {"Resources": {"Child": child}})
    assert (made.template["Resources"]["Child"], made.bundles) == (child, {})


def test_a_template_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "self.json"}}
    (tmp_path / "self.json").write_text(json.dumps({"Resources": {"Child": child}}))
    with pytest.raises(package.PackageError, match="does one lead to itself"):
        prepared(tmp_path, {"Resources": {"Child": child}})


def test_a_template_that_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "gone.yaml"}}
    with pytest.raises(package.PackageError, match=r"gone\.yaml cannot be read"):
        prepared(tmp_path, {"Resources": {"Child": child}})
