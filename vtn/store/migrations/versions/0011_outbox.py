"""The outbox: changes of objects, who has to hear of them, and where those can be reached."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TARGETS = sa.Text().with_variant(sa.ARRAY(sa.Text()), "postgresql")


def upgrade() -> None:
    """Make the tables, and the endpoints of the subscriptions that there are."""
    endpoints = _make_endpoints()
    operations = _make_endpoint_operations()
    _make_notifications()
    _make_deliveries()
    if op.get_bind().dialect.name == "postgresql":
        for table in ("vens", "resources"):
            op.create_index(
                f"ix_{table}_targets", table, ["targets"], postgresql_using="gin", postgresql_with={"fastupdate": "off"}
            )
        op.execute(
            "CREATE TRIGGER announce AFTER INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION openadr_announce()"
        )
    for endpoint, pairs in _endpoints_of_subscriptions():
        op.get_bind().execute(sa.insert(endpoints).values(endpoint))
        for object_type, operation in sorted(pairs):
            row = {"object_type": object_type, "operation": operation, "endpoint_id": endpoint["id"]}
            op.get_bind().execute(sa.insert(operations).values(row))


def _make_endpoints() -> sa.Table:
    made = op.create_table(
        "endpoints",
        sa.Column("id", KEY, nullable=False),
        sa.Column("push", sa.Text(), nullable=False),
        sa.Column("subscription_id", KEY),
        sa.Column("client_id", sa.Text()),
        sa.Column("sees_everything", sa.Boolean(), nullable=False),
        sa.Column("program_id", KEY),
        sa.Column("targets", TARGETS, nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("entry", sa.Integer()),
        sa.Column("wanted_until", KEY),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("broken_at", KEY),
        sa.Column("due_at", KEY),
        sa.Column("leased_by", sa.Text()),
        sa.Column("leased_until", KEY),
        sa.Column("last_success_at", KEY),
        sa.Column("last_failure_at", KEY),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_endpoints"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name="fk_endpoints_subscription_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_endpoints_subscription_id", "endpoints", ["subscription_id"])
    return made


def _make_endpoint_operations() -> sa.Table:
    made = op.create_table(
        "endpoint_operations",
        sa.Column("object_type", KEY, nullable=False),
        sa.Column("operation", KEY, nullable=False),
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("object_type", "operation", "endpoint_id", name="pk_endpoint_operations"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name="fk_endpoint_operations_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_endpoint_operations_endpoint_id", "endpoint_operations", ["endpoint_id"])
    return made


def _make_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("noted_at", KEY, nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("object_id", KEY, nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("program_id", KEY),
        sa.Column("ven_id", KEY),
        sa.Column("targets_inside", sa.Boolean(), nullable=False),
        sa.Column("has_tokens", sa.Boolean(), nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("modified_at", KEY, nullable=False),
        sa.Column("targets", TARGETS),
        sa.Column("program_targets", TARGETS, nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("before_modified_at", KEY),
        sa.Column("before_targets", TARGETS),
        sa.Column("before_program_targets", TARGETS),
        sa.Column("before_members", sa.Text()),
        sa.Column("before_program_id", KEY),
        sa.PrimaryKeyConstraint("seq", name="pk_notifications"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notifications_noted_at", "notifications", ["noted_at"])


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("seq", SERIAL, nullable=False),
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("held", TARGETS),
        sa.Column("vens", TARGETS),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", KEY),
        sa.Column("outcome", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["seq"], ["notifications.seq"], name="fk_deliveries_seq", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name="fk_deliveries_endpoint_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_seq", "deliveries", ["seq"])
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"])
    pending = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["endpoint_id", "id"],
        postgresql_where=pending,
        sqlite_where=pending,
    )


def _endpoints_of_subscriptions() -> Iterator[tuple[dict[str, Any], set[tuple[str, str]]]]:
    """Yield the endpoint of each callback URL, and the pairs of object type and operation that it wants to hear of.

    A subscription of a client that is not known to be business logic sees what a VEN sees.
    """
    subscriptions = sa.table(
        "subscriptions",
        *(sa.column(name) for name in ("id", "client_id", "program_id", "targets", "members")),
    )
    clients = sa.table("clients", sa.column("client_id"), sa.column("role"))
    bind = op.get_bind()
    roles = {row.client_id: row.role for row in bind.execute(sa.select(clients))}
    for row in bind.execute(sa.select(subscriptions)).all():
        found: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {}
        for number, entry in enumerate(json.loads(f"{{{row.members}}}")["objectOperations"]):
            url = entry["callbackUrl"]
            endpoint = {
                "id": str(uuid5(NAMESPACE_URL, f"{row.id} {url}")),
                "push": "WEBHOOK",
                "subscription_id": row.id,
                "client_id": row.client_id,
                "sees_everything": roles.get(row.client_id) == "BL",
                "program_id": row.program_id,
                "targets": row.targets,
                "url": url,
                "entry": number,
                "failures": 0,
            }
            pairs = found.setdefault(url, (endpoint, set()))[1]
            pairs.update((kind, operation) for kind in entry["objects"] for operation in entry["operations"])
        yield from found.values()
