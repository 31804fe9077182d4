//! Stock is held for checkouts: the ledger says for which.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend, Statement},
};

use crate::{
    columns::{Columns, one_of, references},
    steps,
};

const TABLE: &str = "stock_movements";
const NEXT: &str = "next_stock_movements";
const RULE: &str = "ck_stock_movements_kind";
const CHECKOUT: &str = "checkout_id";

/// Why the stock changes.
const KINDS: [&str; 6] = ["initial", "order", "cancellation", "adjustment", "hold", "release"];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if is_sqlite(m) {
            rebuild(m, true).await?;
        } else {
            let c = Columns::of(m);
            steps::column(m, TABLE, c.string_or_null(CHECKOUT, 40)).await?;
            allow(m, &KINDS).await?;
        }
        steps::index(m, "ix_stock_movements_checkout", TABLE, &[CHECKOUT]).await
    }

    /// What was held stays in the ledger: every sum is what it was.
    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let adjusted = Query::update()
            .table(TABLE)
            .value("kind", "adjustment")
            .and_where(Expr::col("kind").is_in(["hold", "release"]))
            .take();
        m.get_connection().execute(&adjusted).await?;
        steps::drop_index(m, "ix_stock_movements_checkout", TABLE).await?;
        if is_sqlite(m) {
            return rebuild(m, false).await;
        }
        allow(m, &KINDS[..4]).await?;
        steps::drop_column(m, TABLE, CHECKOUT).await
    }
}

fn is_sqlite(m: &SchemaManager<'_>) -> bool {
    m.get_connection().get_database_backend() == DbBackend::Sqlite
}

/// Another rule in place of the one that is there: one statement, which can be made again.
async fn allow(m: &SchemaManager<'_>, kinds: &[&str]) -> Result<(), DbErr> {
    let words: Vec<_> = kinds.iter().map(|kind| format!("kind = '{kind}'")).collect();
    let change = format!(
        "ALTER TABLE {TABLE} DROP CONSTRAINT {RULE}, ADD CONSTRAINT {RULE} CHECK ({})",
        words.join(" OR ")
    );
    m.get_connection().execute_unprepared(&change).await?;
    Ok(())
}

/// SQLite cannot change a rule: the table is made anew, with all that was in it. Where it was cut off it goes on.
async fn rebuild(m: &SchemaManager<'_>, with_checkouts: bool) -> Result<(), DbErr> {
    const COPIED: &str =
        "id, product_id, kind, delta, reason, order_id, account_id, actor, created_at";
    let db = m.get_connection();
    let run = |sql: String| db.execute_raw(Statement::from_string(DbBackend::Sqlite, sql));
    if m.has_table(TABLE).await? && m.has_column(TABLE, CHECKOUT).await? != with_checkouts {
        steps::drop(m, NEXT).await?;
        m.create_table(next_table(m, with_checkouts)).await?;
        run(format!("INSERT INTO {NEXT} ({COPIED}) SELECT {COPIED} FROM {TABLE}")).await?;
        // An id is never used twice, not even that of a row that was deleted.
        run(format!(
            "UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = '{TABLE}') \
             WHERE name = '{NEXT}'"
        ))
        .await?;
        steps::drop(m, TABLE).await?;
    }
    if !m.has_table(TABLE).await? {
        run(format!("ALTER TABLE {NEXT} RENAME TO {TABLE}")).await?;
    }
    for (name, columns) in [
        ("ix_stock_movements_product", &["product_id", "id"][..]),
        ("ix_stock_movements_account", &["account_id"]),
        ("ix_stock_movements_order", &["order_id"]),
    ] {
        steps::index(m, name, TABLE, columns).await?;
    }
    Ok(())
}

fn next_table(m: &SchemaManager<'_>, with_checkouts: bool) -> TableCreateStatement {
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
    let kinds = if with_checkouts {
        next.col(c.string_or_null(CHECKOUT, 40));
        &KINDS[..]
    } else {
        &KINDS[..4]
    };
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
