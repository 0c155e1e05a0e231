"""CreateTable, DescribeTable, UpdateTable, DeleteTable and ListTables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.dynamodb import building, changes, definitions, expiry, state
from fogbank.aws.services.dynamodb.describe import describe
from fogbank.aws.services.dynamodb.values import refuse
from fogbank.kernel.store import END
from fogbank.primitives import documents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.store import Tx

LIST_MAX = 100


class Tables(Operations):
    service: ClassVar = "dynamodb"

    def backgrounds(self) -> Iterable[Background]:
        house = self.house
        return (
            Background("dynamodb: expire items", lambda: expiry.run(house)),
            Background("dynamodb: build indexes", lambda: building.run(house)),
            Background("dynamodb: sweep dropped tables", lambda: expiry.run_sweeper(house)),
        )

    def create_table(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = state.name_of(request["TableName"])
        definitions.check_name(name, "tableName")
        changes.refuse_unserved(request)
        billing = definitions.check_billing(request)
        definitions.check_table(request)
        if state.tables.get(tx, call.account, call.region, name) is not None:
            raise ServiceError("ResourceInUseException", f"Table already exists: {name}")
        table = changes.created(tx, call, request, billing)
        state.save(tx, table)
        return {"TableDescription": describe(tx, state.find(tx, call, name), status="CREATING")}

    def describe_table(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Table": describe(tx, state.find_table(tx, call, request["TableName"]))}

    def update_table(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        changes.refuse_unserved(request)
        schema = state.find_table(tx, call, request["TableName"])
        table = changes.updated(tx, call, schema.table, request)
        state.save(tx, table)
        changes.build(tx, call, state.find(tx, call, table.name), schema)
        description = describe(tx, state.find(tx, call, table.name), status="UPDATING")
        made = {
            each["Create"]["IndexName"] for each in request.get("GlobalSecondaryIndexUpdates", ()) if "Create" in each
        }
        for index in description.get("GlobalSecondaryIndexes", ()):
            if index["IndexName"] in made:
                index |= {"IndexStatus": "CREATING", "Backfilling": index.get("Backfilling", False)}
        return {"TableDescription": description}

    def delete_table(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        schema = state.find_table(tx, call, request["TableName"])
        table = schema.table
        if table.deletion_protected:
            raise refuse(
                "Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first."
            )
        description = describe(tx, schema, status="DELETING")
        for member in ("AttributeDefinitions", "KeySchema", "CreationDateTime"):
            description.pop(member, None)
        changes.close_stream(tx, call, table)
        documents.drop(tx, table.id)
        state.forget(tx, table)
        return {"TableDescription": description}

    def list_tables(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        limit, after = request.get("Limit", LIST_MAX), request.get("ExclusiveStartTableName", "")
        owner = ("dynamodb", "table", call.account, call.region)
        names = [str(key[-1]) for key, _ in tx.scan((*owner, after, b""), (*owner, END), limit=limit + 1)]
        if len(names) <= limit:
            return {"TableNames": names}
        return {"TableNames": names[:limit], "LastEvaluatedTableName": names[limit - 1]}
