//! What buyers may do how often: open checkouts and hold stock, and try codes.

use std::time::Duration;

use crate::{
    context::Context,
    controllers::extract::Caller,
    models::{Actor, checkouts, discounts, types::DiscountCode},
    shared::quotas::Quota,
    views::problem::{Kind, Problem},
};

/// How many wrong codes somebody may try in an hour.
const WRONG_CODES: u32 = 30;

/// The time of both.
const PERIOD: Duration = Duration::from_hours(1);

/// What was taken from a budget, in advance.
pub(super) struct Taken<'a> {
    ctx: &'a Context,
    budgets: Vec<(String, Quota)>,
}

impl<'a> Taken<'a> {
    async fn of(ctx: &'a Context, budget: Option<(String, Quota)>) -> Result<Self, Problem> {
        let budgets: Vec<_> = budget.into_iter().collect();
        let taken = ctx.shared.take(&budgets).await;
        taken.map_err(Problem::rate_limited)?;
        Ok(Self { ctx, budgets })
    }

    /// Gives it back, if it was taken for nothing.
    pub(super) async fn unless(self, was_used: bool) {
        if !was_used {
            self.ctx.shared.give_back(&self.budgets).await;
        }
    }
}

/// A new checkout or a hold, of a visitor from there.
///
/// # Errors
/// 429 when there were too many within the hour.
pub(super) async fn opening<'a>(
    ctx: &'a Context,
    visitor: Option<&str>,
) -> Result<Taken<'a>, Problem> {
    let most = ctx.settings.checkout.holds_per_hour;
    let budget = visitor.filter(|_| most > 0);
    let budget = budget.map(|from| (format!("checkouts of {from}"), Quota::per(most, PERIOD)));
    Taken::of(ctx, budget).await
}

/// Lets somebody try a code. Wrong ones are counted, and who has tried too many is told of none whether it is right. Those
/// who run the store know them all.
///
/// # Errors
/// 429 when there were too many wrong ones within the hour.
pub(super) async fn try_code(
    ctx: &Context,
    caller: &Caller,
    code: Option<&DiscountCode>,
) -> Result<(), Problem> {
    let (Some(code), Some(who)) = (code, caller.shopper()) else {
        return Ok(());
    };
    let budget = [(format!("codes of {who}"), Quota::per(WRONG_CODES, PERIOD))];
    let known = discounts::Model::find_by_code(&ctx.db, code.as_str()).await?;
    let allowed = match known {
        Ok(_) => ctx.shared.look(&budget).await,
        Err(_) => ctx.shared.take(&budget).await,
    };
    allowed.map_err(Problem::rate_limited)
}

/// Does something for which stock is taken. Where there is too little of it, what is held of it by holds that have ended is
/// released, and it is tried once more: no sale waits for the sweep.
#[macro_export]
macro_rules! taking_stock {
    ($ctx:expr, $attempt:expr) => {
        match $attempt {
            Err(problem) if $crate::controllers::budgets::finds_more(&$ctx, &problem).await? => {
                $attempt
            }
            outcome => outcome,
        }
    };
}

/// Whether there was too little stock, and there may be more now.
pub async fn finds_more(ctx: &Context, problem: &Problem) -> Result<bool, Problem> {
    if problem.kind != Kind::INSUFFICIENT_STOCK {
        return Ok(false);
    }
    let products: Vec<_> = problem
        .errors
        .iter()
        .filter_map(|error| error.product_id)
        .collect();
    let system = Actor::system();
    let rules = ctx.checkout_rules(&system, checkouts::Buyer::Staff, None);
    let store = ctx.caused_by(system.clone());
    Ok(checkouts::Model::release_ended(&store, &products, &rules).await?)
}
