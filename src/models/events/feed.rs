//! The feed: all events in the order of their ids, so that whoever follows it with the cursor sees each exactly
//! once.
//!
//! Ids are given out in order, but transactions commit in another: a reader who has seen event 8 and goes on after it
//! would never see event 7 that commits later. So the feed ends before the first id that can still appear.
//!
//! SQLite has one writer at a time, whose ids commit in order. Elsewhere every writer enters a lane, before it is
//! given its ids, and leaves it with the end of its transaction: it holds a shared lock. A reader notes the highest id
//! that there is; whoever has a smaller one has entered a lane before. When each lane has been seen empty after that,
//! whoever was in one then has left, and no id below the noted one can appear any more.
//!
//! Writers change from lane to lane with the time, so that each is empty soon, however many there are; a lane that is
//! not empty holds nobody up. Which lane a writer takes does not matter otherwise: clocks may differ.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::Utc;
use sea_orm::{ConnectionTrait, DbBackend, QuerySelect, Statement, entity::prelude::*};
use tokio::{sync::Mutex, time::sleep};

use super::{Column, Entity, Filter, Key, Model};
use crate::models::{
    Result, Transaction,
    listing::{self, ByCursor, Page, PageInfo, Paging, Position},
};

/// How many lanes there are: the rows of `event_lanes`.
const LANES: i32 = 16;

/// For how many milliseconds writers take the same one.
const LANE_MILLIS: i64 = 200;

/// The advisory locks of PostgreSQL that are lanes.
const LOCKS: i32 = i32::from_be_bytes(*b"evnt");

/// How long a reader waits for those who write, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a reader waits before it looks again whether they are done.
const PAUSE: Duration = Duration::from_millis(50);

/// What a node knows of the feed.
#[derive(Debug, Default)]
pub struct Feed(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// No event up to that id can appear any more.
    settled: i64,
    /// The id that is settled next, and the lanes that were not empty since it was noted.
    next: Option<(i64, BTreeSet<i64>)>,
}

impl Feed {
    /// A page of events. In the order of their ids it ends before the first that can still appear, and says where to
    /// go on also when there are no more.
    pub async fn list(
        &self,
        db: &impl ConnectionTrait,
        listing: &ByCursor<Filter, Key>,
    ) -> Result<Page<Model>> {
        if listing.0.sort.descending {
            return Model::list(db, listing).await;
        }
        let mut page = up_to(db, self.settled(db).await, listing).await?;
        if !goes_on(&page) && db.get_database_backend() != DbBackend::Sqlite {
            let settled = self.settle(db).await?;
            page = up_to(db, settled, listing).await?;
        }
        if let PageInfo::Cursor { next } = &mut page.info {
            let last = page.items.last().map(|event| event.id);
            let begun = match &listing.0.paging {
                Paging::After(Some(position)) => position.id,
                _ => 0,
            };
            next.get_or_insert(Position {
                value: None,
                id: last.unwrap_or(begun),
            });
        }
        Ok(page)
    }

    /// The id up to which no event can appear any more, as far as is known.
    async fn settled(&self, db: &impl ConnectionTrait) -> i64 {
        match db.get_database_backend() {
            DbBackend::Sqlite => i64::MAX,
            _ => self.0.lock().await.settled,
        }
    }

    /// The same when all that are there now are settled, or else when it has taken too long.
    async fn settle(&self, db: &impl ConnectionTrait) -> Result<i64> {
        let begun = Instant::now();
        let wanted = highest(db).await?;
        let mut settled = self.settled(db).await;
        while settled < wanted {
            settled = self.look(db).await?;
            if begun.elapsed() > PATIENCE {
                break;
            }
            if settled < wanted {
                sleep(PAUSE).await;
            }
        }
        Ok(settled)
    }

    /// Looks which lanes are empty now.
    async fn look(&self, db: &impl ConnectionTrait) -> Result<i64> {
        let mut known = self.0.lock().await;
        let (id, mut lanes) = match known.next.take() {
            Some(next) => next,
            // In this order: whoever has a smaller id is in a lane by now.
            None => (highest(db).await?, (1..=LANES.into()).collect()),
        };
        for empty in empty_lanes(db).await? {
            lanes.remove(&empty);
        }
        if lanes.is_empty() {
            known.settled = known.settled.max(id);
        } else {
            known.next = Some((id, lanes));
        }
        Ok(known.settled)
    }
}

/// Enters a lane, until the transaction ends, and says whether there are webhook endpoints: in one trip. SQLite needs no
/// lanes, and there it may be that there are.
pub(super) async fn enter_lane(txn: &Transaction) -> Result<bool> {
    let backend = txn.get_database_backend();
    let lane = Utc::now().timestamp_millis() / LANE_MILLIS % i64::from(LANES);
    let lane = 1 + i32::try_from(lane).unwrap_or_default();
    let heard = "EXISTS (SELECT 1 FROM webhook_endpoints WHERE enabled) AS heard";
    let enter = match backend {
        DbBackend::Sqlite => return Ok(true),
        // MariaDB does not know FOR SHARE. What a subquery reads is not locked.
        DbBackend::MySql => Statement::from_sql_and_values(
            backend,
            format!("SELECT id, {heard} FROM event_lanes WHERE id = ? LOCK IN SHARE MODE"),
            [lane.into()],
        ),
        _ => Statement::from_sql_and_values(
            backend,
            format!("SELECT pg_advisory_xact_lock_shared($1, $2), {heard}"),
            [LOCKS.into(), lane.into()],
        ),
    };
    match txn.query_one_raw(enter).await? {
        Some(entered) => Ok(entered.try_get("", "heard")?),
        None => Err(DbErr::RecordNotFound(format!("lane {lane} of the events")).into()),
    }
}

/// The lanes in which nobody is at this moment. Nobody has to wait for this, and this for nobody.
async fn empty_lanes(db: &impl ConnectionTrait) -> Result<Vec<i64>> {
    let backend = db.get_database_backend();
    let look = match backend {
        DbBackend::MySql => "SELECT id FROM event_lanes FOR UPDATE SKIP LOCKED".to_owned(),
        _ => format!(
            "SELECT lane::bigint AS id FROM generate_series(1, {LANES}) AS lane \
             WHERE pg_try_advisory_xact_lock({LOCKS}, lane)"
        ),
    };
    let empty = db
        .query_all_raw(Statement::from_string(backend, look))
        .await?;
    Ok(empty
        .iter()
        .map(|row| row.try_get("", "id"))
        .collect::<Result<_, _>>()?)
}

/// The highest id that there is.
async fn highest(db: &impl ConnectionTrait) -> Result<i64> {
    let highest = Entity::find()
        .select_only()
        .column_as(Column::Id.max(), "id")
        .into_tuple::<Option<i64>>()
        .one(db)
        .await?;
    Ok(highest.flatten().unwrap_or_default())
}

async fn up_to(
    db: &impl ConnectionTrait,
    settled: i64,
    ByCursor(listing): &ByCursor<Filter, Key>,
) -> Result<Page<Model>> {
    let select = Entity::find().filter(Column::Id.lte(settled));
    listing::fetch(db, select, listing).await
}

const fn goes_on<T>(page: &Page<T>) -> bool {
    matches!(page.info, PageInfo::Cursor { next: Some(_) })
}
