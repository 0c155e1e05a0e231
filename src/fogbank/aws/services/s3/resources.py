"""Buckets in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_SERVED = {
    "BucketName",
    "Tags",
    "BucketEncryption",
    "PublicAccessBlockConfiguration",
    "AccessControl",
    "OwnershipControls",
    "VersioningConfiguration",
}


class Bucket:
    type: ClassVar = "AWS::S3::Bucket"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        _refuse_what_is_not_served(wanted)
        name = wanted.get("BucketName", name.lower()[:63])
        await ask("s3", "CreateBucket", Bucket=name)
        return str(name)

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._set(ask, physical_id, wanted)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        _refuse_what_is_not_served(wanted)
        await self._set(ask, physical_id, wanted)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("s3", "DeleteBucket", Bucket=physical_id), "NoSuchBucket")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        region = (await ask("s3", "HeadBucket", Bucket=physical_id))["BucketRegion"]
        return {
            "Arn": f"arn:aws:s3:::{physical_id}",
            "DomainName": f"{physical_id}.s3.amazonaws.com",
            "RegionalDomainName": f"{physical_id}.s3.{region}.amazonaws.com",
            "DualStackDomainName": f"{physical_id}.s3.dualstack.{region}.amazonaws.com",
            "WebsiteURL": f"http://{physical_id}.s3-website-{region}.amazonaws.com",
        }

    async def _set(self, ask: Ask, name: str, wanted: dict[str, Any]) -> None:
        if wanted.get("Tags"):
            await ask("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": wanted["Tags"]})
        else:
            await ask("s3", "DeleteBucketTagging", Bucket=name)
        status = wanted.get("VersioningConfiguration", {}).get("Status")
        if not status and (await ask("s3", "GetBucketVersioning", Bucket=name)).get("Status") == "Enabled":
            status = "Suspended"  # It is taken out of the template; what was kept stays.
        if status:
            await ask("s3", "PutBucketVersioning", Bucket=name, VersioningConfiguration={"Status": status})
        if "PublicAccessBlockConfiguration" in wanted:
            given = {k: str(v).lower() == "true" for k, v in wanted["PublicAccessBlockConfiguration"].items()}
            await ask("s3", "PutPublicAccessBlock", Bucket=name, PublicAccessBlockConfiguration=given)
        if "BucketEncryption" in wanted:
            rules = [
                {
                    "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                    "BucketKeyEnabled": str(rule.get("BucketKeyEnabled", False)).lower() == "true",
                }
                for rule in wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            ]
            await ask("s3", "PutBucketEncryption", Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})


class BucketPolicy:
    type: ClassVar = "AWS::S3::BucketPolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, wanted["Bucket"], wanted, {})
        return str(wanted["Bucket"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        document = wanted["PolicyDocument"]
        policy = document if isinstance(document, str) else orjson.dumps(document).decode()
        await ask("s3", "PutBucketPolicy", Bucket=wanted["Bucket"], Policy=policy)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("s3", "DeleteBucketPolicy", Bucket=physical_id), "NoSuchBucket")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Bucket": wanted["Bucket"]}


def _refuse_what_is_not_served(wanted: dict[str, Any]) -> None:
    unknown = sorted(wanted.keys() - _SERVED)
    if unknown:
        raise ServiceError("NotImplemented", f"{', '.join(unknown)} of buckets is not served here.", status=501)
