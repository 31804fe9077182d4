//! Column and table definitions that mean the same on every database.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// Definitions for the database behind a [`SchemaManager`].
#[derive(Clone, Copy)]
pub struct Columns(DbBackend);

#[allow(
    clippy::unused_self,
    reason = "a table reads better when all of its columns are made alike"
)]
impl Columns {
    /// The definitions that fit the manager's database.
    pub fn of(manager: &SchemaManager<'_>) -> Self {
        Self(manager.get_connection().get_database_backend())
    }

    /// A new table. MySQL's default collation takes "é" for "e" and ignores case: text here is
    /// compared byte by byte, as SQLite and PostgreSQL do, and folded by the program where it should be.
    pub fn table(self, name: &'static str) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(name);
        if self.0 == DbBackend::MySql {
            table
                .engine("InnoDB")
                .character_set("utf8mb4")
                .collate("utf8mb4_bin");
        }
        table
    }

    /// The 64-bit primary key. Ids are never used twice.
    pub fn id(self) -> ColumnDef {
        ColumnDef::new("id")
            .big_integer()
            .not_null()
            .auto_increment()
            .primary_key()
            .take()
    }

    /// A 64-bit whole number.
    pub fn number(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().not_null().take()
    }

    /// A 64-bit whole number that may be missing.
    pub fn number_or_null(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().null().take()
    }

    /// Text of at most `length` characters.
    pub fn string(self, name: &'static str, length: u32) -> ColumnDef {
        self.bytewise(ColumnDef::new(name).string_len(length))
            .not_null()
            .take()
    }

    /// Text of at most `length` characters that may be missing.
    pub fn string_or_null(self, name: &'static str, length: u32) -> ColumnDef {
        self.bytewise(ColumnDef::new(name).string_len(length))
            .null()
            .take()
    }

    /// Long text, of up to 16 MiB (MySQL's `TEXT` ends at 64 KiB).
    pub fn text(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        match self.0 {
            DbBackend::MySql => column.custom("MEDIUMTEXT"),
            _ => column.text(),
        };
        self.bytewise(&mut column).take()
    }

    /// Yes or no, `no` by default.
    pub fn flag(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name)
            .boolean()
            .not_null()
            .default(false)
            .take()
    }

    /// A moment in UTC, to the microsecond. MySQL's `TIMESTAMP` ends in 2038 and both of its types
    /// keep whole seconds unless told otherwise.
    pub fn time(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        match self.0 {
            DbBackend::MySql => column.custom("DATETIME(6)"),
            _ => column.timestamp_with_time_zone(),
        };
        column.not_null().take()
    }

    /// PostgreSQL sorts by the locale of its cluster unless told otherwise.
    fn bytewise(self, column: &mut ColumnDef) -> &mut ColumnDef {
        if self.0 == DbBackend::Postgres {
            column.extra("COLLATE \"C\"")
        } else {
            column
        }
    }
}

/// A named foreign key to another table's `id`. Rows that are referred to cannot be deleted.
pub fn references(
    name: &'static str,
    table: &'static str,
    column: &'static str,
    other: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, column)
        .to(other, "id")
        .on_delete(ForeignKeyAction::Restrict)
        .take()
}

/// The rule that a column has one of those words. Not `IN`: SQLite makes a table of such a list for each
/// statement that writes a row.
pub fn one_of(name: &'static str, column: &str, words: &[&str]) -> Check {
    Check::named(name, Expr::cust(rule_of(column, words)))
}

/// That a column has one of those words, in SQL.
pub fn rule_of(column: &str, words: &[&str]) -> String {
    let words = words.iter().map(|word| format!("{column} = '{word}'"));
    words.collect::<Vec<_>>().join(" OR ")
}

/// A named rule that every row has to obey.
pub fn check(name: &'static str, rule: &'static str) -> Check {
    Check::named(name, Expr::cust(rule))
}
