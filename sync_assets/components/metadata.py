"""A report as the metadata that people look at in the UI: plottable numbers, tables, the column schema, the link.

The samples hold keys and field names, never other values of a row.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from sync_assets.engine.model import Change, Counts, Observation, Rejected, Report, Schema

SAMPLE_ROWS = 50

Metadata = Mapping[str, dg.MetadataValue]


def of_counts(counts: Counts) -> dict[str, dg.MetadataValue]:
    """Rows per outcome, each a line in the plots."""
    return {
        "dagster/row_count": dg.MetadataValue.int(counts.read - counts.rejected),
        "read": dg.MetadataValue.int(counts.read),
        "created": dg.MetadataValue.int(counts.created),
        "updated": dg.MetadataValue.int(counts.updated),
        "unchanged": dg.MetadataValue.int(counts.unchanged),
        "rejected": dg.MetadataValue.int(counts.rejected),
        "deleted": dg.MetadataValue.int(counts.deleted),
    }


def of_partition(report: Report, key: str) -> Metadata:
    """What one partition of a run shows: its own counts, and the rejected rows that are its own."""
    mine = tuple(r for r in report.rejected if r.partition == key)
    return of_counts(report.partitions[key]) | _texts(report) | _rejected(mine)


def of_report(report: Report) -> Metadata:
    """What a whole run shows."""
    return of_counts(report.counts) | of_effort(report) | _texts(report) | _rejected(report.rejected)


def of_effort(report: Report) -> dict[str, dg.MetadataValue]:
    """What the run cost: requests, bytes, seconds."""
    calls = {"requests": dg.MetadataValue.int(report.requests)} if report.requests else {}  # tables make none
    return calls | {
        "bytes_sent": dg.MetadataValue.int(report.bytes_sent),
        "bytes_received": dg.MetadataValue.int(report.bytes_received),
        "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        "rows_per_second": dg.MetadataValue.float(round(report.rows_per_second, 1)),
    }


def of_observation(observation: Observation) -> dict[str, dg.MetadataValue]:
    shown: dict[str, dg.MetadataValue] = {}
    if observation.rows is not None:
        shown["dagster/row_count"] = dg.MetadataValue.int(observation.rows)
    if observation.watermark is not None:
        shown["watermark"] = dg.MetadataValue.text(observation.watermark)
    return shown


def of_listing(now: Sequence[str], before: Sequence[str]) -> dict[str, dg.MetadataValue]:
    """The tables of a replica, and which are new or gone since definitions were loaded."""
    shown: dict[str, dg.MetadataValue] = {"tables": dg.MetadataValue.int(len(now))}
    for name, some in (("new", set(now) - set(before)), ("gone", set(before) - set(now))):
        if some:
            listed = "\n".join(f"- {table}" for table in sorted(some)[:SAMPLE_ROWS])
            shown |= {name: dg.MetadataValue.int(len(some)), f"{name}_tables": dg.MetadataValue.md(listed)}
    return shown


def of_failures(failed: Mapping[str, str]) -> dg.TableMetadataValue:
    """Failed partitions and why, as a table."""
    records = [
        dg.TableRecord({"partition": key, "reason": reason}) for key, reason in list(failed.items())[:SAMPLE_ROWS]
    ]
    return _table(records, ("partition", "reason"))


def _texts(report: Report) -> dict[str, dg.MetadataValue]:
    shown: dict[str, dg.MetadataValue] = {
        "mode": dg.MetadataValue.text(str(report.mode)),
        "delivery": dg.MetadataValue.text(str(report.delivery)),
    }
    if report.link:
        shown["board"] = dg.MetadataValue.url(report.link)
    if report.notes:
        shown["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in report.notes[:SAMPLE_ROWS]))
    if report.drift:
        shown["drift"] = dg.MetadataValue.md("\n".join(f"- {line}" for line in report.drift[:SAMPLE_ROWS]))
    if report.changes:
        shown["changes"] = _changes(report.changes)
    if report.schema:
        shown["dagster/column_schema"] = _column_schema(report.schema)
    return shown


def _changes(changes: Sequence[Change]) -> dg.TableMetadataValue:
    shown = changes[:SAMPLE_ROWS]
    columns = ("outcome", "key", *(("fields",) if any(c.fields for c in shown) else ()))  # tables compare whole rows
    said = [{"outcome": str(c.outcome), "key": c.key, "fields": ", ".join(c.fields)} for c in shown]
    return _table([dg.TableRecord({name: row[name] for name in columns}) for row in said], columns)


def _rejected(rejected: Sequence[Rejected]) -> dict[str, dg.MetadataValue]:
    if not rejected:
        return {}
    records = [
        dg.TableRecord({"key": r.key, "field": r.field, "code": r.code, "reason": r.reason})
        for r in rejected[:SAMPLE_ROWS]
    ]
    return {"rejected_rows": _table(records, ("key", "field", "code", "reason"))}


def _table(records: list[dg.TableRecord], columns: Sequence[str]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in columns]))


def _column_schema(schema: Schema) -> dg.TableSchemaMetadataValue:
    return dg.MetadataValue.table_schema(
        dg.TableSchema(
            [
                dg.TableColumn(
                    c.name,
                    type=c.native or str(c.type),
                    description=c.comment or None,
                    constraints=dg.TableColumnConstraints(nullable=c.nullable),
                )
                for c in schema
            ]
        )
    )
