//! Holds: checkouts take stock and give it back, and the ledger says which.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

use crate::{
    columns::{Columns, one_of, references, rule_of},
    steps,
};

const TABLE: &str = "stock_movements";
const NEXT: &str = "stock_movements_next";
const CHECKOUT: &str = "checkout_id";
const OF_CHECKOUT: &str = "ix_stock_movements_checkout";
const RULE: &str = "ck_stock_movements_kind";

/// Why stock changed, before there were holds.
const EARLIER: [&str; 4] = ["initial", "order", "cancellation", "adjustment"];

/// Why stock changes.
const KINDS: [&str; 6] = [
    "initial",
    "order",
    "cancellation",
    "adjustment",
    "hold",
    "release",
];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        if is_sqlite(m) {
            rebuild(m, true).await?;
        } else {
            // No foreign key: checkouts are forgotten, the ledger stays.
            steps::column(m, TABLE, c.string_or_null(CHECKOUT, 40)).await?;
            allow(m, &KINDS).await?;
        }
        steps::index(m, OF_CHECKOUT, TABLE, &[CHECKOUT]).await
    }

    /// What holds took and gave back was adjusted then: a stock stays the sum of its movements.
    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let adjusted = Query::update()
            .table(TABLE)
            .value("kind", "adjustment")
            .and_where(Expr::col("kind").is_in(["hold", "release"]))
            .take();
        m.execute(adjusted).await?;
        if is_sqlite(m) {
            return rebuild(m, false).await;
        }
        allow(m, &EARLIER).await?;
        steps::drop_index(m, OF_CHECKOUT, TABLE).await?;
        steps::drop_column(m, TABLE, CHECKOUT).await
    }
}

fn is_sqlite(m: &SchemaManager<'_>) -> bool {
    m.get_connection().get_database_backend() == DbBackend::Sqlite
}

/// Which kinds there may be. One statement, which may be made twice.
async fn allow(m: &SchemaManager<'_>, kinds: &[&str]) -> Result<(), DbErr> {
    let rule = rule_of("kind", kinds);
    let change =
        format!("ALTER TABLE {TABLE} DROP CONSTRAINT {RULE}, ADD CONSTRAINT {RULE} CHECK ({rule})");
    m.get_connection().execute_unprepared(&change).await?;
    Ok(())
}

/// SQLite cannot change which kinds there may be.
async fn rebuild(m: &SchemaManager<'_>, with_holds: bool) -> Result<(), DbErr> {
    const COPIED: &str =
        "id, product_id, kind, delta, reason, order_id, account_id, actor, created_at";
    let next = (NEXT, next_table(m, with_holds));
    steps::rebuild(m, TABLE, next, (CHECKOUT, with_holds), COPIED).await?;
    for (name, columns) in [
        ("ix_stock_movements_product", &["product_id", "id"][..]),
        ("ix_stock_movements_account", &["account_id"]),
        ("ix_stock_movements_order", &["order_id"]),
    ] {
        steps::index(m, name, TABLE, columns).await?;
    }
    Ok(())
}

fn next_table(m: &SchemaManager<'_>, with_holds: bool) -> TableCreateStatement {
    let c = Columns::of(m);
    let mut next = c.table(NEXT);
    next.col(c.id())
        .col(c.number("product_id"))
        .col(c.string("kind", 16))
        .col(c.number("delta"))
        .col(c.text("reason").null())
        .col(c.number_or_null("order_id"))
        .col(c.number_or_null("account_id"))
        .col(c.string("actor", 64))
        .col(c.time("created_at"));
    if with_holds {
        next.col(c.string_or_null(CHECKOUT, 40));
    }
    let kinds = if with_holds { &KINDS[..] } else { &EARLIER };
    next.check(one_of(RULE, "kind", kinds))
        .foreign_key(&mut references(
            "fk_stock_movements_product",
            NEXT,
            "product_id",
            "products",
        ))
        .foreign_key(&mut references(
            "fk_stock_movements_order",
            NEXT,
            "order_id",
            "orders",
        ));
    next
}
