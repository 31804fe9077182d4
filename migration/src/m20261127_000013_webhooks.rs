//! Webhooks: the endpoints that other systems have, and what is sent to them.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, one_of},
    steps,
};

const ENDPOINTS: &str = "webhook_endpoints";
const DELIVERIES: &str = "webhook_deliveries";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        steps::table(
            m,
            c.table(ENDPOINTS)
                .col(c.id())
                // There are as many endpoints as places at most.
                .col(c.number("place"))
                .col(c.string("url", 2_048))
                // JSON: what it wants to hear of.
                .col(c.text("types").not_null())
                .col(c.string_or_null("description", 500))
                .col(c.flag("enabled"))
                .col(c.string_or_null("disabled_reason", 16))
                // JSON: each sealed, and until when it signs. The newest is the first.
                .col(c.text("secrets").not_null())
                .col(c.time("failing_since").null())
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(check(
                    "ck_webhook_endpoints_place",
                    "place BETWEEN 1 AND 32",
                ))
                .check(one_of(
                    "ck_webhook_endpoints_disabled_reason",
                    "disabled_reason",
                    &["by_hand", "gone", "failing"],
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_webhook_endpoints_place", ENDPOINTS, &["place"]).await?;
        // No foreign keys: what was sent is shown when the endpoint and the event are gone.
        steps::table(
            m,
            c.table(DELIVERIES)
                .col(c.id())
                .col(c.number("endpoint_id"))
                .col(c.number("event_id"))
                .col(c.string("event_type", 64))
                .col(c.string("status", 16))
                .col(c.number("tries"))
                // JSON.
                .col(c.text("attempts").not_null())
                .col(c.time("next_attempt_at").null())
                .col(c.string_or_null("lease", 36))
                .col(c.time("leased_until").null())
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(one_of(
                    "ck_webhook_deliveries_status",
                    "status",
                    &["pending", "delivered", "failed", "cancelled"],
                ))
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            (
                "ix_webhook_deliveries_due",
                &["status", "endpoint_id", "next_attempt_at"][..],
            ),
            ("ix_webhook_deliveries_endpoint", &["endpoint_id", "id"]),
            ("ix_webhook_deliveries_event", &["event_id"]),
        ] {
            steps::index(m, name, DELIVERIES, columns).await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, DELIVERIES).await?;
        steps::drop(m, ENDPOINTS).await
    }
}
