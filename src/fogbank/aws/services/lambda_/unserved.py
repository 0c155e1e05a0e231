"""Members of Lambda's requests that are refused by name."""

from __future__ import annotations

from typing import Any

_FUNCTION: dict[str, tuple[Any, ...]] = dict.fromkeys(
    ("AcceleratorConfig", "CapacityProviderConfig", "DurableConfig", "RuntimeConfig", "TenancyConfig", "PublishTo"), ()
)
_FUNCTION |= {"FileSystemConfigs": ([],), "ImageConfig": ({},), "CodeSigningConfigArn": ("",), "SourceKMSKeyArn": ()}
_MAPPING: dict[str, tuple[Any, ...]] = dict.fromkeys(
    (
        "AmazonManagedKafkaEventSourceConfig", "DocumentDBEventSourceConfig", "Queues", "SelfManagedEventSource",
        "SelfManagedKafkaEventSourceConfig", "SourceAccessConfigurations", "Topics", "LoggingConfig",
    ),
    ([], {}),
)  # fmt: skip
REFUSED = {
    "CreateFunction": _FUNCTION,
    "UpdateFunctionCode": {**_FUNCTION, "S3ObjectStorageMode": ("COPY",)},
    "UpdateFunctionConfiguration": _FUNCTION,
    "PublishVersion": {"PublishTo": ()},
    "Invoke": {"DurableExecutionName": (), "TenantId": ()},
    "InvokeWithResponseStream": {"TenantId": ()},
    "ListFunctions": {"MasterRegion": ("ALL",)},
    "CreateEventSourceMapping": _MAPPING,
    "UpdateEventSourceMapping": _MAPPING,
}
