//! Events: what has happened to the store, and what readers of the feed wait for.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

use crate::{columns::Columns, steps};

const TABLE: &str = "events";
const LANES: &str = "event_lanes";

/// How many lanes there are.
const COUNT: i64 = 16;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        // No foreign keys: an event stays when what it is about is gone.
        steps::table(
            m,
            c.table(TABLE)
                .col(c.id())
                .col(c.string("type", 64))
                .col(c.time("occurred_at"))
                .col(c.string("subject_kind", 32))
                .col(c.number("subject_id"))
                // The customer whom it shows.
                .col(c.number_or_null("customer_id"))
                .col(c.string("actor_kind", 16))
                .col(c.number_or_null("actor_id"))
                .col(c.string("actor_name", 64))
                .col(c.string_or_null("request_id", 255))
                // JSON.
                .col(c.text("data").not_null())
                .to_owned(),
        )
        .await?;
        steps::index(m, "ix_events_type", TABLE, &["type", "id"]).await?;
        steps::index(
            m,
            "ix_events_subject",
            TABLE,
            &["subject_kind", "subject_id", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_events_actor",
            TABLE,
            &["actor_kind", "actor_id", "id"],
        )
        .await?;
        // What happens to orders and customers is found by their ids.
        steps::index_where(
            m,
            "ix_events_customer",
            TABLE,
            &["customer_id"],
            ("subject_kind", "customer_account"),
        )
        .await?;
        steps::index(m, "ix_events_occurred", TABLE, &["occurred_at"]).await?;
        // PostgreSQL has locks that belong to no row, and SQLite needs none.
        if m.get_connection().get_database_backend() == DbBackend::MySql {
            steps::table(m, c.table(LANES).col(c.id()).to_owned()).await?;
            // From 1: a zero would be given the next number.
            let rows: Vec<_> = (1..=COUNT).map(|id| format!("({id})")).collect();
            let rows = rows.join(", ");
            m.get_connection()
                .execute_unprepared(&format!("INSERT IGNORE INTO {LANES} (id) VALUES {rows}"))
                .await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, LANES).await?;
        steps::drop(m, TABLE).await
    }
}
