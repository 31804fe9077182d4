//! Whom a kept answer shows, so that it goes when that customer is erased.
//!
//! What older versions kept is emptied: it does not say whom it shows, and its fingerprint is a plain
//! digest, from which a password that was sent can be guessed. The keys stay, so that a request that is
//! sent again across the upgrade is refused, and not done twice.

use sea_orm_migration::prelude::*;

use crate::{columns::Columns, steps};

const TABLE: &str = "idempotency_keys";
const COLUMN: &str = "customer_id";
const INDEX: &str = "ix_idempotency_keys_customer";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // No foreign key: its lock on the customer would be taken after the order's, where erasing takes
        // the customer's first.
        steps::column(m, TABLE, Columns::of(m).number_or_null(COLUMN)).await?;
        steps::index(m, INDEX, TABLE, &[COLUMN]).await?;
        let empty = Query::update()
            .table(TABLE)
            .values([("fingerprint", "".into()), ("body", "".into())])
            .to_owned();
        m.execute(empty).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop_index(m, INDEX, TABLE).await?;
        steps::drop_column(m, TABLE, COLUMN).await
    }
}
