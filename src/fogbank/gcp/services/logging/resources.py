"""Monitored resources that functions and what stands round them write logs of, with their labels."""

from __future__ import annotations

from typing import Any

from fogbank.gcp.protocol.descriptors import message

_KINDS = {
    "bigquery_resource": ("BigQuery", ("project_id",)),
    "cloud_function": ("Cloud Function", ("project_id", "function_name", "region")),
    "cloud_run_job": ("Cloud Run Job", ("project_id", "job_name", "location")),
    "cloud_run_revision": (
        "Cloud Run Revision", ("project_id", "service_name", "revision_name", "location", "configuration_name"),
    ),
    "cloud_scheduler_job": ("Cloud Scheduler Job", ("project_id", "location", "job_id")),
    "cloud_tasks_queue": ("Cloud Tasks Queue", ("project_id", "queue_id", "target_type", "location")),
    "gae_app": ("GAE Application", ("project_id", "module_id", "version_id", "zone")),
    "gce_instance": ("VM Instance", ("project_id", "instance_id", "zone")),
    "gcs_bucket": ("GCS Bucket", ("project_id", "bucket_name", "location")),
    "generic_node": ("Generic Node", ("project_id", "location", "namespace", "node_id")),
    "generic_task": ("Generic Task", ("project_id", "location", "namespace", "job", "task_id")),
    "global": ("Global", ("project_id",)),
    "k8s_container": (
        "Kubernetes Container",
        ("project_id", "location", "cluster_name", "namespace_name", "pod_name", "container_name"),
    ),
    "project": ("Google Project", ("project_id",)),
    "pubsub_subscription": ("Cloud Pub/Sub Subscription", ("project_id", "subscription_id")),
    "pubsub_topic": ("Cloud Pub/Sub Topic", ("project_id", "topic_id")),
}  # fmt: skip


def descriptors() -> list[Any]:
    """In the order of their types."""
    made = []
    for kind, (name, labels) in sorted(_KINDS.items()):
        told: Any = message("google.api.MonitoredResourceDescriptor")(type=kind, display_name=name)
        for label in labels:
            told.labels.add(key=label)
        made.append(told)
    return made
